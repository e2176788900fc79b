// Every single bit (in a short run one of each byte) of what a receipt shows, changed one at a time: the verdict must be
// `refuted`, or at least not `proven`.

import { describe, expect, test } from 'vitest';
import { concat, fromBase64, fromHex, toBase64, toHex } from '../../src/core/bytes.ts';
import { FormatError } from '../../src/core/errors.ts';
import { knownAnchors, parseReceiptText } from '../../src/core/receipt.ts';
import type { RoundReceipt } from '../../src/core/receipt-schema.ts';
import { formatTime, parseTime } from '../../src/core/time.ts';
import { exitCode, type Trust, type Verdict, verifyReceipt } from '../../src/verify/verify.ts';
import { anchorAmong } from '../support/blocks.ts';
import { DEEP } from '../support/deep.ts';
import { provenReceipt } from '../support/receipts.ts';

const { receipt, payload, log, round, local, main } = provenReceipt();
const trust: Trust = { key: log.verifierKey, evm: [local, main], now: Date.UTC(2026, 7, 1) };

/** How many bits of each byte are changed: in a short run one, each time another. */
const BITS_OF_A_BYTE = DEEP ? 8 : 1;

/** Every form of `bytes` with one bit changed, or of the bits that a short run changes. */
function* flipped(bytes: Uint8Array): Generator<Uint8Array> {
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    if (!DEEP && (bit & 7) !== (bit >> 3) % 8) continue;
    const copy = Uint8Array.from(bytes);
    copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (0x80 >> (bit & 7));
    yield copy;
  }
}

function* flippedHex(text: string): Generator<string> {
  const prefix = text.startsWith('0x') ? '0x' : '';
  for (const bytes of flipped(fromHex(text.slice(prefix.length)))) yield prefix + toHex(bytes);
}

/** A whole number below 2^53, in each of its 53 bits. */
function* flippedNumber(value: number): Generator<number> {
  for (let bit = 0n; bit < 53n; bit++) yield Number(BigInt(value) ^ (1n << bit));
}

/** A time in each bit of its milliseconds, as far as `YYYY-…` can name the result. */
function* flippedTime(text: string): Generator<string> {
  for (const ms of flippedNumber(parseTime(text))) {
    try {
      yield formatTime(ms);
    } catch {
      // Beyond the year 9999: no receipt can say it.
    }
  }
}

function* flippedText(text: string): Generator<string> {
  for (const bytes of flipped(Buffer.from(text, 'latin1'))) yield Buffer.from(bytes).toString('latin1');
}

type Edit = (copy: RoundReceipt) => void;

function* edits<T>(values: Iterable<T>, edit: (copy: RoundReceipt, value: T) => void): Generator<Edit> {
  for (const value of values) yield (copy) => edit(copy, value);
}

const [text = '', signatureLine = ''] = receipt.checkpoint.split('\n\n');
const [origin = '', size = '', root = ''] = text.split('\n');
const [dash = '', signer = '', signature = ''] = signatureLine.trim().split(' ');
const note = (change: {
  origin?: string;
  size?: string;
  root?: string;
  signer?: string;
  signature?: string;
}): string => {
  const all = { origin, size, root, signer, signature, ...change };
  return `${all.origin}\n${all.size}\n${all.root}\n\n${dash} ${all.signer} ${all.signature}\n`;
};
const [anchor] = knownAnchors(receipt);
if (anchor?.type !== 'evm' || anchor.status === 'submitted') throw new Error('the receipt has no anchor');
const onAnchor = (copy: RoundReceipt, change: Partial<typeof anchor>): void => {
  copy.anchors = [{ ...anchor, ...change }];
};

const lists: [string, readonly string[], (copy: RoundReceipt) => string[]][] = [
  ['inclusion.path', receipt.inclusion.path, (copy) => copy.inclusion.path],
  ['round.path', receipt.round.path, (copy) => copy.round.path],
  ['round.link.path', receipt.round.link.path, (copy) => copy.round.link.path],
];

