// Receipts of every shape, each with one thing in it changed: a verdict may be worse than the truth, never better.

import { afterAll, expect, test } from 'vitest';
import { fromBase64, fromHex, toBase64, utf8 } from '../../src/core/bytes.ts';
import { FormatError } from '../../src/core/errors.ts';
import type { Anchor, PendingReceipt, Receipt, RoundReceipt } from '../../src/core/receipt.ts';
import { formatTime, parseTime } from '../../src/core/time.ts';
import type { Verdict } from '../../src/core/verdict.ts';
import { verdictSchema } from '../../src/core/verdict-schema.ts';
import { serializeTimestamp } from '../../src/ots/serialization.ts';
import { TimestampBuilder } from '../../src/ots/timestamp.ts';
import { type Trust, type VerifyInput, verifyReceipt, verifyReceipts } from '../../src/verify/verify.ts';
import { anchorAmong } from '../support/blocks.ts';
import { MemoryBitcoin, TESTNET, way } from '../support/memory-bitcoin.ts';
import { CONTRACT, EPOCH, MemoryChain, MemoryLog, MemoryRound, seeded } from '../support/receipts.ts';

/** A true receipt, its content, and a trust that bears out what can be borne out. */
interface Shape {
  readonly name: string;
  readonly receipt: Receipt;
  readonly payload: Uint8Array;
  readonly trust: Trust;
}

const log = new MemoryLog('payments');
const other = new MemoryLog('audit');
for (let i = 0; i < 37; i++) log.append(`payment ${i}`);
for (let i = 0; i < 5; i++) other.append(`act ${i}`);
const bare = new MemoryLog('bare');
bare.append('the only entry', { nonce: new Uint8Array(0) });

const main = new MemoryChain('eip155:1');
const local = new MemoryChain();
for (let i = 0; i < 3; i++) for (const chain of [main, local]) chain.mine();
const round = new MemoryRound([log, other, bare], { number: 7, beacons: [main.beacon(), local.beacon()] });
const known = local.anchor(round.root);
local.mine();
const included = anchorAmong(round.root, 9, 5);
const bitcoin = new MemoryBitcoin();
const confirmed = bitcoin.anchor(round.root);
const testnet = new MemoryBitcoin(TESTNET);
const tested = testnet.anchor(round.root);
const stamped = testnet.header(tested.blocks[0]?.height ?? 0);
const waiting = new TimestampBuilder(round.root);
waiting.follow(way('calendar')).attest({ kind: 'pending', uri: 'https://calendar.example' });
const pendingOts: Anchor = {
  type: 'opentimestamps',
  status: 'pending',
  timestamp: toBase64(serializeTimestamp(waiting.finish())),
};
const submitted: Anchor = {
  type: 'evm',
  chain: 'eip155:31337',
  contract: CONTRACT,
  transaction: `0x${Buffer.from(seeded('sent')).toString('hex')}`,
  status: 'submitted',
};
const key = { key: log.verifierKey };
const nodes = { ...key, evm: [main, local] };

/** @param index of the entry, which differs from shape to shape */
function shape(name: string, index: number, trust: Trust, anchors: Anchor[] | null, of = log): Shape {
  const receipt: PendingReceipt | RoundReceipt =
    anchors === null ? of.receipt(index) : round.receipt(of, index, anchors);
  return { name, receipt, payload: of.entry(index).payload, trust: { now: EPOCH + 86_400_000, ...trust } };
}

const SHAPES: Shape[] = [
  shape('before its round', 0, key, null),
  {
    ...shape('before its round, expected', 36, key, null),
    receipt: { ...log.receipt(36), expectedBy: formatTime(EPOCH) },
  },
  shape('the only entry, unblinded', 0, { key: bare.verifierKey }, null, bare),
  shape('no anchor yet', 11, nodes, []),
  shape('sent', 12, nodes, [submitted]),
  shape('by a node', 13, nodes, [known]),
  shape('by a node, no key', 14, { evm: [local] }, [known]),
  shape('nobody asked', 15, {}, [known]),
  shape('by a block hash', 16, { ...key, blockHashes: [included.block.hash] }, [included]),
  shape('proof, nobody asked', 17, key, [included]),
  shape('OpenTimestamps pending', 18, { ...nodes, bitcoin: [bitcoin] }, [pendingOts]),
  shape('OpenTimestamps by a node', 19, { ...nodes, bitcoin: [bitcoin] }, [confirmed]),
  shape('OpenTimestamps by a block hash', 20, { ...key, blockHashes: [(await stamped)?.hash ?? ''] }, [tested]),
  shape('all at once', 21, { ...nodes, bitcoin: [bitcoin], blockHashes: [included.block.hash] }, [
    known,
    included,
    confirmed,
    pendingOts,
  ]),
  shape('the only entry, anchored', 0, { key: bare.verifierKey, evm: [main, local] }, [known], bare),
];

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
type Path = readonly (string | number)[];

