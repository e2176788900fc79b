#!/usr/bin/env bash
# ethers 6.17.0: a block that `getBlock` returns lacks header fields that the node told, so its hash cannot be computed.
#
# A light check of a block keeps only the hash: keccak256 of the RLP of all header fields. ethers copies the fields that it
# has a name for and drops the others without a word: those of Shanghai, Prague and Amsterdam, and of the old ones
# sha3Uncles and logsBloom. Ask by `provider.send('eth_getBlockByNumber', ...)` where the whole header is needed.
#
# Seen on Node 24: missing: blockAccessListHash,logsBloom,requestsHash,sha3Uncles,slotNumber,withdrawalsRoot
set -euo pipefail
cd "$(mktemp -d)"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund ethers@6.17.0
cat >run.mjs <<'JS'
import { createServer } from 'node:http';
import { JsonRpcProvider } from 'ethers';
const h = (n) => `0x${n.toString(16).padStart(64, '0')}`;
const header = {
  parentHash: h(1), sha3Uncles: h(2), miner: `0x${'0'.repeat(40)}`, stateRoot: h(3), transactionsRoot: h(4), receiptsRoot: h(5),
  logsBloom: `0x${'0'.repeat(512)}`, difficulty: '0x0', number: '0x10', gasLimit: '0x1c9c380', gasUsed: '0x0', timestamp: '0x6553f100',
  extraData: '0x', mixHash: h(6), nonce: '0x0000000000000000', baseFeePerGas: '0x7', withdrawalsRoot: h(7), blobGasUsed: '0x0',
  excessBlobGas: '0x0', parentBeaconBlockRoot: h(8), requestsHash: h(9), blockAccessListHash: h(10), slotNumber: '0x20',
};
const block = { ...header, hash: h(99), size: '0x200', transactions: [], uncles: [], withdrawals: [] };
const answers = { eth_chainId: '0x1', eth_getBlockByNumber: block };
const server = createServer(async (request, response) => {
  let body = '';
  for await (const part of request) body += part;
  const asked = JSON.parse(body);
  const one = ({ id, method }) => ({ jsonrpc: '2.0', id, result: answers[method] ?? null });
  response.setHeader('content-type', 'application/json').end(JSON.stringify(Array.isArray(asked) ? asked.map(one) : one(asked)));
}).listen(0, '127.0.0.1', async () => {
  const provider = new JsonRpcProvider(`http://127.0.0.1:${server.address().port}`, 1, { staticNetwork: true });
  const kept = await provider.getBlock(16);
  // Under other names: prevRandao is mixHash. A value counts as kept wherever it stands.
  const values = new Set(Object.values(kept).map((value) => String(value).toLowerCase()));
  const raw = await provider.send('eth_getBlockByNumber', ['0x10', false]);
  if (raw.requestsHash !== header.requestsHash) throw new Error('send() changed the answer');
  const missing = Object.entries(header).filter(([name, value]) => !(name in kept) && !values.has(value)).map(([name]) => name);
  console.log(`missing: ${missing.sort().join(',')}`);
  provider.destroy();
  server.close();
});
JS
out=$(node run.mjs)
echo "$out"
for name in blockAccessListHash requestsHash sha3Uncles slotNumber withdrawalsRoot; do
  grep -q "$name" <<<"$out" || { echo "changed: ethers keeps $name now"; exit 1; }
done
