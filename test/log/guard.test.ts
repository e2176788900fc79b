import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { adopt, assessDamage } from '../../src/anchor/recovery.ts';
import { lastRound } from '../../src/anchor/rounds.ts';
import type { Log } from '../../src/log/log.ts';
import type { PublishedStore } from '../../src/log/outside/published.ts';
import { PublishedFile } from '../../src/log/outside/published-file.ts';
import { copyDatabase, restoreDatabase } from '../support/backup.ts';
import { FaultProxy } from '../support/fault-proxy.ts';
import { type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { recompute } from '../support/recompute.ts';

const REFUSED = { code: 'database-set-back' };

let folder: string;
let files = 0;
let file: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'antequem-guard-'));
});

beforeEach(() => {
  file = join(folder, `published-${files++}`);
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** A process of the service, with a store of its own over the file. */
async function start(url: string, options: { published?: PublishedStore } = {}): Promise<Instance> {
  return openInstance(url, { published: options.published ?? new PublishedFile(file) });
}

async function end(instance: Instance): Promise<void> {
  await instance.guard.close();
  await instance.end();
}

const find = async (instance: Instance, name: string): Promise<Log> => {
  const log = await instance.registry.find(name);
  if (log === null) throw new Error(`no log ${name}`);
  return log;
};

describe('a database set back', () => {
  /** A log of 3 entries in round 1. */
  let base: TestDatabase;
  let baseFile: string;
  const databases: TestDatabase[] = [];

  beforeAll(async () => {
    baseFile = join(folder, 'base');
    file = baseFile;
    base = await testDatabase();
    const instance = await start(base.url);
    const log = await instance.makeLog('demo');
    await instance.append(log, 'a', 'b', 'c');
    await instance.closeRound();
    await instance.receipts.compose(log, 2);
    await end(instance);
  });

  afterAll(async () => {
    for (const database of [...databases, base]) await database.drop();
  });

  const copy = async (): Promise<TestDatabase> => {
    const database = await copyDatabase(base.url);
    databases.push(database);
    return database;
  };

  /** Publishes on a copy of the database what `later` does, with a store that knows the base. */
  const publish = async (later: (instance: Instance, log: Log) => Promise<unknown>): Promise<TestDatabase> => {
    await copyFile(`${baseFile}.1`, `${file}.1`);
    const live = await copy();
    const instance = await start(live.url);
    await later(instance, await find(instance, 'demo'));
    await end(instance);
    return live;
  };

  const LATER: Record<string, (instance: Instance, log: Log) => Promise<unknown>> = {
    'behind a checkpoint that was handed out': async (instance, log) => {
      await instance.append(log, 'd');
      await instance.publisher.current(log);
    },
    'behind a round': async (instance, log) => {
      await instance.append(log, 'd');
      await instance.closeRound();
    },
    'behind a log that was made and published': async (instance) => {
      const log = await instance.makeLog('new');
      await instance.append(log, 'x');
      await instance.publisher.current(log);
    },
  };

  test.each(Object.entries(LATER))('%s: appends, signs and sends nothing, and reads on', async (_, later) => {
    await publish(later);
    const instance = await start(base.url);
    const log = await find(instance, 'demo');
    expect(instance.guard.rollback.finding).toMatchObject(REFUSED);
    await expect(instance.append(log, 'e')).rejects.toMatchObject(REFUSED);
    await expect(instance.makeLog('more')).rejects.toMatchObject(REFUSED);
    await expect(instance.keys.create('k', ['read'], null)).rejects.toMatchObject(REFUSED);
    await expect(instance.publisher.current(log)).rejects.toMatchObject(REFUSED);
    await expect(instance.closeRound({ heartbeat: 1 })).rejects.toMatchObject(REFUSED);
    // What is there and was signed before is told.
    expect(Buffer.from((await instance.entries.payload(log, 2)) ?? '').toString()).toBe('c');
    expect(await instance.receipts.compose(log, 2)).toMatchObject({ round: { number: 1 } });
    expect((await recompute(instance.database, log)).rows).toHaveLength(3);
    await end(instance);
  });

  test('is found under a running process, by the log it remembers', async () => {
    await copyFile(`${baseFile}.1`, `${file}.1`);
    const live = await copy();
    const instance = await start(live.url);
    const log = await find(instance, 'demo');
    await instance.append(log, 'd');
    await restoreDatabase(live.url, base);
    // The first may have met the broken connection.
    await instance.append(log, 'e').catch(() => {});
    await expect(instance.append(log, 'e')).rejects.toMatchObject(REFUSED);
    await expect(instance.makeLog('more')).rejects.toMatchObject(REFUSED);
    await end(instance);
  });

  test('and grown again past what was published, by a process without a guard: still not signed', async () => {
    await publish(async (instance, log) => {
      await instance.append(log, 'd', 'e');
      await instance.publisher.current(log);
    });
    const restored = await copy();
    const blind = await openInstance(restored.url);
    await blind.append(await find(blind, 'demo'), 'other', 'entries', 'in', 'their', 'places');
    await blind.end();
    // Not found at the start, as if it happened afterwards.
    const late = { ...shown(new PublishedFile(file)), all: async () => new Map() };
    const instance = await start(restored.url, { published: late });
    expect(instance.guard.rollback.finding).toBeNull();
    const log = await find(instance, 'demo');
    await expect(instance.publisher.current(log)).rejects.toMatchObject(REFUSED);
    await expect(instance.append(log, 'f')).rejects.toMatchObject(REFUSED);
    await end(instance);
    // Nor at a start that does look.
    const again = await start(restored.url);
    expect(again.guard.rollback.finding).toMatchObject(REFUSED);
    await end(again);
  });

  test('is adopted when the operator says so: recorded in _system, and the service goes on', async () => {
    const live = await publish(async (instance, log) => {
      await instance.append(log, 'd', 'e');
      await instance.append(await instance.makeLog('gone'), 'x');
      await instance.closeRound();
      await instance.append(log, 'f');
      await instance.closeRound();
    });
    const restored = await copy();
    const refused = await start(restored.url);
    const { database, registry, guard } = refused;
    const damage = await assessDamage(database, guard);
    const brief = damage.losses.map(({ subject, published, now }) => [subject, published.size, now?.size ?? null]);
    expect(brief.toSorted()).toEqual([
      ['log.example.org#rounds', 3, 1],
      ['log.example.org/logs/_system', expect.any(Number), expect.any(Number)],
      ['log.example.org/logs/demo', 6, 3],
      ['log.example.org/logs/gone', 1, null],
    ]);
    const fresh = await openInstance(restored.url);
    await adopt(damage, { database, registry, guard, sequencing: fresh.sequencing, skipLost: async () => {} });
    await fresh.end();
    // The process that refused keeps refusing: what it remembers may be of what was lost.
    await expect(refused.append(await find(refused, 'demo'), 'g')).rejects.toMatchObject(REFUSED);
    await end(refused);

    const instance = await start(restored.url);
    expect(instance.guard.rollback.finding).toBeNull();
    const log = await find(instance, 'demo');
    expect(await instance.append(log, 'g')).toMatchObject({ index: 3 });
    expect(await instance.publisher.current(log)).toMatchObject({ size: 4 });
    expect(await instance.append(await instance.makeLog('gone'), 'y')).toMatchObject({ index: 0 });
    expect(await instance.closeRound()).toMatchObject({ number: 2 });
    const { rows } = await recompute(instance.database, instance.registry.system);
    const acts = rows.map(({ payload }) => JSON.parse(payload?.toString() ?? '{}'));
    const recovered = acts.filter(({ act }) => act === 'recovered');
    expect(recovered).toHaveLength(4);
    expect(recovered.find(({ subject }) => subject.endsWith('/demo'))).toMatchObject({
      published: { size: 6, root: expect.stringMatching(/^[0-9a-f]{64}$/) },
      now: { size: 3 },
    });
    await end(instance);
    // From now on it is the other copy that lacks what was published.
    const other = await start(live.url);
    expect(other.guard.rollback.finding).toMatchObject(REFUSED);
    await end(other);
  });

  test('of which the newest copy is brought back goes on as if nothing had been', async () => {
    const live = await publish(async (instance, log) => {
      await instance.append(log, 'd');
      await instance.closeRound();
    });
    const refused = await start(base.url);
    expect(refused.guard.rollback.finding).toMatchObject(REFUSED);
    await end(refused);
    const instance = await start(live.url);
    expect(instance.guard.rollback.finding).toBeNull();
    expect(await instance.append(await find(instance, 'demo'), 'e')).toMatchObject({ index: 4 });
    expect(await instance.closeRound()).toMatchObject({ number: 3 });
    await end(instance);
  });
});

/** A store as an object whose methods can be replaced. */
function shown(store: PublishedStore): PublishedStore {
  return {
    name: store.name,
    read: (subjects) => store.read(subjects),
    all: () => store.all(),
    compareAndSet: (changes) => store.compareAndSet(changes),
    close: () => store.close(),
  };
}

describe('a database that was not set back', () => {
  let server: TestDatabase;
  beforeAll(async () => {
    server = await testDatabase();
  });
  afterAll(() => server.drop());

  test('never raises the alarm: two processes append, publish and close rounds side by side', async () => {
    const instances = await Promise.all([start(server.url), start(server.url)]);
    const [one, two] = instances;
    if (one === undefined || two === undefined) throw new Error('two processes');
    const logs = await Promise.all(['p', 'q', 'r'].map((name) => one.makeLog(name)));
    const seen = new Map<string, string>();
    const notes: number[] = [];
    await Promise.all(
      instances.flatMap((instance) =>
        logs.map(async (log) => {
          let largest = 0;
          for (let i = 0; i < 25; i++) {
            await instance.append(log, `${i}`);
            const { size, note } = await instance.publisher.current(log);
            expect(size).toBeGreaterThanOrEqual(largest);
            largest = size;
            const known = seen.get(`${log.id}/${size}`) ?? note;
            expect(note).toBe(known);
            seen.set(`${log.id}/${size}`, note);
            if (i % 5 === 0) notes.push((await instance.closeRound())?.number ?? 0);
          }
        }),
      ),
    );
    expect(notes.filter((number) => number > 0).length).toBeGreaterThan(3);
    for (const { guard } of instances) expect(guard.rollback.finding).toBeNull();
    const store = new PublishedFile(file);
    const marks = await store.all();
    for (const log of logs) expect(marks.get(log.origin)).toMatchObject({ size: 50 });
    await one.closeRound();
    const newest = await lastRound(one.database);
    const rounds = await store.read([one.guard.rounds]);
    await store.close();
    expect(rounds).toEqual([{ size: newest?.number, root: newest?.root }]);
    await Promise.all(instances.map(end));
  });

  test('after a round that was rolled back, or took place and was not known to have', async () => {
    const proxy = await FaultProxy.open(server.url);
    const instance = await start(proxy.url);
    const log = await instance.makeLog('rolled');
    for (const fault of ['lost', 'unanswered', 'lost', 'unanswered'] as const) {
      await instance.append(log, 'a');
      proxy.faults.push(fault);
      await expect(instance.closeRound()).rejects.toThrow();
      await instance.append(log, 'b');
      await instance.closeRound();
      const again = await start(server.url);
      expect(again.guard.rollback.finding).toBeNull();
      await end(again);
    }
    expect(instance.guard.rollback.finding).toBeNull();
    await end(instance);
    await proxy.close();
  });

  test('with a store that is new, or lost all it had: begins with what the database has', async () => {
    const first = await start(server.url);
    const log = await first.makeLog('renewed');
    await first.append(log, 'a');
    await first.publisher.current(log);
    file = `${file}-other`;
    const second = await start(server.url);
    expect(second.guard.rollback.finding).toBeNull();
    await second.append(log, 'b');
    expect(await second.publisher.current(log)).toMatchObject({ size: 2 });
    expect(await second.guard.store?.read([log.origin])).toMatchObject([{ size: 2 }]);
    await Promise.all([end(first), end(second)]);
  });

  test('whose store is away: appends are taken, nothing is signed, and all goes on when it is back', async () => {
    const store = new PublishedFile(file);
    let away = true;
    const check = async (): Promise<void> => {
      if (away) throw Object.assign(new Error('away'));
    };
    const flaky: PublishedStore = {
      name: 'flaky',
      read: (subjects) => check().then(() => store.read(subjects)),
      all: () => check().then(() => store.all()),
      compareAndSet: (changes) => check().then(() => store.compareAndSet(changes)),
      close: () => store.close(),
    };
    away = false;
    const instance = await start(server.url, { published: flaky });
    const log = await instance.makeLog('away');
    away = true;
    expect(await instance.append(log, 'a')).toMatchObject({ index: 0 });
    await expect(instance.publisher.current(log)).rejects.toThrow('away');
    await expect(instance.closeRound()).rejects.toThrow('away');
    expect(await instance.publisher.at(log, 1)).toBeNull();
    expect(await instance.append(log, 'b')).toMatchObject({ index: 1 });
    away = false;
    expect(await instance.publisher.current(log)).toMatchObject({ size: 2 });
    expect(await instance.closeRound()).not.toBeNull();
    await end(instance);
  });

  test('ten thousand logs that grew are compared and recorded with one round', async () => {
    const instance = await start(server.url);
    await instance.database.query(
      `WITH made AS (
         INSERT INTO logs (name, origin, log_id, blinded, created_at)
         SELECT 'many-' || n, 'log.example.org/logs/many-' || n, sha256(('log.example.org/logs/many-' || n)::bytea), true, 0
         FROM generate_series(1, 10000) AS n RETURNING id, log_id)
       INSERT INTO log_heads SELECT id, 1, sha256(log_id), sha256(log_id), 0 FROM made`,
    );
    const { rows } = await instance.database.query<{ id: number; name: string; origin: string; root: Buffer }>(
      `SELECT id, name, origin, root FROM log_states WHERE name LIKE 'many-%'`,
    );
    const heads = rows.map(({ root, ...log }) => ({
      log: { ...log, logId: new Uint8Array(32), blinded: true, createdAt: 0 },
      head: { size: 1, root: new Uint8Array(root) },
    }));
    const begun = performance.now();
    expect(await instance.guard.release(instance.database, heads)).toBe(true);
    const released = performance.now();
    expect(await instance.guard.release(instance.database, heads)).toBe(true);
    const again = performance.now();
    expect(await instance.guard.losses()).toEqual([]);
    console.log(
      `10,000 logs: recorded in ${Math.round(released - begun)} ms, compared in ${Math.round(again - released)} ms, ` +
        `compared at a start in ${Math.round(performance.now() - again)} ms`,
    );
    await end(instance);
  });
});
