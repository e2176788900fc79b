// What becomes of an entry by its age and by holds, when it is erased, when retention runs, and when a database is restored.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { adopt, assessDamage } from '../../src/anchor/recovery.ts';
import { ArchivedBlocks } from '../../src/archive/archived-blocks.ts';
import { Bucket, type ObjectLock } from '../../src/archive/bucket.ts';
import { moveBlocks } from '../../src/archive/moved-blocks.ts';
import { AntequemError } from '../../src/core/errors.ts';
import { TILE_WIDTH } from '../../src/core/tiles.ts';
import { EntryReader } from '../../src/log/entries.ts';
import { eraseEntry } from '../../src/log/erase.ts';
import type { Log } from '../../src/log/log.ts';
import { AnsweredHeads } from '../../src/log/outside/answered.ts';
import { AnsweredFile } from '../../src/log/outside/answered-file.ts';
import { HoldFiles } from '../../src/log/outside/hold-files.ts';
import { PublishedFile } from '../../src/log/outside/published-file.ts';
import { copiesLockedUntil } from '../../src/log/recall.ts';
import { setRetention } from '../../src/log/retention.ts';
import { lookForDue } from '../../src/log/retention-run.ts';
import { auditDatabase } from '../support/audit.ts';
import { copyDatabase, restoreDatabase } from '../support/backup.ts';
import { Clock, type Instance, openInstance } from '../support/instance.ts';
import { tableOf } from '../support/misfortune.ts';
import { objectStoreMissing, testStore } from '../support/object-store.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

const DAY_MS = 86_400_000;

let folder: string;
let database: TestDatabase;
let one: Instance;
/** Where the last test moves payloads to. */
let archive: ArchivedBlocks | null = null;
const table: string[][] = [['age', 'hold', 'what is done', 'outcome', 'the entry', 'audit']];

const open = (): Promise<Instance> => {
  const guard = join(folder, 'guard');
  return openInstance(database.url, {
    clock: new Clock(),
    published: new PublishedFile(guard),
    answered: new AnsweredHeads(new AnsweredFile(guard), Date.now),
    holdStore: new HoldFiles(guard),
  });
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'antequem-retention-table-'));
  database = await testDatabase();
  one = await open();
});

afterAll(async () => {
  console.log(tableOf(table));
  await one?.end();
  await database?.drop();
  await rm(folder, { recursive: true, force: true });
});

/** What an attempt came to: the code of its refusal, or what it returned. */
async function attempt(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return 'done';
  } catch (error) {
    if (error instanceof AntequemError) return error.code;
    throw error;
  }
}

const erase = (log: Log): Promise<string> =>
  attempt(() => eraseEntry(one.database, one.registry.system, one.sequencing, log, 0, one.holds, archive));
const run = (stopping = new AbortController().signal): Promise<string> =>
  attempt(() => lookForDue({ ...one, archive, interval: 0, stopping }));
const everything = { since: null, until: null, reason: 'case 4711' };

/** A log with one entry, which is due at once or not for long. */
async function logWith(name: string, age: 'old' | 'young'): Promise<Log> {
  const log = await one.makeLog(name);
  await one.append(log, `what ${name} says`);
  const before = one.clock.now();
  while (one.clock.now() <= before + 1);
  const parts = { database: one.database, system: one.registry.system, sequencing: one.sequencing };
  await setRetention(parts, log, age === 'old' ? 1 : 400 * DAY_MS);
  return log;
}

type Entry = 'there' | 'erased by request' | 'erased by retention' | 'named by a run, there';

/** Adds a row: what became of the entry, and what an audit finds then. */
async function shows(
  log: Log,
  [age, hold, done, outcome]: readonly [age: string, hold: string, done: string, outcome: string],
  expected: { readonly outcome: string; readonly entry: Entry },
): Promise<void> {
  const { rows } = await one.database.query<{ open: boolean }>(
    'SELECT erased_to < behind AS open FROM retention_ranges WHERE log = $1 AND first = 0',
    [log.id],
  );
  const [range] = rows;
  const stored = await new EntryReader(one.database, archive).read(log, 0);
  const gone = range === undefined ? 'erased by request' : 'erased by retention';
  const entry = stored?.secret === null ? gone : range?.open ? 'named by a run, there' : 'there';
  const audit = await auditDatabase(database.url, { archive });
  const found = audit.findings.map(({ code }) => code).join(', ') || 'nothing wrong';
  table.push([age, hold, done, outcome, entry, found]);
  expect({ outcome, entry, found }).toEqual({ ...expected, found: 'nothing wrong' });
}