interface Mutation {
  readonly field: string;
  readonly receipt: unknown;
}

const copy = (receipt: Receipt): Json => JSON.parse(JSON.stringify(receipt));

/** The receipt with another value at a place; undefined: with nothing there. */
function replaced(receipt: Receipt, path: Path, value: Json | undefined): unknown {
  const change = (at: Json, [step, ...rest]: Path): Json => {
    if (step === undefined) return value ?? null;
    if (Array.isArray(at)) {
      const next = rest.length === 0 ? (value === undefined ? [] : [value]) : [change(at[Number(step)] ?? null, rest)];
      return at.toSpliced(Number(step), 1, ...next);
    }
    if (typeof at !== 'object' || at === null) throw new Error(`no ${path.join('.')}`);
    const { [step]: old = null, ...others } = at;
    if (rest.length === 0) return value === undefined ? others : { ...at, [step]: value };
    return { ...at, [step]: change(old, rest) };
  };
  return change(copy(receipt), path);
}

const at = (text: string, place: number, characters: string): string => {
  const index = place % text.length;
  const now = characters.indexOf(text[index] ?? '');
  return text.slice(0, index) + (characters[(now + 1) % characters.length] ?? '0') + text.slice(index + 1);
};
const HEX = '0123456789abcdef';

/** What a value is changed to. @param salt which of the ways, and where */
function changed(field: string, value: Json, salt: number): Json {
  if (typeof value === 'number')
    return [value + 1, Math.max(0, value - 1) || value + 2, value + 2 ** 33][salt % 3] ?? 0;
  if (typeof value !== 'string') throw new Error(`nothing to change in ${field}`);
  if (field === 'entry.nonce' && value === '') return '00'.repeat(16);
  if (/^\d{4}-/.test(value)) return formatTime(parseTime(value) + ([1, -1, 86_400_000][salt % 3] ?? 1));
  if (field.endsWith('.timestamp')) {
    const bytes = fromBase64(value);
    return toBase64(bytes.map((byte, i) => (i === (salt * 31) % bytes.length ? byte ^ (1 << (salt % 8)) : byte)));
  }
  const statuses = ['submitted', 'included', 'finalized', 'pending', 'confirmed'];
  if (field.endsWith('.status')) return statuses[(statuses.indexOf(value) + 1 + (salt % 4)) % 5] ?? '';
  if (field.endsWith('.type')) return value === 'evm' ? 'opentimestamps' : 'evm';
  if (field === 'format') return 'antequem-receipt/v2';
  if (value.startsWith('0x')) return `0x${at(value.slice(2), salt * 17, HEX)}`;
  if (/^[0-9a-f]+$/.test(value)) return at(value, salt * 17, HEX);
  const digit = value.search(/\d+$/);
  return field.endsWith('.chain') && digit >= 0 ? at(value, digit, HEX) : at(value, salt * 7, 'abcdefghij');
}

