#!/usr/bin/env bash
# hardhat 3.17.0: a node started from code cannot be told that its port is in use.
#
# `listen()` of a server made by `network.createServer` neither resolves nor rejects when something else has the port. The
# error is thrown past the caller, as an uncaught exception: a `try` around the call sees nothing, and without a handler for
# the whole process it ends. Whoever looks for a free port by trying one after the other needs a server of their own.
#
# Seen on Node 24: uncaught EADDRINUSE
set -euo pipefail
cd "$(mktemp -d)"
npm init -y >/dev/null
npm pkg set type=module >/dev/null
npm install --silent --no-audit --no-fund hardhat@3.17.0
echo 'export default {};' >hardhat.config.js
cat >run.mjs <<'JS'
import { once } from 'node:events';
import { createServer } from 'node:net';
import hre from 'hardhat';
const taken = createServer().listen(0, '127.0.0.1');
await once(taken, 'listening');
const server = await hre.network.createServer({}, '127.0.0.1', taken.address().port);
process.on('uncaughtException', (error) => {
  console.log('uncaught', error.code);
  process.exit(0);
});
const outcome = await Promise.race([
  server.listen().then(() => 'resolved', (error) => `rejected ${error.code}`),
  new Promise((done) => setTimeout(done, 10_000, 'nothing in 10 s')),
]);
console.log(outcome);
process.exit(0);
JS
out=$(HARDHAT_DISABLE_TELEMETRY_PROMPT=true node run.mjs)
echo "$out"
[ "$out" = 'uncaught EADDRINUSE' ] || { echo changed; exit 1; }