/** A backup, as it is restored later. */
async function backUp(): Promise<TestDatabase> {
  await one.end();
  const backup = await copyDatabase(database.url);
  one = await open();
  return backup;
}

async function restore(backup: TestDatabase): Promise<void> {
  await one.end();
  await restoreDatabase(database.url, backup);
  await backup.drop();
  one = await open();
  expect(one.guard.rollback.finding?.code).toBe('database-set-back');
}

/** As the operator does it with `antequem recover --yes`. */
async function recover(): Promise<void> {
  const { database: db, guard, registry } = one;
  const damage = await assessDamage(db, guard);
  const fresh = await openInstance(database.url);
  await adopt(damage, { database: db, registry, guard, sequencing: fresh.sequencing, skipLost: async () => {} });
  await fresh.end();
  await one.end();
  one = await open();
}

const confirm = async (): Promise<string> =>
  attempt(async () => one.holds.confirm((await one.holds.list()).map(({ id }) => id)));

test('by age, hold and request', async () => {
  let log = await logWith('young', 'young');
  await shows(log, ['young', '–', 'retention run', await run()], { outcome: 'done', entry: 'there' });
  await shows(log, ['young', '–', 'erase', await erase(log)], { outcome: 'done', entry: 'erased by request' });

  log = await logWith('young-held', 'young');
  let hold = await one.holds.add(log, everything);
  await shows(log, ['young', 'added', 'erase', await erase(log)], { outcome: 'entry-held', entry: 'there' });

  log = await logWith('old', 'old');
  await shows(log, ['old', '–', 'retention run', await run()], { outcome: 'done', entry: 'erased by retention' });
  await shows(log, ['old', '–', 'the same, then erase', await erase(log)], {
    outcome: 'done',
    entry: 'erased by retention',
  });

  log = await logWith('old-held', 'old');
  hold = await one.holds.add(log, everything);
  await shows(log, ['old', 'added', 'retention run', await run()], { outcome: 'done', entry: 'there' });
  await shows(log, ['old', 'added', 'erase', await erase(log)], { outcome: 'entry-held', entry: 'there' });
  await one.holds.remove(log, hold.id);
  await shows(log, ['old', 'removed', 'retention run', await run()], { outcome: 'done', entry: 'erased by retention' });

  log = await logWith('old-late', 'old');
  await shows(log, ['old', '–', 'run, broken off after its act', await run(AbortSignal.abort())], {
    outcome: 'done',
    entry: 'named by a run, there',
  });
  hold = await one.holds.add(log, everything);
  await shows(log, ['old', 'added then', 'the run goes on', await run()], { outcome: 'done', entry: 'there' });
  await one.holds.remove(log, hold.id);
  await shows(log, ['old', 'removed', 'retention run', await run()], { outcome: 'done', entry: 'erased by retention' });
});

test('by restoring a backup and recovering', async () => {
  const [erased, kept, released] = [
    await logWith('restored', 'old'),
    await logWith('restored-held', 'old'),
    await logWith('restored-released', 'old'),
  ];
  const early = await one.holds.add(released, everything);
  const backup = await backUp();
  const late = await one.holds.add(kept, everything);
  await one.holds.remove(released, early.id);
  expect(await run()).toBe('done');
  await shows(erased, ['old', '–', 'backup, retention run', 'done'], { outcome: 'done', entry: 'erased by retention' });
  await shows(kept, ['old', 'added after the backup', 'retention run', 'done'], { outcome: 'done', entry: 'there' });
  await shows(released, ['old', 'removed after the backup', 'retention run', 'done'], {
    outcome: 'done',
    entry: 'erased by retention',
  });

  await restore(backup);
  const refused = { outcome: 'database-set-back', entry: 'there' } as const;
  await shows(erased, ['old', '–', 'restore, retention run', await run()], refused);
  await shows(kept, ['old', 'added after the backup', 'restore, erase', await erase(kept)], {
    outcome: 'entry-held',
    entry: 'there',
  });
  expect((await one.holds.of(kept)).map(({ id, inDatabase }) => [id, inDatabase])).toEqual([[late.id, false]]);

  await recover();
  const unconfirmed = { outcome: 'holds-unconfirmed', entry: 'there' } as const;
  await shows(erased, ['old', '–', 'recover, retention run', await run()], unconfirmed);
  await shows(erased, ['old', '–', 'recover, erase', await erase(erased)], unconfirmed);
  await shows(kept, ['old', 'added after the backup', 'recover, erase', await erase(kept)], unconfirmed);

  expect(await confirm()).toBe('done');
  expect(await run()).toBe('done');
  await shows(erased, ['old', '–', 'hold confirm, retention run', 'done'], {
    outcome: 'done',
    entry: 'erased by retention',
  });
  await shows(kept, ['old', 'added after the backup', 'hold confirm, retention run', 'done'], {
    outcome: 'done',
    entry: 'there',
  });
  await shows(kept, ['old', 'added after the backup', 'hold confirm, erase', await erase(kept)], {
    outcome: 'entry-held',
    entry: 'there',
  });
  // It came back with the backup, and the operator has seen it in the list.
  await shows(released, ['old', 'removed after the backup', 'hold confirm, retention run', 'done'], {
    outcome: 'done',
    entry: 'there',
  });
  await one.holds.remove(released, early.id);
  await shows(released, ['old', 'removed again', 'retention run', await run()], {
    outcome: 'done',
    entry: 'erased by retention',
  });
  const [row] = (await one.database.query('SELECT unconfirmed_since FROM retention_state')).rows;
  expect(row).toEqual({ unconfirmed_since: null });
});

