// Genuine proofs that a careless verifier calls refuted: stale, rotated, re-ended, foreign, from the future, or skewed.

import { ed25519 } from '@noble/curves/ed25519.js';
import { BITCOIN, REGTEST } from '../../src/core/bitcoin-header.ts';
import { concat, toBase64, utf8 } from '../../src/core/bytes.ts';
import { formatCheckpoint } from '../../src/core/checkpoint.ts';
import { formatWitnessKey } from '../../src/core/cosignature.ts';
import { hashLeaf, MerkleTree } from '../../src/core/merkle.ts';
import { formatNote, formatVerifierKey, noteKeyId } from '../../src/core/note.ts';
import { formatTlogProof, receiptTlogProof } from '../../src/core/tlog-proof.ts';
import type { VerdictCode } from '../../src/core/verdict.ts';
import { serializeOtsFile } from '../../src/ots/file.ts';
import { contentDigest } from '../../src/ots/operation.ts';
import type { NextStep } from '../../src/verify/next-step.ts';
import { GENESIS, SECOND } from '../bitcoin/chain-server.ts';
import { MemoryBitcoin } from './memory-bitcoin.ts';
import { MemoryChain, MemoryLog, MemoryRound, provenReceipt, seeded } from './receipts.ts';

export interface GenuineProof {
  readonly name: string;
  /** A receipt or a tlog-proof as text, an .ots file as bytes. */
  readonly proof: string | Uint8Array;
  readonly content: Uint8Array;
  readonly key?: string;
  readonly policy?: string;
  /** The node that is asked. */
  readonly node?: MemoryChain;
  /** The source of Bitcoin headers that is asked: its blocks from Bitcoin's first on. */
  readonly bitcoin?: MemoryBitcoin;
  /** What the verdict must say, and the step that must follow. */
  readonly code: VerdictCode;
  readonly step: NextStep['step'];
}

/** @param now milliseconds since the Unix epoch, by the verifier's clock */
export function genuineProofs(now: number): GenuineProof[] {
  const { receipt, payload, log, round, local } = provenReceipt();
  const proof = JSON.stringify(receipt);
  const index = receipt.entry.index;
  const own = { proof, content: payload };

  const before = new MemoryChain('eip155:1', 'before the reorganization');
  const after = new MemoryChain('eip155:1', 'after the reorganization');
  for (let n = 0; n < 4; n++) for (const chain of [before, after]) chain.mine();
  const reorganized = round.receipt(log, index, [before.anchor(round.root)]);
  after.anchor(round.root);
  const anew = new MemoryChain('eip155:31337', 'anew');
  for (let n = 0; n < 9; n++) anew.mine();
  const resent = structuredClone(receipt);
  for (const anchor of resent.anchors)
    Object.assign(anchor, { block: { number: 3, hash: `0x${'ab'.repeat(32)}`, time: receipt.round.closedAt } });

  const skewed = new MemoryLog('skewed');
  skewed.append('line', { receivedAt: now + 600_000 });
  const skewedRound = new MemoryRound([skewed], { closedAt: now + 600_001 });

  const stale = new MemoryBitcoin(BITCOIN, 'stale');
  const ends = new MemoryBitcoin(BITCOIN, 'longest');
  ends.headers.splice(0, 2, GENESIS, SECOND);
  ends.mine(20);
  const regtest = new MemoryBitcoin(REGTEST, 'local');

  const [secret, origin] = [seeded('a foreign key'), 'foreign.example/log'];
  const records = ['a', 'content', 'c'].map(utf8);
  const tree = new MerkleTree(concat(...records.map(hashLeaf)));
  const text = formatCheckpoint({ origin, size: 3, root: tree.root() });
  const publicKey = ed25519.getPublicKey(secret);
  const checkpoint = formatNote({
    text,
    signatures: [{ name: origin, keyId: noteKeyId(origin, publicKey), signature: ed25519.sign(utf8(text), secret) }],
  });
  const foreign = (extra: Uint8Array | null): string =>
    formatTlogProof({ index: 1, path: tree.inclusionPath(1), extra, checkpoint });
  const foreignKey = formatVerifierKey(origin, publicKey);
  const tlogProof = formatTlogProof(receiptTlogProof(receipt));
  const witness = formatWitnessKey('witness.example', publicKey);
  const rotated = new MemoryLog('payments', { secret: seeded('the key of before') }).verifierKey;

  return [
    {
      name: 'a key that was rotated since',
      ...own,
      key: rotated,
      node: local,
      code: 'signature-by-another-key',
      step: 'key-of-log',
    },
    {
      name: 'the key of another log',
      ...own,
      key: new MemoryLog('audit').verifierKey,
      node: local,
      code: 'key-not-for-this-log',
      step: 'key-of-log',
    },
    {
      name: 'a line with its newline',
      proof,
      content: concat(payload, utf8('\n')),
      node: local,
      code: 'content-re-ended',
      step: 'line-ends',
    },
    { name: 'a local chain started anew', ...own, node: anew, code: 'other-chain-instance', step: 'renew' },
    {
      name: 'a local chain started anew, the transaction sent again',
      ...own,
      proof: JSON.stringify(resent),
      node: local,
      code: 'anchor-moved',
      step: 'renew',
    },
    {
      name: 'a chain reorganized since',
      proof: JSON.stringify(reorganized),
      content: payload,
      node: after,
      code: 'anchor-moved',
      step: 'renew',
    },
    {
      name: 'a Bitcoin block that is not on the longest chain any more',
      proof: JSON.stringify(round.receipt(log, index, [stale.anchor(round.root)])),
      content: payload,
      bitcoin: ends,
      code: 'anchor-moved',
      step: 'renew',
    },
    {
      name: 'an .ots file of a local network, compared with Bitcoin',
      proof: serializeOtsFile({
        hash: 'sha256',
        timestamp: regtest.timestamp(contentDigest('sha256', payload)).timestamp,
      }),
      content: payload,
      bitcoin: ends,
      code: 'other-chain-instance',
      step: 'renew',
    },
    {
      name: 'before its round closed',
      proof: JSON.stringify(log.receipt(index)),
      content: payload,
      node: local,
      code: 'round-pending',
      step: 'later',
    },
    {
      name: 'an anchor of a newer kind',
      proof: JSON.stringify({ ...receipt, anchors: [{ type: 'kind-of-2031', token: toBase64(payload) }] }),
      content: payload,
      node: local,
      code: 'anchor-unknown',
      step: 'version',
    },
    {
      name: 'a service whose clock was ahead',
      proof: JSON.stringify(skewedRound.receipt(skewed, 0)),
      content: utf8('line'),
      node: local,
      code: 'received-ahead-of-clock',
      step: 'later',
    },
    {
      name: "a tlog-proof of somebody else's log",
      proof: foreign(null),
      content: utf8('content'),
      key: foreignKey,
      code: 'position-by-key',
      step: 'receipt',
    },
    {
      name: "a tlog-proof of somebody else's log, with data of its application",
      proof: foreign(utf8('theirs')),
      content: utf8('not the leaf'),
      key: foreignKey,
      code: 'leaf-unknown',
      step: 'leaf',
    },
    {
      name: 'a policy that asks for no witness',
      proof: tlogProof,
      content: payload,
      policy: `log ${log.verifierKey}\nwitness w ${witness}\nquorum none\n`,
      code: 'witnesses-not-required',
      step: 'receipt',
    },
  ];
}
