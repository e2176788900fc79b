import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { fromBase64, fromHex, toHex, utf8 } from '../../src/core/bytes.ts';
import { type Cbor, CborTag, decodeCbor, encodeCbor, isCborArray } from '../../src/core/cbor.ts';
import { coseThumbprint, encodeCoseKeySet, parseCoseKey } from '../../src/core/cose-key.ts';
import { type CoseReceipt, coseMessage, encodeCoseReceipt, parseCoseReceipt } from '../../src/core/cose-receipt.ts';
import { encodeOpenEntry } from '../../src/core/entry.ts';
import { formatVerifierKey } from '../../src/core/note.ts';
import { VERDICT_CODES } from '../../src/core/verdict.ts';
import { verdictSchema } from '../../src/core/verdict-schema.ts';
import { LogSeed } from '../../src/log/seed.ts';
import { type GivenTrees, nextSteps, type Trust, verify } from '../../src/verify/verify.ts';
import { MemoryLog, SERVICE, seeded } from '../support/receipts.ts';
import { COSE_CODES } from './cose-codes.ts';

const SIZE = 13;
const log = new MemoryLog('cose');
for (let i = 0; i < SIZE; i++) log.append(`line ${i}`);
const seed = new LogSeed(seeded('seed'));
const signer = seed.signer(log.origin);
const key = signer.cose.verifierKey;
const header = { keyId: signer.cose.keyId, issuer: SERVICE, log: log.origin };

async function receiptOf(index: number, size = SIZE): Promise<CoseReceipt> {
  const { tree } = log;
  const signature = await signer.cose.sign(coseMessage(header, tree.root(size)));
  const entry = encodeOpenEntry(log.receipt(index).entry);
  const path = tree.inclusionPath(index, size);
  return { ...header, proof: { kind: 'inclusion', treeSize: size, index, path }, signature, entry };
}

const receipt = await receiptOf(4);
const cose = encodeCoseReceipt(receipt);
const payload = 'line 4';
const seen = new Set<string>();

async function claims(proof: Uint8Array, trust: Trust = { key }, content: object = { payload }): Promise<string[]> {
  const verdict = verdictSchema.parse(await verify({ proof, ...content }, trust));
  expect([verdict.existedBefore, verdict.result === 'proven']).toEqual([null, false]);
  const codes = verdict.claims.map(({ code }) => code);
  for (const code of codes) seen.add(code);
  return codes;
}

const GOOD = ['content-matches', 'cose-position-by-key', 'cose-signature-holds', 'operators-word'];
const altered = (change: Partial<CoseReceipt>): Uint8Array => encodeCoseReceipt({ ...receipt, ...change });

