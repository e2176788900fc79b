import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eraseEntry } from '../../src/log/erase.ts';
import type { Log } from '../../src/log/log.ts';
import { HoldFiles } from '../../src/log/outside/hold-files.ts';
import { readRetention, setRetention } from '../../src/log/retention.ts';
import { lookForDue, type RetentionLook } from '../../src/log/retention-run.ts';
import { verifyReceipt } from '../../src/verify/verify.ts';
import { auditDatabase } from '../support/audit.ts';
import { Clock, draft, drafts, type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { recompute } from '../support/recompute.ts';

const DAY_MS = 86_400_000;

let database: TestDatabase;
let folder: string;
let one: Instance;
let store: HoldFiles;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'antequem-retention-'));
  database = await testDatabase();
  store = new HoldFiles(join(folder, 'guard'));
  one = await openInstance(database.url, { clock: new Clock(), holdStore: store });
});

afterAll(async () => {
  await one?.end();
  await database?.drop();
  await rm(folder, { recursive: true, force: true });
});

const parts = () => ({ database: one.database, system: one.registry.system, sequencing: one.sequencing });

/** The clock of the looks stands still, so that what is due does not depend on how fast the test runs. */
let frozen = 0;

/** @param stopping fires when the look is broken off */
function look(stopping = new AbortController().signal): Promise<RetentionLook> {
  const effects = { ...one.effects, now: () => frozen };
  return lookForDue({ ...one, sequencing: { ...one.sequencing, effects }, archive: null, interval: 0, stopping });
}

/** The moment between two appends. */
async function moment(): Promise<number> {
  const now = one.clock.now();
  while (one.clock.now() <= now + 1);
  return now + 1;
}

/** Has entries that were received before a moment be due. */
async function dueBefore(log: Log, time: number): Promise<void> {
  frozen = await moment();
  await setRetention(parts(), log, frozen - time);
}

/** The ranges that `_system` tells of, of one log. */
async function acts(log: Log, kind: string): Promise<Record<string, unknown>[]> {
  const { rows } = await recompute(one.database, one.registry.system);
  return rows
    .map(({ payload }) => JSON.parse(payload?.toString() ?? '{}'))
    .filter(({ act, log: origin, ranges }) => {
      if (act !== kind) return false;
      return origin === log.origin || ranges?.some((range: { log: string }) => range.log === log.origin);
    });
}

async function erasedOf(log: Log): Promise<number[]> {
  const { rows } = await recompute(one.database, log);
  return rows.filter(({ digest }) => digest === null).map(({ index }) => index);
}

const range = (begin: number, end: number): number[] => Array.from({ length: end - begin }, (_, i) => begin + i);

const audited = async (): Promise<string[]> =>
  (await auditDatabase(database.url)).findings.map(({ code, log }) => `${code} ${log}`);

