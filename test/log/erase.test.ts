import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import type { AntequemError } from '../../src/core/errors.ts';
import { eraseEntry } from '../../src/log/erase.ts';
import type { Log } from '../../src/log/log.ts';
import { auditDatabase } from '../support/audit.ts';
import { draft, type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { recompute } from '../support/recompute.ts';

let database: TestDatabase;
let one: Instance;
let two: Instance;

beforeAll(async () => {
  database = await testDatabase();
  one = await openInstance(database.url);
  two = await openInstance(database.url);
});
afterAll(async () => {
  await one.end();
  await two.end();
  await database.drop();
});

const erase = (instance: Instance, log: Log, index: number): Promise<boolean> =>
  eraseEntry(instance.database, instance.registry.system, instance.sequencing, log, index, instance.holds);

/** The erasures that `_system` tells of. */
async function erasures(): Promise<unknown[]> {
  const { rows } = await recompute(one.database, one.registry.system);
  return rows.map(({ payload }) => JSON.parse(payload?.toString() ?? '{}')).filter(({ act }) => act === 'entry-erased');
}

describe('erasing an entry', () => {
  test('takes payload, digest and nonce, and leaves its place in the tree', async () => {
    const log = await one.makeLog('erasing');
    await one.append(log, ...Array.from({ length: 300 }, (_, i) => `entry ${i}`));
    const before = await recompute(one.database, log);
    expect(await erase(one, log, 17)).toBe(true);
    const after = await recompute(one.database, log);
    expect(after.tree.root()).toEqual(before.tree.root());
    expect(after.rows[17]).toMatchObject({ payload: null, digest: null, nonce: null });
    expect(after.rows.filter((_, i) => i !== 17)).toEqual(before.rows.filter((_, i) => i !== 17));
    expect(await one.entries.locate(draft('entry 17').digest, null, 10)).toEqual([]);
    expect(await one.entries.locate(draft('entry 18').digest, null, 10)).toHaveLength(1);
    expect(await erasures()).toEqual([
      { at: expect.stringMatching(/Z$/), act: 'entry-erased', log: 'log.example.org/logs/erasing', index: 17 },
    ]);
    expect((await auditDatabase(database.url)).findings).toEqual([]);
  });

  test('is noticed by another process that has just read the same block', async () => {
    const log = await one.makeLog('remembered');
    await one.append(log, ...Array.from({ length: 256 }, (_, i) => `entry ${i}`));
    await one.closeRound();
    const readAll = async (): Promise<unknown[]> => [
      await two.entries.payload(log, 17),
      (await two.entries.read(log, 17))?.secret?.digest ?? null,
      await two.receipts.compose(log, 17).then(
        ({ entry }) => entry.digest,
        (error: AntequemError) => error.code,
      ),
    ];
    const digest = draft('entry 17').digest;
    const before = [Buffer.from('entry 17'), digest, toHex(digest)];
    expect([await readAll(), await readAll()]).toEqual([before, before]);
    const neighbour = await two.entries.read(log, 18);
    await erase(one, log, 17);
    expect([await readAll(), await readAll()]).toEqual([
      ['absent', null, 'entry-erased'],
      ['absent', null, 'entry-erased'],
    ]);
    expect(await two.entries.read(log, 18)).toEqual(neighbour);
  });

  test('is recorded once, however often and by however many it is asked for', async () => {
    const log = await one.makeLog('twice');
    await one.append(log, 'a', 'b');
    const known = (await erasures()).length;
    const done = await Promise.all([one, two, one, two].map((instance) => erase(instance, log, 1)));
    expect(done.filter((erased) => erased)).toHaveLength(1);
    expect(await erase(two, log, 1)).toBe(false);
    expect(await erasures()).toHaveLength(known + 1);
  });

  test('beside appends to the same log, none is lost and none waits for ever', async () => {
    const log = await one.makeLog('beside');
    await one.append(log, ...Array.from({ length: 40 }, (_, i) => `first ${i}`));
    const work = Array.from({ length: 40 }, (_, i) => [erase(one, log, i), two.append(log, `then ${i}`)]).flat();
    await Promise.all(work);
    const { rows } = await recompute(one.database, log);
    expect(rows).toHaveLength(80);
    expect(rows.filter(({ digest }) => digest === null).map(({ index }) => index)).toEqual(
      Array.from({ length: 40 }, (_, i) => i),
    );
    expect((await auditDatabase(database.url)).findings).toEqual([]);
  });

  test('takes the idempotency records that cover it, and those alone', async () => {
    const log = await one.makeLog('keyed');
    const send = (key: string, ...texts: string[]) =>
      one.appender.append(log, {
        drafts: texts.map(draft),
        idempotency: { owner: '', key, requestHash: draft(texts.join()).digest },
      });
    await send('before', 'a');
    await send('covering', 'b', 'c', 'd');
    await send('after', 'e');
    await erase(one, log, 2);
    const { rows } = await one.database.query('SELECT key FROM idempotency WHERE log = $1 ORDER BY first_index', [
      log.id,
    ]);
    expect(rows).toEqual([{ key: 'before' }, { key: 'after' }]);
    expect((await send('before', 'a')).index).toBe(0);
    // Nothing is left to know it by: who sends it again logs it again.
    expect((await send('covering', 'b', 'c', 'd')).index).toBe(5);
  });

  test('of a digest without a payload works as well', async () => {
    const log = await one.makeLog('digests');
    const { digest } = draft('kept elsewhere');
    await one.appender.append(log, { drafts: [{ digest, payload: null }], idempotency: null });
    expect(await erase(one, log, 0)).toBe(true);
    expect(await one.entries.locate(digest, null, 10)).toEqual([]);
  });

  test('in _system is refused', async () => {
    await expect(erase(one, one.registry.system, 0)).rejects.toMatchObject({ code: 'log-reserved' });
  });

  test.each([1, 64, 5_000_000])('that is not there (%i) is refused, and nothing recorded', async (index) => {
    const log = await one.makeLog('short');
    if ((await one.registry.head(log)).size === 0) await one.append(log, 'a');
    const known = (await erasures()).length;
    await expect(erase(one, log, index)).rejects.toMatchObject({ code: 'entry-not-found' });
    expect(await erasures()).toHaveLength(known);
  });
});