describe('a COSE receipt', () => {
  test('with the content and the key: the place is signed, and no time is proven', async () => {
    expect(await claims(cose)).toEqual(GOOD);
    const verdict = await verify({ proof: cose, payload }, { key });
    expect([verdict.result, nextSteps(verdict)]).toEqual(['unproven', [{ step: 'receipt' }]]);
  });

  test('of every entry of every size of the log', async () => {
    for (let size = 2; size <= SIZE; size++) {
      for (let index = 0; index < size; index++) {
        const proof = encodeCoseReceipt(await receiptOf(index, size));
        expect(await claims(proof, { key }, { payload: `line ${index}` })).toEqual(GOOD);
      }
    }
  });

  test('about other content, by its digest, and about none', async () => {
    expect(await claims(cose, { key }, { payload: 'line 5' })).toContain('content-differs');
    expect(await claims(cose, { key }, { payload: 'line 4\n' })).toContain('content-re-ended');
    expect(await claims(cose, { key }, { digest: seeded('other') })).toContain('content-differs');
    expect(await claims(cose, { key }, {})).toContain('content-not-given');
  });

  test('without a key, by another one, by that of another log or of checkpoints', async () => {
    const open = ['content-matches', 'cose-position-unchecked'];
    expect(await claims(cose, {})).toEqual([...open, 'key-not-given', 'operators-word']);
    const second = seed.signer(log.origin, 2).cose.verifierKey;
    expect(await claims(cose, { key: second })).toEqual([...open, 'signature-by-another-key', 'operators-word']);
    const others = seed.signer(`${SERVICE}/logs/other`);
    for (const foreign of [others.cose.verifierKey, signer.verifierKey]) {
      expect(await claims(cose, { key: foreign })).toEqual([...open, 'key-not-for-this-log', 'operators-word']);
    }
    await expect(verify({ proof: cose }, { key: 'nonsense' })).rejects.toMatchObject({ code: 'verifier-key' });
    const checkpoint = log.receipt(4);
    await expect(verify({ proof: checkpoint }, { key })).rejects.toMatchObject({ code: 'verifier-key' });
  });

  test('without the entry says which one to get', async () => {
    const bare = altered({ entry: null });
    expect(await claims(bare)).toEqual(['content-not-given', 'cose-entry-missing']);
    expect(nextSteps(await verify({ proof: bare }, {}))[0]).toEqual({ step: 'entry' });
  });

  const message = decodeCbor(cose);
  const parts = message instanceof CborTag && isCborArray(message.value) ? message.value : [];
  test.each<[string, readonly Cbor[]]>([
    ['no header', [null, ...parts.slice(1)]],
    ['a header that is a map', [new Map(), ...parts.slice(1)]],
    ['no map', [parts[0] ?? null, null, ...parts.slice(2)]],
    ['no signature', parts.slice(0, 3)],
    ['one part more', [...parts, null]],
    ['no parts', []],
  ])('of another shape: %s', async (_, other) => {
    expect(parts).toHaveLength(4);
    expect(() => parseCoseReceipt(encodeCbor(new CborTag(18, other)))).toThrow(
      expect.objectContaining({ name: 'FormatError', code: 'cose-receipt-invalid' }),
    );
  });

  test.each<[string, Partial<CoseReceipt>, string]>([
    ['another signature', { signature: seeded('a').slice(0, 0) }, 'cose-receipt-invalid'],
    ['a signature of zeros', { signature: new Uint8Array(64) }, 'cose-signature-broken'],
    ['another issuer', { issuer: 'evil.example' }, 'cose-signature-broken'],
    ['another index', { proof: { ...log13(), index: 6 } }, 'cose-signature-broken'],
    ['an index beyond', { proof: { ...log13(), index: 13 } }, 'cose-path-broken'],
    ['a path cut', { proof: { ...log13(), path: log13().path.slice(1) } }, 'cose-path-broken'],
    ['an empty path', { proof: { ...log13(), path: [] } }, 'cose-receipt-invalid'],
    ['an entry cut', { entry: (receipt.entry ?? new Uint8Array(0)).slice(1) }, 'cose-receipt-invalid'],
    ['consistency', { proof: { kind: 'consistency', from: 3, to: 13, path: [seeded('a')] } }, 'cose-consistency'],
  ])('%s', async (_, change, code) => {
    const codes = await claims(altered(change));
    expect(codes).toContain(code);
    expect(codes).not.toContain('cose-position-by-key');
  });

  test('of an entry that does not name the one before it', async () => {
    const proof = { ...log13(), index: 5, path: log.tree.inclusionPath(5) };
    const entry = encodeOpenEntry({ ...log.receipt(5).entry, previous: toHex(seeded('nowhere')) });
    expect(await claims(altered({ proof, entry }), { key }, {})).toContain('previous-differs');
  });

  test('no changed byte leaves it as good as it was, but in the size, which nothing signs', async () => {
    const sizes: number[] = [];
    for (let i = 0; i < cose.length; i++) {
      const changed = cose.slice();
      changed[i] = (changed[i] ?? 0) ^ 0x01;
      const codes = await claims(changed).catch(() => ['not a proof at all']);
      if (JSON.stringify(codes) !== JSON.stringify(GOOD)) continue;
      const { proof } = parseCoseReceipt(changed);
      sizes.push(proof.kind === 'inclusion' && proof.index === 4 ? proof.treeSize : -1);
    }
    // A tree of 12 leaves has a path of the same shape to leaf 4.
    expect(sizes).toEqual([12]);
  });

  test.each<[string, (message: Map<string, Cbor>) => Cbor[]]>([
    ['an attached payload', (m) => [at(m, 'header'), at(m, 'unprotected'), seeded('root'), at(m, 'signature')]],
    ['another algorithm', (m) => [encodeCbor(new Map([[1, -7]])), at(m, 'unprotected'), null, at(m, 'signature')]],
    ['another header', (m) => [at(m, 'header'), new Map<number, Cbor>([[33, 1]]), null, at(m, 'signature')]],
    [
      'proofs of another kind',
      (m) => [at(m, 'header'), new Map<number, Cbor>([[396, new Map([[-3, []]])]]), null, at(m, 'signature')],
    ],
  ])('of another kind (%s) is not read, and not refuted', async (_, make) => {
    const message = decodeCbor(cose);
    if (!(message instanceof CborTag) || !Array.isArray(message.value)) throw new Error('no message');
    const [protectedHeader, unprotected, , signature] = message.value;
    const parts = new Map<string, Cbor>([
      ['header', protectedHeader],
      ['unprotected', unprotected],
      ['signature', signature],
    ]);
    const other = encodeCbor(new CborTag(18, make(parts)));
    expect(await claims(other)).toEqual(['cose-receipt-foreign']);
    expect(nextSteps(await verify({ proof: other }, {}))).toEqual([{ step: 'version' }]);
  });
});

function log13() {
  return { kind: 'inclusion', treeSize: SIZE, index: 4, path: log.tree.inclusionPath(4) } as const;
}

function at(message: Map<string, Cbor>, name: string): Cbor {
  return message.get(name) ?? null;
}