describe('retention', () => {
  test('erases what is older, by one act, and leaves the tree, the receipts and what is younger', async () => {
    const log = await one.makeLog('aged');
    await one.appender.append(log, { drafts: drafts(700, 'old'), idempotency: null });
    await one.append(log, 'last old');
    await one.closeRound();
    const receipt = await one.receipts.compose(log, 300);
    const time = await moment();
    await one.appender.append(log, { drafts: drafts(50, 'young'), idempotency: null });
    const before = await recompute(one.database, log);
    await dueBefore(log, time);
    expect(await readRetention(one.database, log)).toMatchObject({ erased: 0, open: 0 });
    const { run, erased, problem } = await look();
    expect({ run, erased, problem }).toEqual({ run: 1, erased: 701, problem: null });
    const after = await recompute(one.database, log);
    expect(after.tree.root()).toEqual(before.tree.root());
    expect(await erasedOf(log)).toEqual(range(0, 701));
    expect(after.rows.slice(701)).toEqual(before.rows.slice(701));
    expect(await acts(log, 'entries-erased')).toEqual([
      {
        at: expect.any(String),
        act: 'entries-erased',
        run: 1,
        ranges: [{ log: log.origin, first: 0, count: 701, before: expect.any(String) }],
      },
    ]);
    expect(await one.entries.locate(draft('old 300').digest, null, 10)).toEqual([]);
    expect(await one.entries.locate(draft('young 30').digest, null, 10)).toHaveLength(1);
    const verdict = await verifyReceipt({ receipt, payload: Buffer.from('old 300') }, {});
    expect(verdict.claims.filter(({ status }) => status === 'refuted')).toEqual([]);
    expect(verdict.claims.find(({ claim }) => claim === 'content')?.status).toBe('verified');
    expect(await look()).toEqual({ run: null, erased: 0, problem: null });
    expect(await readRetention(one.database, log)).toMatchObject({ erased: 701, open: 0, dueSince: null });
    const audit = await auditDatabase(database.url);
    expect(audit.findings).toEqual([]);
    expect(audit.result.contents).toMatchObject({ erased: 701, byRetention: 701, open: 0 });
    expect(audit.verdict.claims.find(({ code }) => code === 'contents-hold')?.says).toContain(
      '701 of them by retention',
    );
    await setRetention(parts(), log, null);
  });

  test('keeps what is under a hold, until that is removed; nobody else erases it either', async () => {
    const log = await one.makeLog('held');
    const times: number[] = [];
    for (let i = 0; i < 4; i++) {
      await one.append(log, `first of ${i}`, `second of ${i}`);
      times.push(await moment());
    }
    const [a = 0, b = 0, c = 0] = times;
    const hold = await one.holds.add(log, { since: a, until: b, reason: 'case 4711' });
    const open = await one.holds.add(log, { since: null, until: a, reason: 'all before' });
    await dueBefore(log, c);
    expect(await look()).toMatchObject({ erased: 2, problem: null });
    expect(await erasedOf(log)).toEqual([4, 5]);
    for (const index of [0, 3]) {
      await expect(
        eraseEntry(one.database, one.registry.system, one.sequencing, log, index, one.holds),
      ).rejects.toMatchObject({ code: 'entry-held' });
    }
    expect(await readRetention(one.database, log)).toMatchObject({ dueSince: null });
    expect(await audited()).toEqual([]);
    await one.holds.remove(log, hold.id);
    await expect(one.holds.remove(log, hold.id)).rejects.toMatchObject({ code: 'hold-not-found' });
    expect(await look()).toMatchObject({ erased: 2 });
    expect(await erasedOf(log)).toEqual([2, 3, 4, 5]);
    await one.holds.remove(log, open.id);
    expect(await look()).toMatchObject({ erased: 2 });
    expect(await erasedOf(log)).toEqual(range(0, 6));
    const { rows } = await one.database.query('SELECT first, behind FROM retention_ranges WHERE log = $1', [log.id]);
    expect(rows).toEqual([{ first: 0, behind: 6 }]);
    expect(await audited()).toEqual([]);
    expect(await acts(log, 'hold-added')).toHaveLength(2);
    await setRetention(parts(), log, null);
  });

  test('broken off after its act it goes on; a hold meanwhile keeps what was named and is still there', async () => {
    const log = await one.makeLog('broken-off');
    await one.append(log, 'a', 'b');
    const between = await moment();
    await one.append(log, 'c', 'd');
    await dueBefore(log, await moment());
    expect(await look(AbortSignal.abort())).toMatchObject({ erased: 0, run: expect.any(Number) });
    expect(await readRetention(one.database, log)).toMatchObject({ erased: 0, open: 4 });
    const audit = await auditDatabase(database.url);
    expect([audit.findings, audit.result.contents?.open]).toEqual([[], 4]);
    await one.holds.add(log, { since: between, until: null, reason: 'came in time' });
    expect(await look()).toMatchObject({ erased: 2, run: null });
    expect(await erasedOf(log)).toEqual([0, 1]);
    expect((await acts(log, 'hold-added'))[0]?.kept).toEqual([{ first: 2, count: 2 }]);
    expect(await audited()).toEqual([]);
    await setRetention(parts(), log, null);
  });

  test('a hold that only the store beside the database has keeps what a run has named, until it is confirmed', async () => {
    const log = await one.makeLog('store-alone');
    await one.append(log, 'a', 'b');
    await dueBefore(log, await moment());
    await look(AbortSignal.abort());
    const id = `hold_${'7'.repeat(32)}`;
    await store.put({ id, log: log.origin, since: null, until: null, reason: 'of before the restore', addedAt: 5 });
    const { erased, problem } = await look();
    expect({ erased, problem }).toEqual({ erased: 0, problem: expect.stringContaining(id) });
    expect(await readRetention(one.database, log)).toMatchObject({ open: 2, dueSince: null });
    await expect(one.holds.confirm([])).rejects.toMatchObject({ code: 'holds-changed' });
    await one.holds.confirm((await one.holds.list()).map((hold) => hold.id));
    expect(await one.holds.of(log)).toMatchObject([{ id, inDatabase: true, inStore: true }]);
    expect(await look()).toMatchObject({ erased: 0, problem: null });
    expect(await erasedOf(log)).toEqual([]);
    expect((await acts(log, 'hold-added'))[0]?.kept).toEqual([{ first: 0, count: 2 }]);
    expect(await audited()).toEqual([]);

    // A store that was lost gets it again.
    await store.remove(id);
    expect(await one.holds.of(log)).toMatchObject([{ id, inDatabase: true, inStore: false }]);
    await one.holds.mirror();
    expect(await one.holds.of(log)).toMatchObject([{ id, inDatabase: true, inStore: true }]);
    await one.holds.remove(log, id);
    expect(await look()).toMatchObject({ erased: 2 });
    await setRetention(parts(), log, null);
  });

  test('the audit finds periods and holds that were altered, and entries that came back', async () => {
    const log = await one.makeLog('altered');
    await one.append(log, 'one', 'two');
    const hold = await one.holds.add(log, { since: null, until: null, reason: 'altered' });
    await setRetention(parts(), log, 400 * DAY_MS);
    const spoiled = async (statement: string, undo: string): Promise<string[]> => {
      await one.database.query(statement);
      const found = await audited();
      await one.database.query(undo);
      return found;
    };
    const set = (table: string, column: string, value: string, where: string): string =>
      `UPDATE ${table} SET ${column} = ${value} WHERE ${where}`;
    const period = (days: number): string => set('retention', 'period', String(days * DAY_MS), `log = ${log.id}`);
    expect(await spoiled(period(4), period(400))).toEqual(['retention-differs altered']);
    const until = (value: string): string => set('holds', 'until', value, `id = '${hold.id}'`);
    expect(await spoiled(until('1'), until('NULL'))).toEqual(['hold-differs altered']);
    await one.database.query('DELETE FROM holds WHERE id = $1', [hold.id]);
    expect(await audited()).toEqual(['hold-differs altered']);
    // It still holds: the store beside the database has it.
    expect(await one.holds.of(log)).toMatchObject([{ id: hold.id, inDatabase: false, inStore: true }]);
    await expect(
      eraseEntry(one.database, one.registry.system, one.sequencing, log, 0, one.holds),
    ).rejects.toMatchObject({ code: 'entry-held' });
    await one.holds.confirm((await one.holds.list()).map(({ id }) => id));
    expect(await audited()).toEqual([]);
    await one.database.query(
      'INSERT INTO retention_ranges (log, first, erased_to, behind, run) VALUES ($1, 0, 0, 2, 9)',
      [log.id],
    );
    // What only the table names is no record.
    expect(await audited()).toEqual([]);
    await one.database.query('DELETE FROM retention_ranges WHERE log = $1', [log.id]);
    await setRetention(parts(), log, null);
  });

  test.each(['', 'two\nlines', 'half a pair \ud800', 'x'.repeat(501)])(
    'a hold for the reason %j is refused',
    async (reason) => {
      const log = await one.makeLog(`reason-${reason.length}`);
      await expect(one.holds.add(log, { since: null, until: null, reason })).rejects.toMatchObject({
        code: 'hold-invalid',
      });
    },
  );

  test('what the archive does not give back holds nothing else up', async () => {
    const [away, here] = [await one.makeLog('away'), await one.makeLog('here')];
    for (const log of [away, here]) await one.append(log, 'one', 'two');
    const time = await moment();
    const { rows } = await one.database.query<{ content: Buffer }>('SELECT content FROM blocks WHERE log = $1', [
      away.id,
    ]);
    await one.database.query(
      `INSERT INTO archived_blocks (log, first, object, key, object_hash, content_hash, length)
       SELECT log, first, substring(sha256('') FOR 16), sha256(''), sha256(''), sha256(content), 1 FROM blocks WHERE log = $1`,
      [away.id],
    );
    await one.database.query('UPDATE blocks SET content = NULL WHERE log = $1', [away.id]);
    for (const log of [away, here]) await dueBefore(log, time);
    expect(await look()).toMatchObject({ erased: 2, problem: expect.stringContaining('archive') });
    expect(await erasedOf(here)).toEqual([0, 1]);
    await one.database.query('UPDATE blocks SET content = $2 WHERE log = $1', [away.id, rows[0]?.content]);
    await one.database.query('DELETE FROM archived_blocks WHERE log = $1', [away.id]);
    expect(await look()).toMatchObject({ erased: 2, problem: null });
    for (const log of [away, here]) await setRetention(parts(), log, null);
    expect(await audited()).toEqual([]);
  });

  test('a period is not changed while a run goes by the one before', async () => {
    const log = await one.makeLog('changed');
    const tx = await one.database.connect();
    await tx.query('BEGIN');
    await one.holds.lock(tx);
    const changed = setRetention(parts(), log, DAY_MS);
    const waiting = async (): Promise<number | null> =>
      (
        await one.database.query(
          `SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
        )
      ).rowCount;
    await expect.poll(waiting).toBe(1);
    expect(await readRetention(one.database, log)).toMatchObject({ period: null });
    await tx.query('COMMIT');
    tx.release();
    await changed;
    await setRetention(parts(), log, null);
  });

  test('the audit finds runs that erased what was to be kept, by the period or by a hold', async () => {
    const log = await one.makeLog('beyond');
    await one.append(log, 'one', 'two');
    await moment();
    await setRetention(parts(), log, 400 * DAY_MS);
    await one.database.query('UPDATE retention SET period = 1 WHERE log = $1', [log.id]);
    frozen = await moment();
    expect(await look()).toMatchObject({ erased: 2 });
    await one.database.query('UPDATE retention SET period = $2 WHERE log = $1', [log.id, 400 * DAY_MS]);
    expect(await audited()).toEqual(['retention-differs beyond']);
    await setRetention(parts(), log, null);

    for (const name of ['passed-over', 'singly']) {
      const held = await one.makeLog(name);
      await one.append(held, 'one', 'two');
      const hold = await one.holds.add(held, { since: null, until: null, reason: name });
      await one.database.query('DELETE FROM holds WHERE id = $1', [hold.id]);
      await new HoldFiles(join(folder, 'guard')).remove(hold.id);
      if (name === 'singly') {
        await eraseEntry(one.database, one.registry.system, one.sequencing, held, 1, one.holds);
      } else {
        await dueBefore(held, await moment());
        expect(await look()).toMatchObject({ erased: 2 });
        await setRetention(parts(), held, null);
      }
      await one.database.query('INSERT INTO holds (id, log, reason, added_at) VALUES ($1, $2, $3, $4)', [
        hold.id,
        held.id,
        hold.reason,
        hold.addedAt,
      ]);
    }
    expect((await audited()).sort()).toEqual([
      'hold-differs passed-over',
      'hold-differs singly',
      'retention-differs beyond',
    ]);
  });
});
