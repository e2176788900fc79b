#!/usr/bin/env bash
# anvil 1.7.1: the transactionsRoot of a block with a blob transaction is not that of the canonical transactions.
#
# EIP-4844 puts a blob transaction into the block without its sidecar (blobs, commitments, proofs). Anvil builds the trie
# from the transaction as it was sent, sidecar included, so a proof that holds on every other chain does not hold in such a
# block, and neither do proofs of the other transactions in it. The transaction's hash is that of the canonical form.
#
# Seen on Node 24, Linux x64:
#   block of a type 2 transaction: root of canonical transactions true
#   block of a type 3 transaction: root of canonical transactions false, hash canonical true
set -euo pipefail
cd "$(mktemp -d)"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund @foundry-rs/anvil-linux-amd64@1.7.1 ethers@6.17.0 @ethereumjs/mpt@10.1.3 @ethereumjs/rlp@10.1.3
cat >run.mjs <<'JS'
import { spawn } from 'node:child_process';
import { createMPT } from '@ethereumjs/mpt';
import { RLP } from '@ethereumjs/rlp';
import { concat, getBytes, hexlify, JsonRpcProvider, keccak256, sha256, Transaction, Wallet } from 'ethers';
const anvil = spawn('node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil', ['--port', '0', '--hardfork', 'cancun']);
process.on('exit', () => anvil.kill('SIGKILL'));
let told = '';
const port = await new Promise((resolve) => {
  anvil.stdout.on('data', (part) => {
    told += part;
    const found = /Listening on 127\.0\.0\.1:(\d+)/.exec(told);
    if (found) resolve(found[1]);
  });
});
const provider = new JsonRpcProvider(`http://127.0.0.1:${port}`, undefined, { cacheTimeout: -1 });
// The first of anvil's published development keys.
const wallet = new Wallet('0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80', provider);
const { chainId } = await provider.getNetwork();
// Commitment and proof of a blob of zeros are the point at infinity.
const infinity = `0xc0${'00'.repeat(47)}`;
async function block(type, nonce) {
  const fees = { gasLimit: 21_000, maxFeePerGas: 10n ** 10n, maxPriorityFeePerGas: 1n };
  const plain = { type, chainId, nonce, to: wallet.address, value: 0n, ...fees };
  const hashes = [concat(['0x01', `0x${sha256(infinity).slice(4)}`])];
  const transaction = Transaction.from(type === 3 ? { ...plain, maxFeePerBlobGas: 10n ** 10n, blobVersionedHashes: hashes } : plain);
  if (type === 3) transaction.blobs = [{ data: new Uint8Array(131_072), commitment: infinity, proof: infinity }];
  transaction.signature = wallet.signingKey.sign(transaction.unsignedHash);
  const hash = await provider.send('eth_sendRawTransaction', [transaction.serialized]);
  await provider.waitForTransaction(hash);
  const { blockHash } = await provider.send('eth_getTransactionReceipt', [hash]);
  const { transactionsRoot, transactions } = await provider.send('eth_getBlockByHash', [blockHash, false]);
  if (transactions.length !== 1) throw new Error('not alone in its block');
  const canonical = transaction.clone();
  if (type === 3) canonical.blobs = null;
  const trie = await createMPT();
  await trie.put(RLP.encode(0), getBytes(canonical.serialized));
  return { root: hexlify(trie.root()) === transactionsRoot, hash: keccak256(canonical.serialized) === hash };
}
const ordinary = await block(2, 0);
const blob = await block(3, 1);
console.log(`block of a type 2 transaction: root of canonical transactions ${ordinary.root}`);
console.log(`block of a type 3 transaction: root of canonical transactions ${blob.root}, hash canonical ${blob.hash}`);
process.exit(0);
JS
out=$(node run.mjs)
echo "$out"
[ "$out" = 'block of a type 2 transaction: root of canonical transactions true
block of a type 3 transaction: root of canonical transactions false, hash canonical true' ] || { echo changed; exit 1; }
