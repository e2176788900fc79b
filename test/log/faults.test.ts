import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { utf8 } from '../../src/core/bytes.ts';
import type { Log } from '../../src/log/log.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { drafts, type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { recompute } from '../support/recompute.ts';

let server: TestDatabase;
/** Reaches the database by a way that never breaks. */
let sound: Instance;
let proxy: FaultProxy;
let faulty: Instance;
let log: Log;
let made = 0;

beforeAll(async () => {
  server = await testDatabase();
  sound = await openInstance(server.url);
});

afterAll(async () => {
  await sound?.end();
  await server?.drop();
});

beforeEach(async () => {
  proxy = await FaultProxy.open(server.url);
  faulty = await openInstance(proxy.url, { connections: 3, name: `faulty-${made}` });
  log = await sound.makeLog(`log-${made++}`);
});

afterEach(async () => {
  await faulty.end();
  await proxy.close();
});

const texts = async (): Promise<(string | undefined)[]> =>
  (await recompute(sound.database, log)).rows.map((row) => row.payload?.toString());
const keyed = (key: string, count = 2) => ({
  drafts: drafts(count, key),
  idempotency: { owner: '', key, requestHash: sha256(utf8(key)) },
});

describe('a commit that fails', () => {
  test('without having happened: told so, nothing kept, the next append works', async () => {
    await faulty.append(log, 'a');
    proxy.faults.push('lost');
    await expect(faulty.append(log, 'b')).rejects.toThrow();
    expect(await texts()).toEqual(['a']);
    expect(await faulty.append(log, 'c')).toMatchObject({ index: 1 });
    expect(await texts()).toEqual(['a', 'c']);
  });

  test('without having happened, while another process brings the log to that very size', async () => {
    await faulty.append(log, 'a');
    for (const n of [1, 3]) {
      const mine = drafts(n, 'mine');
      proxy.faults.push('lost');
      await expect(faulty.appender.append(log, { drafts: mine, idempotency: null })).rejects.toThrow();
      await sound.appender.append(log, { drafts: drafts(n, 'theirs'), idempotency: null });
      await faulty.append(log, 'behind');
      await recompute(sound.database, log);
    }
    expect(await texts()).not.toContain('mine 0');
  });

  test('having happened: told so, everything kept, the next append goes on behind it', async () => {
    await faulty.append(log, 'a');
    proxy.faults.push('unanswered');
    await expect(faulty.append(log, 'b')).rejects.toThrow();
    expect(await faulty.append(log, 'c')).toMatchObject({ index: 2 });
    expect(await texts()).toEqual(['a', 'b', 'c']);
  });

  test('with an Idempotency-Key the second sending finds out which it was', async () => {
    for (const fault of ['lost', 'unanswered'] as const) {
      proxy.faults.push(fault);
      await expect(faulty.appender.append(log, keyed(fault))).rejects.toThrow();
      const again = await faulty.appender.append(log, keyed(fault));
      expect(await sound.appender.append(log, keyed(fault))).toEqual(again);
    }
    expect(await texts()).toEqual(['lost 0', 'lost 1', 'unanswered 0', 'unanswered 1']);
  });

  test('at each end of a tile and of a range', async () => {
    let expected = 0;
    for (const to of [63, 64, 65, 128, 255, 256, 257, 511, 512]) {
      const list = drafts(to - expected, `to ${to}`);
      proxy.faults.push('lost', 'lost');
      for (let i = 0; i < 2; i++) {
        await expect(faulty.appender.append(log, { drafts: list, idempotency: null })).rejects.toThrow();
      }
      proxy.faults.push('unanswered');
      await expect(faulty.appender.append(log, { drafts: list, idempotency: null })).rejects.toThrow();
      expect((await recompute(sound.database, log)).rows).toHaveLength(to);
      expected = to;
    }
    expect(await faulty.append(log, 'end')).toMatchObject({ index: 512 });
    await recompute(sound.database, log);
  });

  test('again and again under many appenders: every answer holds, every refusal may or may not', async () => {
    const told = new Map<number, string>();
    const maybe = new Set<string>();
    let refusals = 0;
    const worker = async (n: number): Promise<void> => {
      for (let i = 0; i < 15; i++) {
        const text = `${n}/${i}`;
        if (n === 0) proxy.faults.push(i % 2 === 0 ? 'lost' : 'unanswered');
        try {
          const { index } = await (n % 3 === 0 ? sound : faulty).append(log, text);
          expect(told.has(index)).toBe(false);
          told.set(index, text);
        } catch {
          refusals++;
          maybe.add(text);
        }
      }
    };
    await Promise.all(Array.from({ length: 12 }, (_, n) => worker(n)));
    const kept = await texts();
    expect(refusals).toBeGreaterThan(0);
    for (const [index, text] of told) expect(kept[index]).toBe(text);
    const others = kept.filter((_, index) => !told.has(index));
    expect(others.every((text) => text !== undefined && maybe.has(text))).toBe(true);
    expect(new Set(kept).size).toBe(kept.length);
  });

  test('of a new log, a key or a round: all of it or nothing', async () => {
    const name = `whole-${made}`;
    const { system } = sound.registry;
    const before = (await recompute(sound.database, system)).rows.length;
    proxy.faults.push('lost');
    await expect(faulty.registry.create(name, { blinded: true })).rejects.toThrow();
    expect(await sound.registry.find(name)).toBeNull();
    proxy.faults.push('unanswered');
    await expect(faulty.registry.create(name, { blinded: true })).rejects.toThrow();
    expect(await faulty.registry.create(name, { blinded: true })).toMatchObject({ created: false });
    expect((await recompute(sound.database, system)).rows).toHaveLength(before + 1);

    proxy.faults.push('lost');
    await expect(faulty.keys.create('k', ['read'], null)).rejects.toThrow();
    expect(await sound.keys.list()).toEqual([]);

    await sound.append(log, 'a');
    proxy.faults.push('lost');
    await expect(faulty.closeRound()).rejects.toThrow();
    expect((await sound.database.query('SELECT 1 FROM rounds')).rowCount).toBe(0);
    proxy.faults.push('unanswered');
    await expect(faulty.closeRound()).rejects.toThrow();
    expect(await faulty.closeRound()).toBeNull();
    const { rows } = await recompute(sound.database, system);
    expect(rows.filter((row) => row.payload?.includes('"round-closed"'))).toHaveLength(1);
  });
});

