import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { describe, expect, test } from 'vitest';
import { concat, fromBase64, toBase64, utf8 } from '../../src/core/bytes.ts';
import { formatCheckpoint } from '../../src/core/checkpoint.ts';
import { cosignatureOf, cosignedText, formatWitnessKey, parseWitnessKey } from '../../src/core/cosignature.ts';
import { hashLeaf, MerkleTree } from '../../src/core/merkle.ts';
import { formatNote, formatSignature, formatVerifierKey, noteKeyId, parseNote } from '../../src/core/note.ts';
import { type Policy, parsePolicy } from '../../src/core/policy.ts';
import { formatTlogProof, receiptTlogProof } from '../../src/core/tlog-proof.ts';
import { VERDICT_CODES } from '../../src/core/verdict.ts';
import { verdictSchema } from '../../src/core/verdict-schema.ts';
import { verifyTlogProof } from '../../src/verify/tlog-proof.ts';
import type { Trust } from '../../src/verify/trust.ts';
import { MemoryLog, provenReceipt, seeded } from '../support/receipts.ts';
import { TLOG_CODES } from './tlog-codes.ts';

const { receipt, log, payload } = provenReceipt();
const TIME = 1_782_900_000;

/** A witness's key pair, by Node's own Ed25519. */
function witness(name: string) {
  const seed = createHash('sha256').update(name).digest();
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const secret = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  const publicKey = new Uint8Array(createPublicKey(secret).export({ format: 'der', type: 'spki' }).subarray(-32));
  const vkey = formatWitnessKey(name, publicKey);
  const cosign = (note: string): string => {
    const message = cosignedText(parseNote(note).text, TIME);
    return formatSignature(
      cosignatureOf(parseWitnessKey(vkey), TIME, new Uint8Array(sign(null, Buffer.from(message), secret))),
    );
  };
  return { vkey, cosign };
}

const [north, east, west] = [witness('north.example'), witness('east.example'), witness('west.example')];
const policy = (quorum: string, logs: readonly string[] = []): Policy =>
  parsePolicy(
    utf8(
      [
        ...logs.map((vkey) => `log ${vkey}`),
        `witness north ${north.vkey}`,
        `witness east ${east.vkey}`,
        `witness west ${west.vkey}`,
        'group two 2 north east west',
        `quorum ${quorum}`,
        '',
      ].join('\n'),
    ),
  );

const cosigned = [north, west].reduce((note, { cosign }) => `${note}${cosign(receipt.checkpoint)}`, receipt.checkpoint);
const proof = formatTlogProof(receiptTlogProof({ ...receipt, checkpoint: cosigned }));
const seen = new Set<string>();

function claims(
  trust: Trust,
  text = proof,
  content: { payload?: Uint8Array; digest?: Uint8Array } = { payload },
): string[] {
  const verdict = verdictSchema.parse(verifyTlogProof({ proof: text, ...content }, trust));
  expect(verdict.existedBefore).toBeNull();
  const refuted = verdict.claims.some(({ status }) => status === 'refuted');
  expect(verdict.result).toBe(refuted ? 'refuted' : 'unproven');
  for (const { code } of verdict.claims) seen.add(code);
  return verdict.claims.map(({ code }) => code);
}

const GOOD = ['content-matches', 'position-by-key', 'signature-holds', 'witnesses-enough', 'operators-word'];

describe('a proof that holds', () => {
  test('by the key of the log and a policy', () => {
    expect(claims({ key: log.verifierKey, policy: policy('two') })).toEqual(GOOD);
    expect(claims({ policy: policy('two', [log.verifierKey]) })).toEqual(GOOD);
    const digest = new Uint8Array(createHash('sha256').update(payload).digest());
    expect(claims({ policy: policy('two', [log.verifierKey]) }, proof, { digest })).toEqual(GOOD);
  });

  test('says what it says without any trust, and without the content', () => {
    expect(claims({}, proof, {})).toEqual([
      'content-not-given',
      'position-by-bytes',
      'key-not-given',
      'operators-word',
    ]);
  });

  test('names who cosigned', () => {
    const { claims } = verifyTlogProof({ proof, payload }, { policy: policy('east', [log.verifierKey]) });
    expect(claims[3]).toMatchObject({
      status: 'unverified',
      says: 'Witnesses that cosigned the checkpoint, of the 3 in the given policy: north, west; the policy asks for more.',
    });
    expect(claims[4]).toMatchObject({ claim: 'received-at', status: 'unverified', time: receipt.entry.receivedAt });
    seen.add('witnesses-too-few');
  });

  test('of an unblinded log', () => {
    const bare = new MemoryLog('bare');
    for (const text of ['one', 'two']) bare.append(text, { nonce: new Uint8Array(0) });
    const text = formatTlogProof(receiptTlogProof(bare.receipt(1)));
    expect(claims({ key: bare.verifierKey }, text, { payload: utf8('two') })).toEqual([
      'content-matches',
      'position-by-key',
      'signature-holds',
      'operators-word',
    ]);
  });
});

