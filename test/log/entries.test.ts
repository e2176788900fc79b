import { afterAll, beforeAll, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { toHex, utf8 } from '../../src/core/bytes.ts';
import { entryLeafHash, parseEntry } from '../../src/core/entry.ts';
import { parseBundle } from '../../src/core/tiles.ts';
import { draft, drafts, type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { recompute } from '../support/recompute.ts';
import { eraseInBlock } from '../support/stored-entries.ts';

let server: TestDatabase;
let one: Instance;
let two: Instance;

beforeAll(async () => {
  server = await testDatabase();
  [one, two] = [await openInstance(server.url), await openInstance(server.url)];
});

afterAll(async () => {
  await Promise.all([one?.end(), two?.end()]);
  await server?.drop();
});

test('what is past the end is not there, wherever the end is', async () => {
  const log = await one.makeLog('short');
  expect(await one.entries.read(log, 0)).toBeNull();
  expect(await one.entries.payload(log, 0)).toBeNull();
  await one.append(log, 'a');
  expect(await two.entries.read(log, 0)).toMatchObject({ index: 0, payloadSize: 1 });
  // Found absent before, it is found once it is there.
  expect(await one.entries.read(log, 0)).toMatchObject({ index: 0 });
  for (const index of [1, 63, 64, 70_000, 2 ** 50]) {
    expect(await one.entries.read(log, index)).toBeNull();
    expect(await one.entries.payload(log, index)).toBeNull();
  }
  await expect(one.entries.list(log, 0, 2)).rejects.toMatchObject({ code: 'log-damaged' });
  expect(await one.entries.list(log, 0, 0)).toEqual([]);
});

test('each entry names the leaf hash of the one before, the first the log', async () => {
  const log = await one.makeLog('chained');
  await one.appender.append(log, { drafts: drafts(130), idempotency: null });
  const { rows } = await recompute(one.database, log);
  expect((await two.entries.chained(log, 0))?.previous).toEqual(log.logId);
  for (const index of [1, 63, 64, 65, 128]) {
    expect(toHex((await two.entries.chained(log, index))?.previous ?? log.logId)).toBe(
      rows[index - 1]?.leaf_hash.toString('hex'),
    );
  }
});

test('bundles hold the entries that the leaf hashes are of', async () => {
  const log = await one.makeLog('bundled');
  await one.appender.append(log, { drafts: drafts(600), idempotency: null });
  const { rows } = await recompute(one.database, log);
  for (const [index, width] of [
    [0, 256],
    [1, 256],
    [2, 88],
    [2, 1],
  ] as const) {
    const hashes = parseBundle(await two.entries.bundle(log, index, width)).map((bytes) =>
      toHex(entryLeafHash(parseEntry(bytes))),
    );
    const begin = index * 256;
    expect(hashes).toEqual(rows.slice(begin, begin + width).map((row) => row.leaf_hash.toString('hex')));
  }
  await expect(two.entries.bundle(log, 2, 89)).rejects.toMatchObject({ code: 'log-damaged' });
});

test('a digest is found in every log that has it', async () => {
  const [a, b] = [await one.makeLog('found-a'), await one.makeLog('found-b', false)];
  await one.append(a, 'x', 'needle', 'y', 'needle');
  await one.appender.append(b, { drafts: [{ digest: sha256(utf8('needle')), payload: null }], idempotency: null });
  const found = await two.entries.locate(sha256(utf8('needle')), null, 10);
  expect(found.map(({ log, index }) => `${log} ${index}`).sort()).toEqual([
    `${a.origin} 1`,
    `${a.origin} 3`,
    `${b.origin} 0`,
  ]);
  expect(await two.entries.locate(sha256(utf8('needle')), null, 2)).toHaveLength(2);
  expect(await two.entries.locate(sha256(utf8('no needle')), null, 10)).toEqual([]);
});

test('of an erased entry the hashes stay, and the tree with them', async () => {
  const log = await one.makeLog('erased');
  await one.appender.append(log, { drafts: [draft('a'), draft('secret'), draft('c')], idempotency: null });
  const before = await one.entries.read(log, 1);
  await eraseInBlock(one.database, log.id, 1);
  expect(await two.entries.read(log, 1)).toEqual({ ...before, secret: null, payloadSize: null });
  expect(await two.entries.payload(log, 1)).toBe('absent');
  expect(await two.entries.locate(sha256(utf8('secret')), null, 10)).toEqual([]);
  await one.append(log, 'd');
  await recompute(one.database, log);
  expect(parseBundle(await one.entries.bundle(log, 0, 4))).toHaveLength(4);
});
