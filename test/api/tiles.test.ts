import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { concat, toBase64, toHex } from '../../src/core/bytes.ts';
import { parseCheckpoint } from '../../src/core/checkpoint.ts';
import { entryLeafHash, parseEntry } from '../../src/core/entry.ts';
import { MerkleTree } from '../../src/core/merkle.ts';
import { checkNote, parseNote, parseVerifierKey } from '../../src/core/note.ts';
import { verifyConsistency } from '../../src/core/proof.ts';
import { parseBundle } from '../../src/core/tiles.ts';
import { requestText, sendRaw } from '../support/raw-http.ts';
import { type Answer, type TestService, testService } from '../support/service.ts';

const SIZE = 600;
const IMMUTABLE = 'public, max-age=31536000, immutable';

let service: TestService;
let tree: MerkleTree;

const get = (path: string): Promise<Answer> => service.send('GET', `/logs/tiled${path}`);

beforeAll(async () => {
  service = await testService();
  await service.send('PUT', '/v1/logs/tiled');
  const body = Array.from({ length: SIZE }, (_, i) => `line ${i}`).join('\n');
  await service.send('POST', '/v1/logs/tiled/entries?split=lines', { body });
  const { json } = await service.send('GET', `/v1/logs/tiled/entries?limit=${SIZE}`);
  const leaves = [...JSON.stringify(json).matchAll(/"leafHash":"([0-9a-f]{64})"/g)].map(([, hash]) => hash ?? '');
  tree = new MerkleTree(new Uint8Array(Buffer.from(leaves.join(''), 'hex')));
  await get('/checkpoint');
});
afterAll(() => service[Symbol.asyncDispose]());