const fields: Record<string, Iterable<Edit>> = {
  'entry.log': edits(flippedText(receipt.entry.log), (copy, value) => Object.assign(copy.entry, { log: value })),
  'entry.index': edits(flippedNumber(receipt.entry.index), (copy, value) =>
    Object.assign(copy.entry, { index: value }),
  ),
  'entry.receivedAt': edits(flippedTime(receipt.entry.receivedAt), (copy, value) =>
    Object.assign(copy.entry, { receivedAt: value }),
  ),
  'entry.digest': edits(flippedHex(receipt.entry.digest), (copy, value) =>
    Object.assign(copy.entry, { digest: value }),
  ),
  'entry.nonce': edits(flippedHex(receipt.entry.nonce), (copy, value) => Object.assign(copy.entry, { nonce: value })),
  'entry.previous': edits(flippedHex(receipt.entry.previous), (copy, value) =>
    Object.assign(copy.entry, { previous: value }),
  ),
  'inclusion.treeSize': edits(flippedNumber(receipt.inclusion.treeSize), (copy, value) =>
    Object.assign(copy.inclusion, { treeSize: value }),
  ),
  'checkpoint: origin': edits(flippedText(origin), (copy, value) => {
    copy.checkpoint = note({ origin: value });
  }),
  'checkpoint: size': edits(flippedNumber(Number(size)), (copy, value) => {
    copy.checkpoint = note({ size: String(value) });
  }),
  'checkpoint: root': edits(flipped(fromBase64(root)), (copy, value) => {
    copy.checkpoint = note({ root: toBase64(value) });
  }),
  'checkpoint: signature': edits(flipped(fromBase64(signature).slice(4)), (copy, value) => {
    copy.checkpoint = note({ signature: toBase64(concat(fromBase64(signature).slice(0, 4), value)) });
  }),
  'round.number': edits(flippedNumber(receipt.round.number), (copy, value) =>
    Object.assign(copy.round, { number: value }),
  ),
  'round.closedAt': edits(flippedTime(receipt.round.closedAt), (copy, value) =>
    Object.assign(copy.round, { closedAt: value }),
  ),
  'round.root': edits(flippedHex(receipt.round.root), (copy, value) => Object.assign(copy.round, { root: value })),
  'round.size': edits(flippedNumber(receipt.round.size), (copy, value) => Object.assign(copy.round, { size: value })),
  'round.index': edits(flippedNumber(receipt.round.index), (copy, value) =>
    Object.assign(copy.round, { index: value }),
  ),
  'round.link.previousRoot': edits(flippedHex(receipt.round.link.previousRoot), (copy, value) =>
    Object.assign(copy.round.link, { previousRoot: value }),
  ),
  'anchor.contract': edits(flippedHex(anchor.contract), (copy, value) => onAnchor(copy, { contract: value })),
  'anchor.transaction': edits(flippedHex(anchor.transaction), (copy, value) => onAnchor(copy, { transaction: value })),
  'anchor.block.number': edits(flippedNumber(anchor.block.number), (copy, value) =>
    onAnchor(copy, { block: { ...anchor.block, number: value } }),
  ),
  'anchor.block.time': edits(flippedTime(anchor.block.time), (copy, value) =>
    onAnchor(copy, { block: { ...anchor.block, time: value } }),
  ),
};
for (const [name, hashes, list] of lists) {
  for (const [i, hash] of hashes.entries()) {
    fields[`${name}[${i}]`] = edits(flippedHex(hash), (copy, value) => {
      list(copy)[i] = value;
    });
  }
}
for (const [i, beacon] of receipt.round.link.beacons.entries()) {
  const replace = (copy: RoundReceipt, change: Partial<typeof beacon>): void => {
    copy.round.link.beacons[i] = { ...beacon, ...change };
  };
  fields[`beacon[${i}].chain`] = edits(flippedText(beacon.chain), (copy, chain) => replace(copy, { chain }));
  fields[`beacon[${i}].height`] = edits(flippedNumber(beacon.height), (copy, height) => replace(copy, { height }));
  fields[`beacon[${i}].hash`] = edits(flippedHex(beacon.hash), (copy, hash) => replace(copy, { hash }));
}

const table: { field: string; bits: number; refuted: number; unproven: number; proven: number }[] = [];

async function tally(field: string, verdicts: AsyncIterable<Verdict>): Promise<(typeof table)[number]> {
  const row = { field, bits: 0, refuted: 0, unproven: 0, proven: 0 };
  for await (const verdict of verdicts) {
    row.bits++;
    row[verdict.result]++;
    if (verdict.result !== 'proven') expect(verdict.existedBefore).toBeNull();
  }
  table.push(row);
  return row;
}

async function* verdictsOf(changes: Iterable<Edit>, by: Trust = trust): AsyncGenerator<Verdict> {
  for (const edit of changes) {
    const copy = structuredClone(receipt);
    edit(copy);
    yield await verifyReceipt({ receipt: copy, payload }, by);
  }
}