describe('a consistency receipt', () => {
  const [from, to] = [5, SIZE];
  const consistency = async (older = from, newer = to): Promise<Uint8Array> => {
    const signature = await signer.cose.sign(coseMessage(header, log.tree.root(newer)));
    const path = log.tree.consistencyPath(older, newer);
    return encodeCoseReceipt({
      ...header,
      proof: { kind: 'consistency', from: older, to: newer, path },
      signature,
      entry: null,
    });
  };
  const check = async (proof: Uint8Array, trees: GivenTrees, trust: Trust = { key }): Promise<string[]> =>
    claims(proof, trust, { trees });
  const SHOWN = ['cose-consistency-by-key', 'cose-signature-holds'];

  test('with the root of the older tree, of every two sizes', async () => {
    for (let newer = 2; newer <= SIZE; newer++) {
      for (let older = 1; older < newer; older++) {
        const trees = { older: { root: log.tree.root(older), size: older } };
        expect(await check(await consistency(older, newer), trees)).toEqual(SHOWN);
        expect(
          await check(await consistency(older, newer), { ...trees, newer: { root: log.tree.root(newer), size: null } }),
        ).toEqual(SHOWN);
        const other = { root: seeded('another history'), size: older };
        const proof = await consistency(older, newer);
        expect((await verify({ proof, trees: { older: other } }, { key })).result).toBe('refuted');
        const forked = { root: other.root, size: newer };
        expect(await check(proof, { ...trees, newer: forked })).toContain('cose-consistency-broken');
      }
    }
  });

  test('with two receipts of entries: both were signed, and one tree continues the other', async () => {
    const [older, newer] = [encodeCoseReceipt(await receiptOf(2, from)), encodeCoseReceipt(await receiptOf(9))];
    const proof = await consistency();
    const both = { older: { receipt: older }, newer: { receipt: newer } };
    expect(await check(proof, both)).toEqual([...SHOWN, 'cose-signature-holds', 'cose-signature-holds']);
    expect((await verify({ proof, trees: both }, { key })).result).toBe('unproven');
    expect(await check(proof, both, {})).toEqual(['cose-consistency', ...Array(3).fill('key-not-given')]);
    // Of another size, without its entry, the other way around.
    for (const wrong of [
      { older: { receipt: newer } },
      { older: { receipt: encodeCoseReceipt({ ...(await receiptOf(2, from)), entry: null }) } },
      { older: { receipt: older }, newer: { receipt: older } },
      { older: { receipt: proof } },
    ]) {
      expect(await check(proof, wrong)).toEqual(['cose-consistency']);
    }
    const forked = { root: seeded('fork'), size: to };
    expect((await verify({ proof, trees: { older: { receipt: older }, newer: forked } }, { key })).result).toBe(
      'refuted',
    );
  });

  test('no changed byte is as good, but in the size of the newer tree, which nothing signs', async () => {
    const sizes: number[] = [];
    const proof = await consistency();
    const trees = { older: { root: log.tree.root(from), size: from } };
    for (let i = 0; i < proof.length; i++) {
      const changed = proof.with(i, (proof[i] ?? 0) ^ 0x01);
      const codes = await check(changed, trees).catch(() => ['not a proof at all']);
      if (JSON.stringify(codes) !== JSON.stringify(SHOWN)) continue;
      const { proof: read } = parseCoseReceipt(changed);
      sizes.push(read.kind === 'consistency' && read.from === from ? read.to : -1);
    }
    expect(sizes).toEqual([12]);
  });
});

describe('keys', () => {
  test('are derived for COSE alone, one for each key of the log', () => {
    const all = [1, 2].flatMap((number) => {
      const { publicKey, cose } = seed.signer(log.origin, number);
      return [publicKey, cose.publicKey].map(toHex);
    });
    expect(new Set(all).size).toBe(4);
    const text = key.slice(key.indexOf('+', key.indexOf('+') + 1) + 1);
    expect(toHex(fromBase64(text))).toBe(`ff${toHex(utf8('cose'))}${toHex(signer.cose.publicKey)}`);
  });

  test('for checkpoints, of either kind, are told apart', () => {
    const own = seed.signer(log.origin).withMlDsa().verifiers;
    const texts = own.map(({ publicKey, type }) => formatVerifierKey(log.origin, publicKey, type));
    expect(texts.map(parseCoseKey)).toEqual(['checkpoints', 'checkpoints']);
    expect(parseCoseKey(key)).toMatchObject({ name: log.origin });
    const unknown = formatVerifierKey(log.origin, new Uint8Array(32), 0x04);
    expect(() => parseCoseKey(unknown)).toThrow('not one for COSE receipts');
  });

  test('are named by their thumbprint (RFC 9679), in the set too (RFC 9052)', () => {
    // RFC 8037, Appendix A, has this public key.
    const x = fromHex('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a');
    const required = `a301012006215820${toHex(x)}`;
    expect(toHex(coseThumbprint(x))).toBe(createHash('sha256').update(fromHex(required)).digest('hex'));
    expect(toHex(encodeCoseKeySet([x]))).toBe(
      `81a60101025820${toHex(coseThumbprint(x))}0327048102${required.slice(6)}`,
    );
    expect(toHex(encodeCoseKeySet([]))).toBe('80');
  });
});

test('every code of COSE receipts has shown itself', () => {
  expect(COSE_CODES.filter((code) => !seen.has(code))).toEqual([]);
  expect(COSE_CODES.filter((code) => !(code in VERDICT_CODES))).toEqual([]);
});
