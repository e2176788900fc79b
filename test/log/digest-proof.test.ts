import { afterAll, beforeAll, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { utf8 } from '../../src/core/bytes.ts';
import { candidates } from '../../src/log/blocks/digest-proof.ts';
import { EntryReader } from '../../src/log/entries.ts';
import { eraseEntry } from '../../src/log/erase.ts';
import type { Draft, Log } from '../../src/log/log.ts';
import { draft, type Instance, openInstance } from '../support/instance.ts';
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

/** Some with payloads, which make a block of so many bytes, some digests alone. */
function mixed(count: number, bytes: number): Draft[] {
  return Array.from({ length: count }, (_, i) => {
    const whole = draft(`${i} `.padEnd(i % 7 === 0 ? 10 : bytes, 'x'));
    return i % 5 === 3 ? { digest: whole.digest, payload: null } : whole;
  });
}

const erase = (log: Log, index: number): Promise<boolean> =>
  eraseEntry(one.database, one.registry.system, one.sequencing, log, index, one.holds);

const ERASED = [5, 6, 130, 255, 257, 300];

test.each([
  ['one part', true, 20],
  ['several parts', true, 2_000],
  ['one part without nonces', false, 20],
  ['several parts without nonces', false, 2_000],
])('leaf hashes prove digests of blocks of %s, and of no entry that was erased', async (name, blinded, bytes) => {
  const log = await one.makeLog(name.replaceAll(' ', '-'), blinded);
  const entries = mixed(320, bytes);
  // Times that differ within a tile.
  for (const [from, to] of [
    [0, 100],
    [100, 280],
    [280, 320],
  ]) {
    await one.appender.append(log, { drafts: entries.slice(from, to), idempotency: null });
    one.clock.shift += 1_000;
  }
  for (const index of ERASED) await erase(log, index);
  const { rows } = await one.database.query<{ first: number; version: number }>(
    'SELECT first, get_byte(content, 0) AS version FROM blocks WHERE log = $1 ORDER BY first',
    [log.id],
  );
  expect(rows[0]).toEqual({ first: 0, version: bytes > 1_000 ? 2 : 1 });
  // What stands before the first of a tile is not read; nor, while the tile is open, before the first of a block.
  const firsts = new Set(rows.map(({ first }) => first).filter((first) => first === 0 || first >= 256));
  for (const [index, { digest }] of entries.entries()) {
    const [found] = await candidates(one.database, [{ log: log.id, index }], digest, null);
    const kept = ERASED.includes(index) || firsts.has(index) ? null : await one.entries.receivedAt(log, index);
    expect(found, `${index}`).toEqual({ log: log.id, index, origin: log.origin, provenAt: kept });
  }
  const places = [255, 256, 200, 201, 257, 5].map((index) => ({ log: log.id, index }));
  const at = (index: number): Uint8Array => entries[index]?.digest ?? new Uint8Array(0);
  const proven = async (digest: Uint8Array, logs: string[] | null): Promise<number[]> =>
    (await candidates(one.database, places, digest, logs)).flatMap(({ index, provenAt }) =>
      provenAt === null ? [] : index,
    );
  expect(await proven(at(201), null)).toEqual([201]);
  expect(await proven(at(201), [log.name])).toEqual([201]);
  expect(await candidates(one.database, places, at(201), ['_system'])).toEqual([]);
  for (const other of [at(5), at(257), at(202), sha256(utf8('another'))]) expect(await proven(other, null)).toEqual([]);
  expect(await candidates(one.database, [{ log: log.id, index: 320 }], at(0), null)).toEqual([]);
});

test('where the leaf hash does not prove a digest the content tells: altered tiles, contents that are damaged', async () => {
  const log = await one.makeLog('altered');
  const entries = mixed(256, 20);
  await one.appender.append(log, { drafts: entries, idempotency: null });
  const alter = (statement: string): Promise<unknown> =>
    one.database.query(
      `BEGIN; SET LOCAL session_replication_role = replica; ${statement} WHERE log = ${log.id}; COMMIT`,
    );
  // Each time by a reader that remembers nothing.
  const found = async (index: number): Promise<number[]> =>
    (await new EntryReader(one.database).locate(entries[index]?.digest ?? new Uint8Array(0), [log.name], 10)).map(
      (place) => place.index,
    );
  expect([await found(0), await found(100)]).toEqual([[0], [100]]);
  await alter('UPDATE tiles SET hashes = set_byte(hashes, 32 * 100, 255 - get_byte(hashes, 32 * 100))');
  expect([await found(0), await found(100), await found(101), await found(102)]).toEqual([[0], [100], [101], [102]]);
  for (const content of ["'\\x02'", "'\\x0200000000'", "'\\x020001ffffffff'", "'\\x0100100000ffffffffff'", "'\\x'"]) {
    await alter(`UPDATE blocks SET content = ${content}`);
    await expect(found(7)).rejects.toMatchObject({ code: 'log-damaged' });
  }
});