describe('a connection that is ended by the server', () => {
  const end = (name: string) =>
    sound.database.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [name]);

  test('while it idles: nobody notices', async () => {
    const name = `faulty-${made - 1}`;
    for (let i = 0; i < 5; i++) {
      await faulty.append(log, `${i}`);
      expect((await end(name)).rowCount).toBeGreaterThan(0);
      await expect.poll(() => faulty.database.idleCount).toBe(0);
    }
    expect(await texts()).toEqual(['0', '1', '2', '3', '4']);
  });

  test('the moment it is ready: an error of one append, not the end of the process', async () => {
    for (let i = 0; i < 3; i++) {
      const instance = await openInstance(proxy.url, { connections: 2 });
      await instance.database.query('SELECT 1');
      const busy = await instance.database.connect();
      proxy.endings = 1;
      await expect(instance.append(log, 'a')).rejects.toThrow();
      expect(proxy.endings).toBe(0);
      busy.release();
      expect(await instance.append(log, 'b')).toMatchObject({ index: i });
      await instance.end();
    }
  });

  test('in the middle of an append: an error, nothing kept, and it recovers by itself', async () => {
    const name = `faulty-${made - 1}`;
    await faulty.append(log, 'a');
    const holder = await sound.database.connect();
    await holder.query('BEGIN');
    await holder.query('SELECT 1 FROM logs WHERE id = $1 FOR UPDATE', [log.id]);
    const lost = Promise.allSettled([faulty.append(log, 'b'), faulty.append(log, 'c', 'd')]);
    const waits = `SELECT 1 FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'`;
    await expect.poll(async () => (await sound.database.query(waits, [name])).rowCount).toBeGreaterThan(0);
    await end(name);
    for (const outcome of await lost) expect(outcome.status).toBe('rejected');
    await holder.query('ROLLBACK');
    holder.release();
    expect(await faulty.append(log, 'e')).toMatchObject({ index: 1 });
    expect(await texts()).toEqual(['a', 'e']);
  });

  test('again and again while many append', async () => {
    const name = `faulty-${made - 1}`;
    const pauses = [5, 15, 50, 150, 500];
    let done = false;
    let ended = 0;
    const killer = (async () => {
      while (!done) {
        ended += (await end(name)).rowCount ?? 0;
        // The short ones are less than an append takes on a busy machine, the long ones let some through.
        await new Promise((resolve) => setTimeout(resolve, pauses[ended % pauses.length]));
      }
    })();
    const told = new Map<number, string>();
    await Promise.all(
      Array.from({ length: 8 }, async (_, n) => {
        for (let i = 0; i < 25; i++) {
          const key = `${n}/${i}`;
          for (;;) {
            try {
              const { index } = await faulty.appender.append(log, keyed(key, 1));
              told.set(index, `${key} 0`);
              break;
            } catch {
              // Sent again with its key, as a client would.
            }
          }
        }
      }),
    );
    done = true;
    await killer;
    expect(ended).toBeGreaterThan(3);
    const kept = await texts();
    expect(kept).toHaveLength(8 * 25);
    for (const [index, text] of told) expect(kept[index]).toBe(text);
  });
});

describe('while a commit hangs', () => {
  test('a round closes without the log whose append it is, and checkpoints are signed', async () => {
    const other = await sound.makeLog(`other-${made}`);
    await sound.append(log, 'a');
    await sound.append(other, 'a');
    await faulty.append(log, 'b');
    proxy.faults.push('held');
    const hanging = faulty.append(log, 'c');
    await proxy.holding();
    const patience = new Promise((resolve) => setTimeout(() => resolve('still waiting'), 3_000));
    const checkpoint = await Promise.race([sound.publisher.current(log), patience]);
    const round = await Promise.race([sound.closeRound(), patience]);
    proxy.release();
    expect(await hanging).toMatchObject({ index: 2 });
    expect(checkpoint).toMatchObject({ size: 2 });
    expect(round).toMatchObject({ size: expect.any(Number) });
  });

  test('others of the same log wait, those of other logs do not', async () => {
    const other = await sound.makeLog(`other-${made}`);
    await faulty.append(log, 'a');
    proxy.faults.push('held');
    // With a key to look up it is a transaction, which holds the lock of the log.
    const hanging = faulty.appender.append(log, keyed('b', 1));
    await proxy.holding();
    const behind = sound.append(log, 'c');
    expect(await sound.append(other, 'a')).toMatchObject({ index: 0 });
    expect(await faulty.append(other, 'b')).toMatchObject({ index: 1 });
    proxy.release();
    expect((await hanging).index).toBe(1);
    expect((await behind).index).toBe(2);
  });
});
