import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { concat } from '../../src/core/bytes.ts';
import { parseCheckpoint } from '../../src/core/checkpoint.ts';
import { EMPTY_ROOT, MerkleTree } from '../../src/core/merkle.ts';
import { checkNote, parseNote, parseVerifierKey } from '../../src/core/note.ts';
import type { Log } from '../../src/log/log.ts';
import { type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { recompute } from '../support/recompute.ts';

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

const kept = async (log: Log): Promise<{ size: number; note: string }[]> =>
  (
    await one.database.query<{ size: number; note: string }>(
      'SELECT size, note FROM checkpoints WHERE log = $1 ORDER BY size',
      [log.id],
    )
  ).rows;

test('a checkpoint is a note of the head, signed with the key of the log', async () => {
  const log = await one.makeLog('demo');
  await one.append(log, 'a', 'b', 'c');
  const { tree } = await recompute(one.database, log);
  const published = await one.publisher.current(log);
  const note = parseNote(published.note);
  expect(parseCheckpoint(note.text)).toEqual({ origin: 'log.example.org/logs/demo', size: 3, root: tree.root() });
  const { verifierKey } = await one.registry.signer(log);
  expect(checkNote(note, parseVerifierKey(verifierKey))).toBe('verified');
  const other = await one.registry.signer(await one.makeLog('other'));
  expect(checkNote(note, parseVerifierKey(other.verifierKey))).toBe('absent');
});

test('of an empty log too', async () => {
  const log = await one.makeLog('empty');
  const { note } = await one.publisher.current(log);
  expect(parseCheckpoint(parseNote(note).text)).toEqual({ origin: log.origin, size: 0, root: EMPTY_ROOT });
});

test('asking again, by whomever, gives the same bytes and keeps one row', async () => {
  const log = await one.makeLog('again');
  await one.append(log, 'a');
  const { note } = await one.publisher.current(log);
  for (const { publisher } of [one, two, one]) expect((await publisher.current(log)).note).toBe(note);
  const fresh = await openInstance(server.url);
  expect((await fresh.publisher.current(log)).note).toBe(note);
  await fresh.end();
  expect(await kept(log)).toEqual([{ size: 1, note }]);
});

test('many that ask at the same moment for the same new head all get it', async () => {
  const log = await one.makeLog('crowded');
  for (let size = 1; size <= 25; size++) {
    await one.append(log, `${size}`);
    const notes = await Promise.all(
      Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? one : two).publisher.current(log)),
    );
    expect(new Set(notes.map(({ note }) => note)).size).toBe(1);
    expect(notes[0]?.size).toBe(size);
  }
  expect((await kept(log)).map(({ size }) => size)).toEqual(Array.from({ length: 25 }, (_, i) => i + 1));
});

test('many heads at once, some of them signed before', async () => {
  const logs = await Promise.all(['x', 'y', 'z'].map((name) => one.makeLog(name)));
  for (const log of logs) await one.append(log, 'a');
  const heads = await Promise.all(logs.map(async (log) => ({ log, head: await one.registry.head(log) })));
  const first = await one.publisher.publish(one.database, heads.slice(0, 2));
  const all = await two.publisher.publish(two.database, heads);
  expect(all.slice(0, 2)).toEqual(first);
  expect(await one.publisher.publish(one.database, heads)).toEqual(all);
  expect(await one.publisher.publish(one.database, [])).toEqual([]);
});

test('at() knows the sizes that were signed and no other', async () => {
  const log = await one.makeLog('sizes');
  await one.append(log, 'a', 'b');
  const at2 = await one.publisher.current(log);
  await one.append(log, 'c', 'd');
  const at4 = await one.publisher.current(log);
  expect(await two.publisher.at(log, 2)).toEqual(at2);
  expect(await two.publisher.at(log, 4)).toEqual(at4);
  for (const size of [0, 1, 3, 5]) expect(await two.publisher.at(log, size)).toBeNull();
});

