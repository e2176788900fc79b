import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { toHex } from '../../src/core/bytes.ts';
import { eraseEntry } from '../../src/log/erase.ts';
import type { Log } from '../../src/log/log.ts';
import { auditDatabase } from '../support/audit.ts';
import { draft, drafts, type Instance, openInstance } from '../support/instance.ts';
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

const blocksOf = async (log: Log): Promise<[number, number][]> =>
  (
    await one.database.query<{ first: number; count: number }>(
      'SELECT first, count FROM blocks WHERE log = $1 ORDER BY first',
      [log.id],
    )
  ).rows.map(({ first, count }) => [first, count]);
const append = (instance: Instance, log: Log, count: number): Promise<unknown> =>
  instance.appender.append(log, { drafts: drafts(count, `${Math.random()}`), idempotency: null });
const erase = (instance: Instance, log: Log, index: number): Promise<boolean> =>
  eraseEntry(instance.database, instance.registry.system, instance.sequencing, log, index, instance.holds);

const breakBlock = async (log: Log, first: number): Promise<void> => {
  await one.database.query('ALTER TABLE blocks DISABLE TRIGGER USER');
  await one.database.query(`UPDATE blocks SET content = 'broken' WHERE log = $1 AND first = $2`, [log.id, first]);
  await one.database.query('ALTER TABLE blocks ENABLE TRIGGER USER');
};

