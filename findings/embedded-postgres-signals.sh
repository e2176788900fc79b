#!/usr/bin/env bash
# embedded-postgres 18.4.0-beta.17 (npm): importing it is enough to lose an orderly shutdown.
#
# The module registers handlers for SIGINT, SIGTERM and SIGHUP when it is imported, before any server is made. They end
# the process with the signal's exit code as soon as they have run, so a program's own handler that drains for half a
# second is cut off. Use the server binaries of its platform packages without importing the class.
#
# Seen on Node 24, Linux x64:
#   without: draining drained exit 0
#   with: draining exit 143
set -euo pipefail
cd "$(mktemp -d)"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund embedded-postgres@18.4.0-beta.17
cat >run.mjs <<'JS'
if (process.argv[2] === 'with') await import('embedded-postgres');
process.on('SIGTERM', async () => {
  console.log('draining');
  await new Promise((resolve) => setTimeout(resolve, 500));
  console.log('drained');
  process.exit(0);
});
setTimeout(() => process.kill(process.pid, 'SIGTERM'), 50);
setTimeout(() => {}, 5_000);
JS
told() {
  local out code=0
  out=$(node run.mjs "$1") || code=$?
  echo "$1: $(tr '\n' ' ' <<<"$out")exit $code"
}
out=$(told without; told with)
echo "$out"
[ "$out" = $'without: draining drained exit 0\nwith: draining exit 143' ] || { echo changed; exit 1; }