describe('the checkpoint', () => {
  it('is the signed note of the head, asked for anew each time', async () => {
    const { text, headers } = await get('/checkpoint');
    expect(headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(headers.get('cache-control')).toBe('no-cache');
    const note = parseNote(text);
    expect(note.text).toBe(`log.test/logs/tiled\n${SIZE}\n${toBase64(tree.root())}\n`);
    const described = await service.send('GET', '/v1/logs/tiled');
    expect(checkNote(note, parseVerifierKey(String(described.at('verifierKey'))))).toBe('verified');
    expect(described.at('root')).toBe(toHex(tree.root()));
    expect((await get('/checkpoint')).text).toBe(text);
  });

  it('moves with the log, and is there for an empty one', async () => {
    await service.send('PUT', '/v1/logs/moving');
    const size = async (): Promise<number> =>
      parseCheckpoint(parseNote((await service.send('GET', '/logs/moving/checkpoint')).text).text).size;
    expect(await size()).toBe(0);
    await service.send('POST', '/v1/logs/moving/entries', { body: 'x' });
    expect(await size()).toBe(1);
  });
});

describe('tiles', () => {
  it.each([
    ['0/000', 0, 256],
    ['0/001', 256, 512],
    ['0/002.p/88', 512, 600],
    ['0/002.p/1', 512, 513],
    ['0/000.p/255', 0, 255],
  ])('of level 0 are the leaf hashes: %s', async (location, begin, end) => {
    const { status, bytes, headers } = await get(`/tile/${location}`);
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toBe(IMMUTABLE);
    expect(headers.get('content-type')).toBe('application/octet-stream');
    const leaves = Array.from({ length: end - begin }, (_, i) => tree.node({ level: 0, index: begin + i }));
    expect(new Uint8Array(bytes)).toEqual(concat(...leaves));
  });

  it('of level 1 are the roots of those below', async () => {
    const { bytes } = await get('/tile/1/000.p/2');
    expect(new Uint8Array(bytes)).toEqual(concat(tree.node({ level: 8, index: 0 }), tree.node({ level: 8, index: 1 })));
  });

  it('go on being what they were when the log grows', async () => {
    await service.send('PUT', '/v1/logs/growing');
    const add = (count: number): Promise<Answer> =>
      service.send('POST', '/v1/logs/growing/entries?split=lines', { body: 'x\n'.repeat(count) });
    await add(100);
    // Nothing that a cache would keep for ever is told before a checkpoint commits to it.
    expect((await service.send('GET', '/logs/growing/tile/0/000.p/100')).code).toBe('tile-not-found');
    await service.send('GET', '/logs/growing/checkpoint');
    const before = await service.send('GET', '/logs/growing/tile/0/000.p/100');
    const bundle = await service.send('GET', '/logs/growing/tile/entries/000.p/100');
    await add(400);
    expect((await service.send('GET', '/logs/growing/tile/0/000.p/101')).code).toBe('tile-not-found');
    await service.send('GET', '/logs/growing/checkpoint');
    expect((await service.send('GET', '/logs/growing/tile/0/000.p/100')).bytes).toEqual(before.bytes);
    expect((await service.send('GET', '/logs/growing/tile/entries/000.p/100')).bytes).toEqual(bundle.bytes);
    const whole = await service.send('GET', '/logs/growing/tile/0/000');
    expect(whole.bytes.subarray(0, 3_200)).toEqual(before.bytes);
  });

  it('of entries are the entries, each naming the one before', async () => {
    let previous = new Uint8Array(createHash('sha256').update('log.test/logs/tiled').digest());
    for (const [location, begin, end] of [
      ['000', 0, 256],
      ['001', 256, 512],
      ['002.p/88', 512, 600],
    ] as const) {
      const { bytes, headers } = await get(`/tile/entries/${location}`);
      expect(headers.get('cache-control')).toBe(IMMUTABLE);
      const entries = parseBundle(new Uint8Array(bytes)).map(parseEntry);
      expect(entries).toHaveLength(end - begin);
      for (const [i, entry] of entries.entries()) {
        expect(entry.previous).toEqual(previous);
        previous = new Uint8Array(entryLeafHash(entry));
        expect(previous).toEqual(tree.node({ level: 0, index: begin + i }));
      }
    }
  });

  it.each([
    '0/002',
    '0/002.p/89',
    '0/003',
    '0/003.p/1',
    '1/000',
    '1/000.p/3',
    '2/000.p/1',
    '6/000.p/1',
    '7/000',
    '63/000.p/1',
    '0/x001/000',
    'entries/002',
    'entries/003.p/1',
    '0/x009/x007/x199/x254/x740/991',
  ])('that the log does not reach are not found: %s', async (location) => {
    const { status, code, headers } = await get(`/tile/${location}`);
    expect([status, code]).toEqual([404, 'tile-not-found']);
    expect(headers.get('cache-control')).toBe('no-store');
  });

  it.each([
    '64/000',
    '-1/000',
    '063/000',
    '00/000',
    '0/0',
    '0/00',
    '0/0000',
    '0/x000/001',
    '0/001/000',
    '0/000.p/0',
    '0/000.p/256',
    '0/000.p/257',
    '0/000.p/01',
    '0/000.p/',
    '0/000.p/1/',
    '0/000/',
    '0/000.p/-1',
    'entries/000.p/256',
    'entries/-01',
    'data/000',
    '0/x001%2F000',
    '0/%30%30%30',
    '0%2F000',
    '0/000%00',
    '0/x999/x999/x999/x999/x999/999',
  ])('have one address each, which is not %s', async (location) => {
    // As it stands: clients would tidy it up.
    const { status, text } = await sendRaw(service.url, requestText('GET', `/logs/tiled/tile/${location}`));
    expect(status).toBe(400);
    expect(text).toContain('"tile-location"');
  });

  it.each([
    '/logs/tiled/../tiled/checkpoint',
    '/logs/../logs/tiled/checkpoint',
    '/logs/tiled/tile/0/../0/000',
    '/logs/tiled/tile/..%2f..%2f..%2fetc%2fpasswd',
    '/logs//checkpoint',
    '/logs/tiled//checkpoint',
    '/logs/tiled/checkpoint/',
    '/logs/tiled/Checkpoint',
    '/LOGS/tiled/checkpoint',
    '/logs/tiled/tile',
    '/logs/tiled/tile/',
    '/logs/tiled',
    '//logs/tiled/checkpoint',
    '/logs/%2e%2e/checkpoint',
    '/logs/..%5c/checkpoint',
  ])('are not reached by tricks: %s', async (target) => {
    const { status } = await sendRaw(service.url, requestText('GET', target));
    expect([400, 404]).toContain(status);
  });

  it('of entries are compressed for whoever takes gzip, hashes for nobody', async () => {
    const ask = async (tile: string, encoding: string | null) => {
      const headers: Record<string, string> = encoding === null ? {} : { 'Accept-Encoding': encoding };
      const raw = await sendRaw(service.url, requestText('GET', `/logs/tiled/tile/${tile}`, headers));
      const head = raw.text.slice(0, raw.text.indexOf('\r\n\r\n')).toLowerCase();
      return {
        encoding: /content-encoding: (\S+)/.exec(head)?.[1] ?? null,
        vary: /vary: (.+)/.exec(head)?.[1] ?? null,
        length: Number(/content-length: (\d+)/.exec(head)?.[1]),
      };
    };
    const plain = { encoding: null, vary: 'accept-encoding', length: 256 * 75 };
    for (const none of [null, 'identity', 'br', 'gzip;q=0']) expect(await ask('entries/000', none)).toEqual(plain);
    for (const some of ['gzip', 'identity, gzip', 'br, gzip;q=0.1', '*']) {
      const { encoding, vary, length } = await ask('entries/000', some);
      expect([encoding, vary]).toEqual(['gzip', 'accept-encoding']);
      expect(length).toBeLessThan(plain.length);
    }
    expect(await ask('0/000', 'gzip')).toEqual({ encoding: null, vary: null, length: 8_192 });
    const whole = await get('/tile/entries/000');
    expect([whole.headers.get('content-encoding'), whole.bytes.length]).toEqual(['gzip', 256 * 75]);
  });

  it('have a HEAD, and none of another method', async () => {
    const head = await service.send('HEAD', '/logs/tiled/tile/0/000');
    expect([head.status, head.headers.get('content-length'), head.bytes.length]).toEqual([200, '8192', 0]);
    const post = await service.send('POST', '/logs/tiled/tile/0/000', { body: 'x' });
    expect([post.status, post.code, post.headers.get('allow')]).toEqual([405, 'method-not-allowed', 'GET, HEAD']);
  });
});

describe('consistency proofs', () => {
  const proof = (from: number | string, to: number | string): Promise<Answer> =>
    service.send('GET', `/v1/logs/tiled/proofs/consistency?from=${from}&to=${to}`);

  it('tie any two sizes', async () => {
    for (const [from, to] of [
      [1, 2],
      [1, 600],
      [255, 256],
      [256, 257],
      [256, 512],
      [300, 511],
      [512, 600],
      [599, 600],
      [600, 600],
    ] as const) {
      const { json } = await proof(from, to);
      const path = tree.consistencyPath(from, to);
      expect(json).toEqual({ log: 'log.test/logs/tiled', from, to, path: path.map(toHex) });
      expect(verifyConsistency(from, to, path, tree.root(from), tree.root(to))).toBe(true);
    }
  });

  it('are empty from the empty tree and between equals', async () => {
    expect((await proof(0, 600)).at('path')).toEqual([]);
    expect((await proof(0, 0)).at('path')).toEqual([]);
    expect((await proof(17, 17)).at('path')).toEqual([]);
  });

  it.each([
    [2, 1, 400, 'proof-range'],
    [1, 0, 400, 'proof-range'],
    [1, 601, 404, 'size-not-reached'],
    [0, 2 ** 53 - 1, 404, 'size-not-reached'],
    [1, '9007199254740992', 400, 'query-invalid'],
    [-1, 5, 400, 'query-invalid'],
    ['', 5, 400, 'query-invalid'],
  ])('from %s to %s there are none', async (from, to, status, code) => {
    const answer = await proof(from, to);
    expect([answer.status, answer.code]).toEqual([status, code]);
  });

  it('need both sizes', async () => {
    const answer = await service.send('GET', '/v1/logs/tiled/proofs/consistency?from=1');
    expect([answer.status, answer.at('detail')]).toEqual([400, 'the query parameter to is wrong: it must be given']);
  });
});