describe('with a key and nodes of both chains', () => {
  test('unchanged: proven', async () => {
    const verdict = await verifyReceipt({ receipt, payload }, trust);
    expect(verdict.result).toBe('proven');
    expect(exitCode(verdict)).toBe(0);
  });

  test.each(Object.entries(fields))('%s: refuted by every bit', async (field, changes) => {
    const row = await tally(field, verdictsOf(changes));
    expect(row.bits).toBeGreaterThan(0);
    expect(row.refuted).toBe(row.bits);
  });

  test('checkpoint: signer, key id: a signature that is not by the given key is never proven', async () => {
    const signers = edits(flippedText(signer), (copy, value) => {
      copy.checkpoint = note({ signer: value });
    });
    const bytes = fromBase64(signature);
    const keyIds = edits(flipped(bytes.slice(0, 4)), (copy, value) => {
      copy.checkpoint = note({ signature: toBase64(concat(value, bytes.slice(4))) });
    });
    const [bySigner, byKeyId] = [
      await tally('checkpoint: signer', verdictsOf(signers)),
      await tally('checkpoint: key id', verdictsOf(keyIds)),
    ];
    expect([bySigner.bits, bySigner.proven]).toEqual([signer.length * BITS_OF_A_BYTE, 0]);
    expect([byKeyId.bits, byKeyId.unproven]).toEqual([4 * BITS_OF_A_BYTE, 4 * BITS_OF_A_BYTE]);
  });

  test('anchor.block.hash: unproven by every bit, since a reorganization can have moved the anchor there', async () => {
    const changes = edits(flippedHex(anchor.block.hash), (copy, hash) =>
      onAnchor(copy, { block: { ...anchor.block, hash } }),
    );
    const row = await tally('anchor.block.hash', verdictsOf(changes));
    expect([row.bits, row.unproven]).toEqual([32 * BITS_OF_A_BYTE, 32 * BITS_OF_A_BYTE]);
  });

  test('payload and digest given: refuted by every bit', async () => {
    const given = async function* (key: 'payload' | 'digest', right: Uint8Array): AsyncGenerator<Verdict> {
      for (const value of flipped(right)) yield await verifyReceipt({ receipt, [key]: value }, trust);
    };
    for (const [key, right] of [
      ['payload', payload],
      ['digest', fromHex(receipt.entry.digest)],
    ] as const) {
      const row = await tally(`${key} given`, given(key, right));
      expect([row.bits, row.refuted]).toEqual([right.length * BITS_OF_A_BYTE, right.length * BITS_OF_A_BYTE]);
    }
  });

  test('anchor.chain: never proven', async () => {
    const changes = edits(flippedText(anchor.chain), (copy, chain) => onAnchor(copy, { chain }));
    const row = await tally('anchor.chain', verdictsOf(changes));
    expect(row.bits).toBeGreaterThan(0);
    expect(row.proven).toBe(0);
  });

  test('anchor.status: a hint that changes nothing', async () => {
    for (const status of ['included', 'finalized'] as const) {
      const copy = structuredClone(receipt);
      onAnchor(copy, { status });
      expect(await verifyReceipt({ receipt: copy, payload }, trust)).toEqual(
        await verifyReceipt({ receipt, payload }, trust),
      );
    }
  });

  test('the file: no bit of its text can change and leave it proven', async () => {
    const fileText = JSON.stringify(receipt);
    const bytes = Buffer.from(fileText, 'utf8');
    const row = { field: 'the whole file', bits: 0, refuted: 0, unproven: 0, proven: 0 };
    const survivors: string[] = [];
    for (const changed of flipped(bytes)) {
      row.bits++;
      const changedText = Buffer.from(changed).toString('utf8');
      let result: Verdict['result'] = 'refuted';
      try {
        result = (await verifyReceipt({ receipt: parseReceiptText(changedText), payload }, trust)).result;
      } catch (error) {
        // What cannot be read as a receipt at all is no verdict but an error, on the command line not 0 either.
        if (!(error instanceof FormatError)) throw error;
      }
      row[result]++;
      if (result === 'proven') survivors.push(changedText);
    }
    table.push(row);
    expect(survivors).toEqual([]);
  }, 120_000);
});