/** A log with a block of one tile, which is in a bucket under a lock that nobody can lift. */
async function lockedLog(name: string, age: 'old' | 'young', bucket: Bucket, until: number): Promise<Log> {
  const log = await logWith(name, age);
  await one.append(log, ...Array.from({ length: TILE_WIDTH }, (_, i) => `more of ${name}, ${i}`));
  const { random } = one.effects;
  const signal = new AbortController().signal;
  const lock = (): ObjectLock => ({ mode: 'COMPLIANCE', until });
  const options = { database: one.database, store: bucket, random, lock, signal };
  expect(await moveBlocks(options, one.clock.now() + 1)).toBeGreaterThan(0);
  return log;
}

test.skipIf(objectStoreMissing !== null)('by an archive under a lock in compliance mode', async () => {
  const store = await testStore();
  try {
    const bucket = new Bucket(await store.bucket('locked', true));
    const until = one.clock.now() + 400 * DAY_MS;
    archive = new ArchivedBlocks([bucket]);
    /** What is said until when the archive refuses to delete the copy. */
    const said = async (log: Log): Promise<string> => {
      const locked = await copiesLockedUntil(one.database, log, 0, one.clock.now());
      return locked === null
        ? 'no copy'
        : locked === until
          ? 'a copy without its key is locked until the lock ends'
          : `until ${locked}`;
    };
    const told = 'a copy without its key is locked until the lock ends';

    let log = await lockedLog('locked', 'young', bucket, until);
    const [object = ''] = await namesIn(bucket);
    expect(await bucket.remove(object)).toBe('locked');
    await shows(log, ['young, locked', '–', 'retention run', await run()], { outcome: 'done', entry: 'there' });
    const hold = await one.holds.add(log, everything);
    await shows(log, ['young, locked', 'added', 'erase', await erase(log)], { outcome: 'entry-held', entry: 'there' });
    await one.holds.remove(log, hold.id);
    const backup = await backUp();
    expect([await said(log), await erase(log)]).toEqual(['no copy', 'done']);
    await shows(log, ['young, locked', '–', 'erase', await said(log)], { outcome: told, entry: 'erased by request' });

    // The backup has the key: the copy in the archive can be read again, and is erased again.
    await restore(backup);
    await shows(log, ['young, locked', '–', 'restore, erase', await erase(log)], {
      outcome: 'database-set-back',
      entry: 'there',
    });
    await recover();
    expect([await confirm(), await erase(log)]).toEqual(['done', 'done']);
    await shows(log, ['young, locked', '–', 'recover, hold confirm, erase', await said(log)], {
      outcome: told,
      entry: 'erased by request',
    });

    log = await lockedLog('locked-old', 'old', bucket, until);
    expect(await run()).toBe('done');
    await shows(log, ['old, locked', '–', 'retention run', await said(log)], {
      outcome: told,
      entry: 'erased by retention',
    });
  } finally {
    archive = null;
    await store.stop();
  }
});

async function namesIn(bucket: Bucket): Promise<string[]> {
  const names: string[] = [];
  for await (const name of bucket.list('blocks/')) names.push(name);
  return names;
}
