#!/usr/bin/env bash
# zod 4.6.7: `zod/mini` loads the messages of all its languages, one module each.
#
# The languages are re-exported as `locales`, by its core as well. A bundler drops them; Node loads them at each start:
# two thirds of the modules of zod/mini, and with a warm compile cache 20 ms of a short command. No entry point of the package leaves
# them out. `module.registerHooks` can put one language in place of the index.
#
# Seen on Node 24, Linux x64:
#   zod/mini loads more than 80 modules, more than 50 of them languages; by a hook 1
set -euo pipefail
cd "$(mktemp -d)"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund zod@4.6.7
cat >run.mjs <<'JS'
import { registerHooks } from 'node:module';
const loaded = [];
const only = process.argv[2] === 'hook';
registerHooks({
  resolve: (specifier, context, next) =>
    next(only && specifier === '../locales/index.js' ? '../locales/en.js' : specifier, context),
  load(url, context, next) {
    loaded.push(url);
    return next(url, context);
  },
});
const z = await import('zod/mini');
if (!z.string().safeParse('x').success) throw new Error('it does not work');
const languages = loaded.filter((url) => /\/locales\/(?!index)/.test(url)).length;
console.log(JSON.stringify({ modules: loaded.length, languages }));
JS
plain=$(node run.mjs)
hooked=$(node run.mjs hook)
echo "zod/mini: $plain; by a hook: $hooked"
node -e '
  const [plain, hooked] = process.argv.slice(1).map((text) => JSON.parse(text));
  if (plain.modules <= 80 || plain.languages <= 50 || hooked.languages !== 1) { console.log("changed"); process.exit(1); }' "$plain" "$hooked"