/** The parts of the note, each a field of its own. */
function noteMutations(receipt: Receipt, salt: number): Mutation[] {
  const [origin = '', size = '', root = '', , line = ''] = receipt.checkpoint.split('\n');
  const [, name = '', signature = ''] = line.split(' ');
  const bytes = fromBase64(signature);
  const flipped = (place: number): string => toBase64(bytes.map((byte, i) => (i === place ? byte ^ 1 : byte)));
  const changes: [string, string][] = [
    ['checkpoint: origin', receipt.checkpoint.replace(origin, at(origin, salt, 'abcdefghij'))],
    ['checkpoint: size', receipt.checkpoint.replace(`\n${size}\n`, `\n${Number(size) + 1}\n`)],
    [
      'checkpoint: root',
      receipt.checkpoint.replace(
        root,
        toBase64(fromBase64(root).map((byte, i) => (i === salt % 32 ? byte ^ 1 : byte))),
      ),
    ],
    ['checkpoint: signer', receipt.checkpoint.replace(`— ${name}`, `— ${at(name, salt, 'abcdefghij')}`)],
    ['checkpoint: key id', receipt.checkpoint.replace(signature, flipped(salt % 4))],
    ['checkpoint: signature', receipt.checkpoint.replace(signature, flipped(4 + (salt % 64)))],
    ['checkpoint: no signature', receipt.checkpoint.slice(0, receipt.checkpoint.lastIndexOf('—'))],
    ['checkpoint: an extension line', receipt.checkpoint.replace('\n\n', '\nmore\n\n')],
  ];
  return changes.map(([field, checkpoint]) => ({ field, receipt: { ...receipt, checkpoint } }));
}

/** Every field of a receipt with one change; lists with one item fewer and one twice; objects with a field fewer and more. */
function mutations(receipt: Receipt, salt: number): Mutation[] {
  const found: Mutation[] = [];
  let count = salt;
  const name = (path: Path): string =>
    path.map((step, i) => (typeof step === 'number' ? '[]' : i === 0 ? step : `.${step}`)).join('');
  const walk = (value: Json, path: Path): void => {
    const field = name(path);
    if (field === 'checkpoint') return void found.push(...noteMutations(receipt, salt));
    const add = (label: string, to: Json | undefined): void =>
      void found.push({ field: label, receipt: replaced(receipt, path, to) });
    if (typeof value !== 'object' || value === null) {
      add(field, changed(field, value, count++));
      if (field !== 'format') add(`${field}: missing`, undefined);
      return;
    }
    if (Array.isArray(value)) {
      const [first] = value;
      if (first !== undefined) {
        add(`${field}: one fewer`, value.slice(1));
        add(`${field}: one twice`, [first, ...value]);
      }
      for (const [i, item] of value.entries()) walk(item, [...path, i]);
      return;
    }
    if (path.length > 0) add(`${field}: a field more`, { ...value, more: 1 });
    for (const [each, item] of Object.entries(value)) walk(item, [...path, each]);
  };
  walk(copy(receipt), []);
  return found;
}

const RANK = { refuted: 0, unproven: 1, proven: 2 } as const;
type Outcome = 'refuted' | 'less' | 'the same' | 'no receipt';

/**
 * What a sentence claims. That no key confirms it is less than that one does, and what it gives as the receipt's word it
 * does not claim.
 */
function told(says: string): string {
  return says
    .replace(/(; no key confirms .*|, signed with the given key)\.$/, '')
    .replace(/by the proof block \d+ of \S+: (?=.*its header does not say chain and height)/, '');
}

/** Fails where a verdict says more than the truth. */
function judge(mutation: Verdict, truth: Verdict, label: string): Outcome {
  expect.soft(RANK[mutation.result], label).toBeLessThanOrEqual(RANK[truth.result]);
  if (mutation.existedBefore !== null) {
    const { time } = mutation.existedBefore;
    expect.soft(time >= (truth.existedBefore?.time ?? '9'), `${label}: ${time} is too early`).toBe(true);
  }
  expect.soft([null, truth.notBefore?.time], label).toContain(mutation.notBefore?.time ?? null);
  for (const claim of mutation.claims.filter(({ status }) => status === 'verified')) {
    const bears = truth.claims.some(
      ({ status, time, says }) => status === 'verified' && time === claim.time && told(says) === told(claim.says),
    );
    expect.soft(bears, `${label}: ${claim.says}`).toBe(true);
  }
  if (mutation.result === 'refuted' && truth.result !== 'refuted') return 'refuted';
  return JSON.stringify(mutation.claims) === JSON.stringify(truth.claims) ? 'the same' : 'less';
}

const table = new Map<string, Record<Outcome, number>>();
const count = (field: string, outcome: Outcome): void => {
  const row = table.get(field) ?? { refuted: 0, less: 0, 'the same': 0, 'no receipt': 0 };
  row[outcome]++;
  table.set(field, row);
};
const KEYLESS = ['by a node, no key', 'nobody asked'];
const CARRIED = ['OpenTimestamps by a node', 'OpenTimestamps by a block hash', 'all at once'];

