#!/usr/bin/env node
// Plain JavaScript that old Nodes parse, so that they can say what is wrong.

var version = process.versions.node.split('.').map(Number);

// 24.6 is the first whose zstd takes a dictionary: those before ignore it, and cannot read the proofs of anchors.
if (version[0] < 24 || (version[0] === 24 && version[1] < 6)) {
  process.stderr.write(
    `error: Antequem needs Node 24.6 or newer, this is ${process.versions.node}; ` +
      `run: npx -y -p node@24 antequem ${process.argv.slice(2).map(quoted).join(' ')}\n`,
  );
  process.exitCode = 1;
} else {
  // A checkout has the sources beside this file. The package has what was emitted from them, for Node does not strip
  // types below node_modules.
  import('node:module')
    .then((module) => {
      // Half of the time of a short command went by compiling what was compiled the time before.
      module.enableCompileCache();
      // Zod loads its messages in fifty languages, one file each: a quarter of the time of a short command.
      module.registerHooks({
        resolve: (specifier, context, next) =>
          next(
            specifier === '../locales/index.js' && context.parentURL.includes('/zod/') ? '../locales/en.js' : specifier,
            context,
          ),
      });
      return import('node:fs');
    })
    .then((fs) =>
      fs.existsSync(new URL('./main.ts', import.meta.url)) ? import('./main.ts') : import('../../dist/cli/main.js'),
    )
    .then((cli) => cli.main(process.argv))
    .catch((error) => {
      process.stderr.write(`error: ${error.stack}\n`);
      process.exitCode = 1;
    });
}

function quoted(argument) {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replace(/'/g, "'\\''")}'`;
}