describe('what does not hold', () => {
  const trust = { key: log.verifierKey, policy: policy('two') };
  const [, extra = '', index = '', first = ''] = proof.split('\n');
  const flipped = (text: string, at: number): string => {
    const bytes = fromBase64(text);
    return toBase64(bytes.map((byte, i) => (i === at ? byte ^ 1 : byte)));
  };
  const withExtra = (at: number): string => proof.replace(extra, `extra ${flipped(extra.slice(6), at)}`);
  const altered = (name: string): string => {
    const line = new RegExp(`(— ${name} )(\\S+)`).exec(proof);
    return proof.replace(line?.[0] ?? '', `${line?.[1]}${flipped(line?.[2] ?? '', 40)}`);
  };
  test.each<[string, string, string[]]>([
    ['a payload of another entry', proof, ['content-differs', 'position-by-key']],
    ['the version', withExtra(0), ['content-not-given', 'leaf-unknown']],
    ['the time', withExtra(8), ['content-matches', 'position-broken']],
    ['the entry before', withExtra(20), ['content-matches', 'position-broken']],
    ['the commitment', withExtra(72), ['content-differs', 'position-broken']],
    ['the nonce', withExtra(80), ['content-differs', 'position-by-key']],
    ['no extra data', proof.replace(`${extra}\n`, ''), ['content-differs', 'leaf-unknown']],
    ['the index', proof.replace(index, 'index 4'), ['content-matches', 'position-broken']],
    ['a hash', proof.replace(first, flipped(first, 0)), ['content-matches', 'position-broken']],
    ['a hash that is none', proof.replace(`${first}\n`, 'AAAA\n'), ['tlog-proof-invalid']],
    ['a hash too few', proof.replace(`${first}\n`, ''), ['content-matches', 'position-broken']],
    ['the size', proof.replace('\n13\n', '\n30\n'), ['content-matches', 'position-broken', 'signature-broken']],
    ['the signature of the log', altered(log.origin), ['content-matches', 'position-by-bytes', 'signature-broken']],
    [
      'the signature of a witness',
      altered('west.example'),
      ['content-matches', 'position-by-key', 'signature-holds', 'witness-signature-broken'],
    ],
  ])('%s', (what, text, codes) => {
    if (!what.startsWith('a payload')) expect(text).not.toBe(proof);
    const content = what.startsWith('a payload') ? { payload: utf8('another') } : { payload };
    expect(claims(trust, text, content).slice(0, codes.length)).toEqual(codes);
  });

  test('the key of another log, and none that signed', () => {
    expect(claims({ key: new MemoryLog('other').verifierKey })).toContain('key-not-for-this-log');
    const stranger = new MemoryLog('payments', { secret: new Uint8Array(32).fill(3) });
    expect(claims({ key: stranger.verifierKey })).toContain('signature-by-another-key');
    // Of several keys of the log one is enough, as after a change of keys.
    expect(claims({ policy: policy('none', [stranger.verifierKey, log.verifierKey]) })).toContain('signature-holds');
  });

  test('what does not say it is a tlog-proof is an error', () => {
    for (const text of ['', '{}', proof.slice(1)]) {
      expect(() => verifyTlogProof({ proof: text }, {})).toThrow(
        expect.objectContaining({ code: 'tlog-proof-invalid' }),
      );
    }
  });
});

describe('a proof of a log that is not ours', () => {
  const records = ['a', 'content', 'c'].map(utf8);
  const tree = new MerkleTree(concat(...records.map(hashLeaf)));
  const [secret, origin] = [new Uint8Array(32).fill(9), 'foreign.example/log'];
  const text = formatCheckpoint({ origin, size: 3, root: tree.root() });
  const publicKey = ed25519.getPublicKey(secret);
  const key = formatVerifierKey(origin, publicKey);
  const keyId = noteKeyId(origin, publicKey);
  const checkpoint = formatNote({
    text,
    signatures: [{ name: origin, keyId, signature: ed25519.sign(utf8(text), secret) }],
  });
  const foreign = (extra: Uint8Array | null): string =>
    formatTlogProof({ index: 1, path: tree.inclusionPath(1), extra, checkpoint });

  test.each<[string, Uint8Array | null, { payload?: Uint8Array; digest?: Uint8Array }, string[]]>([
    [
      'the content is the leaf',
      null,
      { payload: utf8('content') },
      ['content-matches', 'position-by-key', 'signature-holds'],
    ],
    [
      'whatever the extra data are',
      utf8('theirs'),
      { payload: utf8('content') },
      ['content-matches', 'position-by-key'],
    ],
    ['with its newline', null, { payload: utf8('content\n') }, ['content-re-ended', 'leaf-unknown']],
    ['of something else', null, { payload: utf8('contents') }, ['content-differs', 'leaf-unknown']],
    [
      'with extra data that say how',
      utf8('theirs'),
      { payload: utf8('contents') },
      ['content-not-given', 'leaf-unknown'],
    ],
    ['without the content', null, {}, ['content-not-given', 'leaf-unknown', 'signature-holds']],
    ['by the digest alone', null, { digest: seeded('x') }, ['content-not-given', 'leaf-unknown']],
  ])('%s', (_, extra, content, codes) => {
    expect(claims({ key }, foreign(extra), content).slice(0, codes.length)).toEqual(codes);
    expect(claims({ key }, foreign(extra), content)).not.toContain('operators-word');
  });
});

test('a policy that asks for no witness says nothing about other histories', () => {
  const codes = claims({ policy: policy('none', [log.verifierKey]) });
  expect(codes).toEqual([
    'content-matches',
    'position-by-key',
    'signature-holds',
    'witnesses-not-required',
    'operators-word',
  ]);
});

test('every code of its own has shown itself', () => {
  expect(TLOG_CODES.filter((code) => !seen.has(code) || VERDICT_CODES[code] === undefined)).toEqual([]);
});