describe('small blocks', () => {
  test('are put together by the commit that completes their tile, whichever process it is', async () => {
    const log = await one.makeLog('completed');
    for (const count of [1, 5, 100]) await append(one, log, count);
    expect(await blocksOf(log)).toEqual([
      [0, 1],
      [1, 5],
      [6, 100],
    ]);
    await append(two, log, 400);
    expect(await blocksOf(log)).toEqual([
      [0, 256],
      [256, 250],
    ]);
    await append(one, log, 6);
    await append(one, log, 3);
    expect(await blocksOf(log)).toEqual([
      [0, 256],
      [256, 256],
      [512, 3],
    ]);
    await recompute(one.database, log);
  });

  test('with large ones among them: those stay, and what stands between is put together', async () => {
    const log = await one.makeLog('mixed');
    const large = (): Promise<unknown> =>
      one.appender.append(log, { drafts: [draft(new Uint8Array(40_000).fill(65))], idempotency: null });
    await large();
    for (let i = 0; i < 3; i++) await append(one, log, 2);
    await large();
    await large();
    await append(one, log, 2);
    await append(one, log, 300);
    expect(await blocksOf(log)).toEqual([
      [0, 1],
      [1, 6],
      [7, 1],
      [8, 1],
      [9, 247],
      [256, 55],
    ]);
    await recompute(one.database, log);
    expect((await auditDatabase(server.url)).findings).toEqual([]);
  });

  test('never become more than a block may hold', async () => {
    const log = await one.makeLog('heavy');
    const heavy = (count: number) => Array.from({ length: count }, (_, i) => draft(Buffer.alloc(9_000, `${i} `)));
    for (let i = 0; i < 30; i++) await one.appender.append(log, { drafts: heavy(1), idempotency: null });
    await one.appender.append(log, { drafts: heavy(226), idempotency: null });
    const { rows } = await one.database.query<{ most: number }>(
      'SELECT max(bytes) AS most FROM blocks WHERE log = $1',
      [log.id],
    );
    expect(rows[0]?.most).toBeLessThanOrEqual(1 << 20);
    expect((await recompute(one.database, log)).rows).toHaveLength(256);
    expect((await blocksOf(log)).length).toBeLessThan(5);
  });

  test('hold one entry each where entries have a mebibyte: reading one reads nothing of its neighbors', async () => {
    const log = await one.makeLog('largest');
    const payloads = Array.from({ length: 4 }, (_, i) => new Uint8Array(randomBytes(1 << 20)).fill(i, 0, 9));
    await one.appender.append(log, { drafts: payloads.map(draft), idempotency: null });
    await append(one, log, 252);
    expect((await blocksOf(log)).slice(0, 5)).toEqual([
      [0, 1],
      [1, 1],
      [2, 1],
      [3, 1],
      [4, 252],
    ]);
    expect(await one.entries.payload(log, 2)).toEqual(Buffer.from(payloads[2] ?? []));
  });

  test('keep each entry its time and its bytes', async () => {
    const log = await one.makeLog('kept');
    for (let i = 0; i < 40; i++) {
      one.clock.shift = i;
      await append(i % 2 === 0 ? one : two, log, 1);
    }
    one.clock.shift = 0;
    const before = await one.entries.list(log, 0, 40);
    const payloads = (await one.entries.payloads(log, 0, 40)).map((payload) => toHex(payload ?? new Uint8Array(0)));
    await append(two, log, 216);
    expect(await blocksOf(log)).toEqual([[0, 256]]);
    expect(await two.entries.list(log, 0, 40)).toEqual(before);
    expect((await two.entries.payloads(log, 0, 40)).map((payload) => toHex(payload ?? new Uint8Array(0)))).toEqual(
      payloads,
    );
    for (const index of [0, 17, 39]) expect(await one.entries.receivedAt(log, index)).toBe(before[index]?.receivedAt);
  });

  test('erased and put together at once: what was erased stays erased', async () => {
    const log = await one.makeLog('raced');
    const erased: number[] = [];
    const erasing: Promise<boolean>[] = [];
    for (let size = 0; size < 270; size += 3) {
      const list = [0, 1, 2].map((i) => draft(`secret ${size + i}`));
      const appended = one.appender.append(log, { drafts: list, idempotency: null });
      if (size % 12 === 0 && size > 0) {
        erased.push(size - 2);
        erasing.push(erase(two, log, size - 2));
      }
      await appended;
    }
    expect(await Promise.all(erasing)).toEqual(erased.map(() => true));
    const { rows } = await recompute(one.database, log);
    expect(rows.filter((row) => row.erased).map(({ index }) => index)).toEqual(erased);
    expect(rows.filter(({ digest }) => digest === null).map(({ index }) => index)).toEqual(erased);
    const { rows: found } = await one.database.query(
      `SELECT 1 FROM blocks WHERE log = $1 AND position(convert_to('secret 10', 'UTF8') IN content) > 0`,
      [log.id],
    );
    expect(found).toEqual([]);
    expect((await auditDatabase(server.url)).findings).toEqual([]);
  });

  test('that were damaged do not hinder appending, and are found', async () => {
    const log = await one.makeLog('broken');
    await append(one, log, 5);
    await append(one, log, 5);
    await breakBlock(log, 5);
    await append(two, log, 500);
    expect((await one.registry.head(log)).size).toBe(510);
    expect((await auditDatabase(server.url)).findings[0]).toMatchObject({
      code: 'block-damaged',
      log: 'broken',
      index: 5,
    });
    await expect(one.entries.read(log, 7)).rejects.toMatchObject({ code: 'log-damaged' });
    expect(await one.entries.read(log, 2)).toMatchObject({ index: 2 });
  });

  test('are not read again by the process that has just written them, and are after a pause', async () => {
    const process = await openInstance(server.url);
    onTestFinished(async () => {
      vi.useRealTimers();
      await process.end();
    });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const log = await process.makeLog('written-just-now');
    await append(process, log, 256);
    await append(process, log, 5);
    await breakBlock(log, 256);
    await append(process, log, 256);
    expect(await one.entries.read(log, 258)).toMatchObject({ index: 258 });
    await vi.advanceTimersByTimeAsync(1_000);
    await breakBlock(log, 512);
    await append(process, log, 256);
    await expect(one.entries.read(log, 514)).rejects.toMatchObject({ code: 'log-damaged' });
  });
});