const byHash = anchorAmong(round.root);
const { proof } = byHash;
if (proof === undefined) throw new Error('the anchor has no proof');
const onProof = (copy: RoundReceipt, change: Partial<typeof proof>): void => {
  copy.anchors = [{ ...byHash, proof: { ...proof, ...change } }];
};
const onBlock = (copy: RoundReceipt, change: Partial<typeof byHash>): void => {
  copy.anchors = [{ ...byHash, ...change }];
};
const proofFields: Record<string, Iterable<Edit>> = {
  'proven anchor.chain': edits(['eip155:1', 'eip155:31336', 'eip155:0'], (copy, chain) => onBlock(copy, { chain })),
  'proven anchor.contract': edits(flippedHex(byHash.contract), (copy, contract) => onBlock(copy, { contract })),
  'proven anchor.transaction': edits(flippedHex(byHash.transaction), (copy, transaction) =>
    onBlock(copy, { transaction }),
  ),
  'proven anchor.block.number': edits(flippedNumber(byHash.block.number), (copy, number) =>
    onBlock(copy, { block: { ...byHash.block, number } }),
  ),
  'proven anchor.block.hash': edits(flippedHex(byHash.block.hash), (copy, hash) =>
    onBlock(copy, { block: { ...byHash.block, hash } }),
  ),
  'proven anchor.block.time': edits(flippedTime(byHash.block.time), (copy, time) =>
    onBlock(copy, { block: { ...byHash.block, time } }),
  ),
  'proof.header': edits(flippedHex(proof.header), (copy, header) => onProof(copy, { header })),
  'proof.index': edits(flippedNumber(proof.index), (copy, index) => onProof(copy, { index })),
  'proof.logIndex': edits(flippedNumber(proof.logIndex), (copy, logIndex) => onProof(copy, { logIndex })),
};
for (const part of ['transaction', 'receipt'] as const) {
  for (const [i, node] of proof[part].entries()) {
    proofFields[`proof.${part}[${i}]`] = edits(flippedHex(node), (copy, value) =>
      onProof(copy, { [part]: proof[part].with(i, value) }),
    );
  }
}

describe('with the hash of the block alone', () => {
  const proven = { ...receipt, anchors: [byHash] };
  const byBlock: Trust = { blockHashes: [byHash.block.hash] };

  test('unchanged: proven', async () => {
    expect((await verifyReceipt({ receipt: proven, payload }, byBlock)).result).toBe('proven');
  });

  test.each(Object.entries(proofFields))('%s: refuted by every bit', async (field, changes) => {
    const row = await tally(field, verdictsOf(changes, byBlock));
    expect(row.bits).toBeGreaterThan(0);
    expect(row.refuted).toBe(row.bits);
  });

  test('the hash itself: proven by no other', async () => {
    const others = async function* (): AsyncGenerator<Verdict> {
      for (const hash of flippedHex(byHash.block.hash)) {
        yield await verifyReceipt({ receipt: proven, payload }, { blockHashes: [hash] });
      }
    };
    const row = await tally('block hash given', others());
    expect([row.bits, row.unproven]).toEqual([32 * BITS_OF_A_BYTE, 32 * BITS_OF_A_BYTE]);
  });
});

const bytesAlone: [string, string, (copy: RoundReceipt, value: string) => void][] = [
  ['entry.digest', receipt.entry.digest, (copy, value) => Object.assign(copy.entry, { digest: value })],
  ['entry.nonce', receipt.entry.nonce, (copy, value) => Object.assign(copy.entry, { nonce: value })],
  ['entry.previous', receipt.entry.previous, (copy, value) => Object.assign(copy.entry, { previous: value })],
  ['inclusion.path', receipt.inclusion.path[0] ?? '', (copy, value) => copy.inclusion.path.splice(0, 1, value)],
  ['round.root', receipt.round.root, (copy, value) => Object.assign(copy.round, { root: value })],
  ['round.path', receipt.round.path[0] ?? '', (copy, value) => copy.round.path.splice(0, 1, value)],
];

describe('with less trust', () => {
  test.each(bytesAlone)('%s: the bytes alone refute every bit', async (_field, value, edit) => {
    const results: Verdict['result'][] = [];
    for await (const { result } of verdictsOf(edits(flippedHex(value), edit), {})) results.push(result);
    expect(new Set(results)).toEqual(new Set(['refuted']));
    expect(results.length).toBeGreaterThanOrEqual(16 * BITS_OF_A_BYTE);
  });
});

test('the table', () => {
  console.table(table);
  const bits = table.reduce((sum, row) => sum + row.bits, 0);
  expect(bits).toBeGreaterThan(1_250 * BITS_OF_A_BYTE);
});