describe('what a round has of a log', () => {
  test('is signed when it is asked for, once for all that ask', async () => {
    const log = await one.makeLog('asked-for');
    await one.append(log, 'a', 'b');
    await one.closeRound();
    await one.append(log, 'c');
    await one.closeRound();
    await one.append(log, 'd');
    expect(await kept(log)).toEqual([]);
    const asked = await Promise.all([one, two, one, two].map(({ publisher }) => publisher.at(log, 2)));
    const { rows } = await recompute(one.database, log);
    expect(new Set(asked.map((each) => each?.note)).size).toBe(1);
    expect(asked[0]?.root).toEqual(new MerkleTree(concat(...rows.slice(0, 2).map((row) => row.leaf_hash))).root());
    expect((await kept(log)).map(({ size }) => size)).toEqual([2]);
    await one.publisher.signAllDue(log);
    expect((await kept(log)).map(({ size }) => size)).toEqual([2, 3]);
  });

  test('is not signed where the log does not begin with it, and stops nothing else', async () => {
    const logs = [await one.makeLog('altered-leaf'), await one.makeLog('sound-leaf')] as const;
    for (const log of logs) await one.append(log, 'a', 'b');
    const round = await one.closeRound();
    for (const log of logs) await one.append(log, 'c');
    await one.database.query('ALTER TABLE rounds DISABLE TRIGGER immutable');
    await one.database.query(
      `UPDATE rounds p SET heads = overlay(heads PLACING sha256('other') FROM 44 * r.index - 31)
       FROM round_logs r WHERE p.number = $1 AND r.round = $1 AND r.log = $2`,
      [round?.number, logs[0].id],
    );
    await one.database.query('ALTER TABLE rounds ENABLE TRIGGER immutable');
    const [altered, sound] = await Promise.allSettled(logs.map((log) => two.publisher.at(log, 2)));
    expect(altered).toMatchObject({ status: 'rejected', reason: { code: 'checkpoint-conflict' } });
    expect(sound).toMatchObject({ status: 'fulfilled', value: { size: 2 } });
    expect(await kept(logs[0])).toEqual([]);
  });
});

test('covering() gives the last one handed out where it covers the entry, else a new one', async () => {
  const log = await one.makeLog('covered');
  await one.append(log, 'a', 'b');
  expect((await one.publisher.covering(log, 0)).size).toBe(2);
  await one.append(log, 'c');
  expect((await one.publisher.covering(log, 1)).size).toBe(2);
  expect((await one.publisher.covering(log, 2)).size).toBe(3);
  expect((await one.publisher.covering(log, 0)).size).toBe(3);
  expect((await kept(log)).map(({ size }) => size)).toEqual([2, 3]);
});

describe('a second root for a size', () => {
  /** What an administrator of the database can do, triggers or not. */
  const rewrite = async (log: Log): Promise<void> => {
    await one.database.query(`ALTER TABLE log_heads DISABLE TRIGGER immutable`);
    await one.database.query(`UPDATE log_heads SET root = sha256(root) WHERE log = $1`, [log.id]);
    await one.database.query(`ALTER TABLE log_heads ENABLE TRIGGER immutable`);
  };

  test('is not signed', async () => {
    const log = await one.makeLog('forked');
    await one.append(log, 'a');
    const { note } = await one.publisher.current(log);
    await rewrite(log);
    for (const { publisher } of [one, two]) {
      await expect(publisher.current(log)).rejects.toMatchObject({ code: 'checkpoint-conflict' });
    }
    expect(await kept(log)).toEqual([{ size: 1, note }]);
  });

  test('beside good ones refuses them all', async () => {
    const [good, bad] = [await one.makeLog('good'), await one.makeLog('bad')];
    for (const log of [good, bad]) await one.append(log, 'a');
    await one.publisher.current(bad);
    await rewrite(bad);
    const heads = await Promise.all([good, bad].map(async (log) => ({ log, head: await one.registry.head(log) })));
    await expect(two.publisher.publish(two.database, heads)).rejects.toMatchObject({ code: 'checkpoint-conflict' });
  });

  test('closes no round', async () => {
    const log = await one.makeLog('forked-round');
    await one.append(log, 'a');
    await one.publisher.current(log);
    await rewrite(log);
    await expect(one.closeRound()).rejects.toMatchObject({ code: 'checkpoint-conflict' });
    expect((await one.database.query('SELECT 1 FROM rounds')).rowCount).toBe(3);
  });
});
