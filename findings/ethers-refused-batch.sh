#!/usr/bin/env bash
# ethers 6.17.0: when a node refuses a whole batch, its reason is lost: each request ends as "missing response for request".
#
# ethers sends what is asked within 10 ms as one batch, up to 100 requests. A node that refuses the batch as such (a limit of
# requests in a batch, a rate limit, an unreadable body) answers with one Response object and `id: null`, as JSON-RPC 2.0
# section 6 demands. ethers looks for an answer by id alone, finds none, and rejects each request with the code BAD_DATA.
# The node's code and text stand in `error.value` only; code that decides by `error.code` or `error.error.code`, as it can for
# an ordinary refusal, takes a busy node for a broken one. The same answer to a single request is lost in the same way.
#
# Seen on Node 24:
#   own id: UNKNOWN_ERROR -32005 limit exceeded
#   batch of 3, id null: BAD_DATA BAD_DATA BAD_DATA, the reason in value only
#   single, id null: BAD_DATA, the reason in value only
set -euo pipefail
cd "$(mktemp -d)"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund ethers@6.17.0
cat >run.mjs <<'JS'
import { createServer } from 'node:http';
import { JsonRpcProvider } from 'ethers';

const REASON = { code: -32005, message: 'limit exceeded' };
let withId = true;
const server = createServer(async (request, response) => {
  let body = '';
  for await (const part of request) body += part;
  const asked = JSON.parse(body);
  const id = withId && !Array.isArray(asked) ? asked.id : null;
  response.setHeader('content-type', 'application/json').end(JSON.stringify({ jsonrpc: '2.0', id, error: REASON }));
}).listen(0, '127.0.0.1', async () => {
  const provider = new JsonRpcProvider(`http://127.0.0.1:${server.address().port}`, 1, { staticNetwork: true });
  provider.on('error', () => {});
  const errorOf = (method) => provider.send(method, []).then(() => { throw new Error('answered'); }, (error) => error);
  const hidden = (error) =>
    !`${error.shortMessage} ${error.error?.code}`.includes('limit') && error.error === undefined &&
    [error.value].flat()[0]?.error?.message === REASON.message ? 'the reason in value only' : 'the reason shown';

  const own = await errorOf('eth_blockNumber');
  console.log(`own id: ${own.code} ${own.error?.code} ${own.error?.message}`);
  withId = false;
  const batch = await Promise.all(['eth_blockNumber', 'eth_gasPrice', 'eth_chainId'].map(errorOf));
  console.log(`batch of 3, id null: ${batch.map(({ code }) => code).join(' ')}, ${[...new Set(batch.map(hidden))].join(', ')}`);
  const single = await errorOf('eth_blockNumber');
  console.log(`single, id null: ${single.code}, ${hidden(single)}`);
  provider.destroy();
  server.close();
});
JS
out=$(node run.mjs)
echo "$out"
expected='own id: UNKNOWN_ERROR -32005 limit exceeded
batch of 3, id null: BAD_DATA BAD_DATA BAD_DATA, the reason in value only
single, id null: BAD_DATA, the reason in value only'
[ "$out" = "$expected" ] || { echo 'changed'; exit 1; }
