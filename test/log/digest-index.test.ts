import { afterAll, beforeAll, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { toHex, utf8 } from '../../src/core/bytes.ts';
import { makeRuns } from '../../src/log/digest-runs.ts';
import { eraseEntry } from '../../src/log/erase.ts';
import { draft, drafts, type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

let server: TestDatabase;
let one: Instance;

beforeAll(async () => {
  server = await testDatabase();
  one = await openInstance(server.url);
});

afterAll(async () => {
  await one?.end();
  await server?.drop();
});

const count = async (table: string): Promise<number> =>
  (await one.database.query<{ count: number }>(`SELECT count(*) FROM ${table}`)).rows[0]?.count ?? 0;

test('a digest is found before and after it is put into a run, and not once it is erased', async () => {
  const [log, other] = [await one.makeLog('long'), await one.makeLog('other', false)];
  await one.append(other, 'twice', 'once', 'twice');
  for (let i = 0; i < 7; i++) {
    await one.appender.append(log, { drafts: drafts(1_000, `line ${i}`), idempotency: null });
  }
  await one.append(log, 'twice');
  const place = async (text: string): Promise<string[]> =>
    (await one.entries.locate(draft(text).digest, null, 10))
      .map(({ log: origin, index }) => `${origin} ${index}`)
      .sort();
  const expected = [`${other.origin} 0`, `${other.origin} 2`, `${log.origin} 7000`].sort();
  expect(await makeRuns(one.database, 3_000)).toBe(2);
  expect(await makeRuns(one.database)).toBe(0);
  expect(await count('digest_runs')).toBe(2 * 256);
  expect(await count('digest_batches')).toBeGreaterThan(0);
  expect(await place('twice')).toEqual(expected);
  expect(await place('line 3 77')).toEqual([`${log.origin} 3077`]);
  expect(await place('line 6 999')).toEqual([`${log.origin} 6999`]);
  expect(await one.entries.locate(draft('twice').digest, ['other'], 10)).toHaveLength(2);
  expect(await one.entries.locate(draft('twice').digest, null, 1)).toHaveLength(1);

  const asked = ['line 0 0', 'line 6 999', 'twice', 'nowhere'].map((text) => draft(text).digest);
  expect(await one.entries.held(log, asked)).toEqual(new Set(asked.slice(0, 3).map(toHex)));
  expect(await one.entries.held(other, asked)).toEqual(new Set([toHex(asked[2] ?? new Uint8Array(0))]));

  for (const [where, index] of [
    [other, 0],
    [log, 3_077],
    [log, 7_000],
  ] as const) {
    expect(await eraseEntry(one.database, one.registry.system, one.sequencing, where, index, one.holds)).toBe(true);
  }
  expect(await place('twice')).toEqual([`${other.origin} 2`]);
  expect(await place('line 3 77')).toEqual([]);
  const prefix = Buffer.from(draft('line 3 77').digest.subarray(0, 6));
  const left = await one.database.query(
    `SELECT 1 FROM digest_batches WHERE position($1::bytea IN prefixes) > 0
     UNION ALL SELECT 1 FROM digest_runs WHERE bucket = $2 AND position($3::bytea IN records) > 0`,
    [prefix, prefix[0], prefix.subarray(1)],
  );
  expect(left.rows).toEqual([]);
});

test('a prefix that another digest has too is no answer', async () => {
  const log = await one.makeLog('hints');
  const { digest } = draft('this one');
  const alike = new Uint8Array(sha256(utf8('another')));
  alike.set(digest.subarray(0, 12));
  await one.appender.append(log, { drafts: [{ digest: alike, payload: null }], idempotency: null });
  expect(await one.entries.locate(digest, null, 10)).toEqual([]);
  expect(await one.entries.held(log, [digest])).toEqual(new Set());
  expect(await one.entries.locate(alike, null, 10)).toHaveLength(1);
});

test('a digest that begins with zeros, as those of erased entries are marked, is found', async () => {
  const log = await one.makeLog('zeros');
  const digest = sha256(utf8('any')).fill(0, 0, 8);
  await one.append(log, 'to be erased', 'kept');
  await one.appender.append(log, { drafts: [{ digest, payload: null }], idempotency: null });
  await eraseEntry(one.database, one.registry.system, one.sequencing, log, 0, one.holds);
  const found = async (): Promise<number[]> =>
    (await one.entries.locate(digest, ['zeros'], 10)).map(({ index }) => index);
  expect(await found()).toEqual([2]);
  await makeRuns(one.database, 1);
  expect(await count('digest_batches')).toBe(0);
  expect(await found()).toEqual([2]);
  expect(await one.entries.held(log, [digest])).toEqual(new Set([toHex(digest)]));
});