/** What can be changed without any claim noticing, and in which shapes. */
const UNNOTICED = {
  // Hints, which no claim rests on.
  expectedBy: ['before its round, expected'],
  'expectedBy: missing': ['before its round, expected'],
  'anchors[].status': ['by a node', 'proof, nobody asked', 'all at once'],
  'anchors[].blocks: one twice': CARRIED,
  // What a newer service may say of an anchor.
  'anchors[]: a field more': [
    'sent',
    'by a node',
    'by a node, no key',
    'nobody asked',
    'by a block hash',
    'proof, nobody asked',
    'OpenTimestamps pending',
    ...CARRIED,
    'the only entry, anchored',
  ],
  'anchors[].block: a field more': [
    'by a node',
    'by a node, no key',
    'nobody asked',
    'by a block hash',
    'proof, nobody asked',
    'all at once',
    'the only entry, anchored',
  ],
  'anchors[].proof: a field more': ['by a block hash', 'proof, nobody asked', 'all at once'],
  'anchors[].blocks[]: a field more': CARRIED,
  // Signed, and no key was given.
  'checkpoint: signer': KEYLESS,
  'checkpoint: key id': KEYLESS,
  'checkpoint: signature': KEYLESS,
  // For a node to check, and none was asked, or none has it yet: the anchor is unverified.
  'anchors[].contract': ['sent', 'nobody asked'],
  'anchors[].transaction': ['sent', 'nobody asked'],
  'anchors[].block.number': ['nobody asked'],
  'anchors[].block.hash': ['nobody asked'],
  'anchors[].block.time': ['nobody asked'],
};

/** Changes that no claim noticed: shapes by field. */
const unnoticed = new Map<string, Set<string>>();
let receipts = 0;

test.each(SHAPES)('$name', async ({ name, receipt, payload, trust }) => {
  const truth = verdictSchema.parse(await verifyReceipt({ receipt, payload }, trust));
  expect(truth.claims.filter(({ status }) => status === 'refuted')).toEqual([]);
  const inputs: { field: string; input: VerifyInput }[] = [
    ...mutations(
      receipt,
      SHAPES.findIndex((each) => each.name === name),
    ).map((mutation) => ({
      field: mutation.field,
      input: { receipt: mutation.receipt, payload },
    })),
    { field: 'the content', input: { receipt, payload: utf8('something else') } },
    { field: 'the digest given', input: { receipt, payload, digest: fromHex('00'.repeat(32)) } },
  ];
  const single: (Verdict | FormatError)[] = [];
  for (const { field, input } of inputs) {
    const verdict = await verifyReceipt(input, trust).catch((error: unknown) => {
      if (error instanceof FormatError && error.code === 'receipt-invalid') return error;
      throw error;
    });
    single.push(verdict);
    receipts++;
    if (verdict instanceof FormatError) count(field, 'no receipt');
    else {
      const outcome = judge(verdictSchema.parse(verdict), truth, `${name}, ${field}`);
      count(field, outcome);
      if (outcome === 'the same') unnoticed.set(field, (unnoticed.get(field) ?? new Set()).add(name));
    }
  }
  // Together, and true ones among them: what was found of one must not rub off on another.
  const mixed = inputs.flatMap(({ input }) => [{ receipt, payload }, input]);
  const answers: (Verdict | FormatError)[] = [];
  for await (const answer of verifyReceipts(mixed, trust))
    answers.push('verdict' in answer ? answer.verdict : answer.error);
  expect(answers.filter((_, i) => i % 2 === 0)).toEqual(inputs.map(() => truth));
  expect(answers.filter((_, i) => i % 2 === 1)).toEqual(single);
});

test('every field was changed, and what can be changed unnoticed is known', () => {
  expect(receipts).toBeGreaterThanOrEqual(300);
  expect(Object.fromEntries([...unnoticed].map(([field, shapes]) => [field, [...shapes]]))).toEqual(UNNOTICED);
});

afterAll(() => {
  const rows = [...table].map(([field, row]) => ({
    field,
    changes: Object.values(row).reduce((a, b) => a + b),
    ...row,
  }));
  console.log(`${receipts} receipts with one change each`);
  console.table(rows);
});
