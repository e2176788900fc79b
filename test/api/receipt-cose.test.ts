import { afterAll, beforeAll, expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { decodeCbor, encodeCbor, isCborArray } from '../../src/core/cbor.ts';
import { parseCoseKey } from '../../src/core/cose-key.ts';
import { coseMessage, parseCoseReceipt } from '../../src/core/cose-receipt.ts';
import { verifyEd25519 } from '../../src/core/ed25519.node.ts';
import { verifyConsistency } from '../../src/core/proof.ts';
import { ReceiptKeys } from '../../src/log/receipt-keys.ts';
import { exitCode, verify } from '../../src/verify/verify.ts';
import { auth0Cose } from '../support/cose-strangers.ts';
import { type Answer, type TestService, testService } from '../support/service.ts';

let service: TestService;
beforeAll(async () => {
  service = await testService();
});
afterAll(() => service[Symbol.asyncDispose]());

const get = (path: string): Promise<Answer> => service.send('GET', path);
const cose = (log: string, index: number, rest = '') => get(`/v1/logs/${log}/entries/${index}/receipt.cose${rest}`);

async function append(log: string, ...lines: string[]): Promise<void> {
  await service.send('PUT', `/v1/logs/${log}`);
  await service.send('POST', `/v1/logs/${log}/entries?split=lines`, { body: lines.join('\n') });
}

async function keyOf(log: string): Promise<string> {
  return String((await get(`/v1/logs/${log}`)).at('coseKeys', 0));
}

async function codes(proof: Uint8Array, key: string, payload: string): Promise<string[]> {
  const verdict = await verify({ proof, payload }, { key });
  expect(exitCode(verdict)).toBe(2);
  return verdict.claims.map(({ code }) => code);
}

const GOOD = ['content-matches', 'cose-position-by-key', 'cose-signature-holds', 'operators-word'];

test('a receipt has the tree of the JSON receipt, and carries the entry only if that is asked for', async () => {
  await append('tree', 'a', 'b', 'c');
  await service.closeRound();
  await append('tree', 'd');
  const answer = await cose('tree', 1);
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/cose']);
  expect(answer.headers.get('content-disposition')).toBe('attachment; filename=tree-1.cose');
  const json = (await get('/v1/logs/tree/entries/1/receipt')).json;
  const bare = parseCoseReceipt(answer.bytes);
  expect(bare).toMatchObject({ issuer: 'log.test', log: 'log.test/logs/tree', entry: null });
  expect(bare.proof).toMatchObject({ kind: 'inclusion', treeSize: 3, index: 1 });
  expect({ ...bare.proof, path: bare.proof.path.map(toHex) }).toMatchObject(Object(json).inclusion);
  const full = await cose('tree', 1, '?entry=true');
  expect(await codes(full.bytes, await keyOf('tree'), 'b')).toEqual(GOOD);
  const body = { cose: full.bytes.toString('base64'), payload: Buffer.from('b').toString('base64') };
  const verdict = await service.send('POST', '/v1/verify', { body: { ...body, key: await keyOf('tree') } });
  expect(verdict.at('claims', 1, 'code')).toBe('cose-position-by-key');
  for (const both of [{ ...body, receipt: json }, { payload: body.payload }]) {
    expect((await service.send('POST', '/v1/verify', { body: both })).code).toBe('verify-invalid');
  }
  expect((await cose('tree', 1)).bytes).toEqual(answer.bytes);
  // A round covers the first three.
  expect(parseCoseReceipt((await cose('tree', 3)).bytes).proof).toMatchObject({ treeSize: 4, index: 3 });
});

test('a tree of one leaf has no receipt, and once the log has grown its entry has one', async () => {
  await append('one', 'first');
  await service.closeRound();
  const alone = await cose('one', 0);
  expect([alone.status, alone.code]).toEqual([409, 'tree-of-one']);
  expect((await cose('one', 1)).code).toBe('entry-not-found');
  await append('one', 'second');
  const full = await cose('one', 0, '?entry=true');
  expect(await codes(full.bytes, await keyOf('one'), 'first')).toEqual(GOOD);
});

test('what is wrong with a request is told', async () => {
  await append('wrong', 'a', 'b');
  expect((await cose('wrong', 0, '?entry=yes')).code).toBe('query-invalid');
  expect((await cose('absent', 0)).code).toBe('log-not-found');
  await service.send('DELETE', '/v1/logs/wrong/entries/0/payload');
  expect((await cose('wrong', 0)).code).toBe('entry-erased');
  expect((await cose('wrong', 1)).status).toBe(200);
});

test('consistency is signed as a receipt too, between sizes that have checkpoints', async () => {
  await append('grown', 'a', 'b');
  await get('/logs/grown/checkpoint');
  await append('grown', 'c', 'd', 'e');
  const path = (from: number, to?: number) =>
    `/v1/logs/grown/proofs/consistency.cose?from=${from}${to === undefined ? '' : `&to=${to}`}`;
  const answer = await get(path(2));
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/cose']);
  expect(answer.headers.get('access-control-allow-origin')).toBe('*');
  const { proof, signature, ...header } = parseCoseReceipt(answer.bytes);
  if (proof.kind !== 'consistency') throw new Error('no consistency');
  const rootOf = async (size: number): Promise<Uint8Array> => {
    const log = await service.foundation.registry.find('grown');
    const found = log === null ? null : await service.foundation.publisher.at(log, size);
    return found?.root ?? new Uint8Array(0);
  };
  const [older, newer] = [await rootOf(2), await rootOf(5)];
  expect([proof.from, proof.to]).toEqual([2, 5]);
  expect(verifyConsistency(2, 5, proof.path, older, newer)).toBe(true);
  const key = parseCoseKey(await keyOf('grown'));
  const publicKey = key === 'checkpoints' ? fromHex('') : key.publicKey;
  expect(verifyEd25519(signature, coseMessage(header, newer), publicKey)).toBe(true);
  expect((await get(path(1, 2))).status).toBe(200);
  for (const [from, to, code] of [
    [0, 2, 'proof-range'],
    [2, 2, 'proof-range'],
    [3, 2, 'proof-range'],
    [1, 3, 'size-not-signed'],
    [1, 6, 'size-not-signed'],
  ] as const) {
    expect((await get(path(from, to))).code).toBe(code);
  }
});

test('the keys of listed logs are there for anybody', async () => {
  await append('listed', 'a', 'b');
  await service.send('PUT', '/v1/logs/listed/listed', { body: { listed: true } });
  const answer = await get('/.well-known/scitt-keys');
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/cbor']);
  expect(answer.headers.get('access-control-allow-origin')).toBe('*');
  const keys = decodeCbor(answer.bytes);
  const { keyId } = parseCoseReceipt((await cose('listed', 0)).bytes);
  const key = parseCoseKey(await keyOf('listed'));
  expect(isCborArray(keys) ? keys : []).toEqual([
    new Map<number, unknown>([
      [1, 1],
      [2, keyId],
      [3, -8],
      [4, [2]],
      [-1, 6],
      [-2, key === 'checkpoints' ? null : key.publicKey],
    ]),
  ]);
});

test('a library of others verifies what is signed, with the key as it is shown', async () => {
  await append('stranger', 'a', 'b', 'c');
  await service.send('PUT', '/v1/logs/stranger/listed', { body: { listed: true } });
  const { receiptKeys, root } = await keysAndRoot('stranger');
  const verify = auth0Cose();
  for (const index of [0, 1, 2]) {
    const { bytes } = await cose('stranger', index);
    expect(await verify(bytes, root, receiptKeys)).toBe(true);
    expect(await verify(bytes, new Uint8Array(32), receiptKeys)).toBe(false);
  }
});

/** The last key of the listed logs, and the root of a log. */
async function keysAndRoot(name: string): Promise<{ receiptKeys: Uint8Array; root: Uint8Array }> {
  const { registry, publisher, database } = service.foundation;
  const log = await registry.find(name);
  if (log === null) throw new Error(`no log ${name}`);
  const keys = decodeCbor(await new ReceiptKeys(database, registry, () => 0).set());
  const key = isCborArray(keys) ? keys.at(-1) : undefined;
  return { receiptKeys: encodeCbor(key ?? null), root: (await publisher.current(log)).root };
}
