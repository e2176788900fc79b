import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { rewriteBlocks } from '../../src/log/blocks/block-rewrite.ts';
import { eraseEntry } from '../../src/log/erase.ts';
import type { Log } from '../../src/log/log.ts';
import { openDatabase } from '../../src/store/database.ts';
import { run } from '../cli/command.ts';
import { auditDatabase } from '../support/audit.ts';
import { draft, drafts, type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { recompute } from '../support/recompute.ts';
import { foundInFiles } from '../support/stored-files.ts';

let database: TestDatabase;
let one: Instance;

beforeAll(async () => {
  database = await testDatabase();
  one = await openInstance(database.url);
});
afterAll(async () => {
  await one.end();
  await database.drop();
});

const erase = (log: Log, index: number): Promise<boolean> =>
  eraseEntry(one.database, one.registry.system, one.sequencing, log, index, one.holds);

const rewrite = (onProgress = () => {}, onWaiting: (says: string) => void = () => {}) =>
  rewriteBlocks(one.database, { onProgress, onWaiting });

async function storedContent(log: Log): Promise<Buffer> {
  const { rows } = await one.database.query<{ content: Buffer }>(
    'SELECT content FROM blocks WHERE log = $1 AND first = 0',
    [log.id],
  );
  return rows[0]?.content ?? Buffer.alloc(0);
}

/** PostgreSQL stores a long value in rows of so many bytes. */
const TOAST_CHUNK_BYTES = 1_996;
const PIECE_BYTES = 32;

/** Pieces of the payloads as a block has them, none across two rows. */
function piecesOf(content: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  const end = 11 + content.readUInt32BE(7);
  for (let at = 11; at + PIECE_BYTES <= end; at += 2 * PIECE_BYTES) {
    const fits = (at % TOAST_CHUNK_BYTES) + PIECE_BYTES <= TOAST_CHUNK_BYTES;
    if (fits) pieces.push(content.subarray(at, at + PIECE_BYTES));
  }
  return pieces;
}

test('no file holds what was erased; neighbours read as before, while appends and erasures go on', async () => {
  const random = await one.makeLog('random');
  const text = await one.makeLog('text');
  const payloads = Array.from({ length: 256 }, () => new Uint8Array(randomBytes(600)));
  await one.appender.append(random, { drafts: payloads.map(draft), idempotency: null });
  await one.append(
    text,
    ...Array.from({ length: 256 }, (_, i) => `user ${i % 7} read the file ${i} of ${(i * i) % 97}`),
  );
  const old = await Promise.all([random, text].map(storedContent));
  const before = [await recompute(one.database, random), await recompute(one.database, text)];
  await Promise.all([erase(random, 100), erase(text, 3)]);
  // Before anything reads the table: PostgreSQL tidies up pages that are read, which overwrites some of the old bytes.
  const pieces = old.map(piecesOf);
  const there = [await foundInFiles(one.database, pieces[0] ?? []), await foundInFiles(one.database, pieces[1] ?? [])];
  const now = await Promise.all([random, text].map(storedContent));
  const gone = pieces.map((each, i) => each.filter((piece, n) => there[i]?.[n] && !now[i]?.includes(piece)));
  const plain = gone[0]?.filter((piece) => Buffer.from(payloads[100] ?? []).includes(piece)) ?? [];
  expect([plain.length > 5, (gone[1]?.length ?? 0) > 5]).toEqual([true, true]);

  let over = false;
  const busy = (async (): Promise<void> => {
    for (let i = 0; !over; i++) {
      await one.append(text, ...Array.from({ length: 60 }, (_, j) => `then ${i}/${j}`));
      // Not in the first block: bits that are shifted twice can give the same bytes as before.
      await erase(text, 256 + i);
    }
  })();
  try {
    expect(await rewrite()).toMatchObject({ checkpoint: true });
  } finally {
    over = true;
    await busy;
  }
  expect(new Set(await foundInFiles(one.database, gone.flat()))).toEqual(new Set([false]));
  const neighbours = pieces[0]?.filter((piece) => now[0]?.includes(piece)) ?? [];
  expect(await foundInFiles(one.database, neighbours)).toContain(true);
  expect((await recompute(one.database, random)).rows.filter((_, i) => i !== 100)).toEqual(
    before[0]?.rows.filter((_, i) => i !== 100),
  );
  const { rows } = await recompute(one.database, text);
  expect(rows.slice(200, 256)).toEqual(before[1]?.rows.slice(200));
  expect((await auditDatabase(database.url)).findings).toEqual([]);
});

test('the command scrubs what was erased', async () => {
  const log = await one.makeLog('command');
  const payload = new Uint8Array(randomBytes(5_000));
  await one.appender.append(log, { drafts: [draft(payload), draft('stays')], idempotency: null });
  const pieces = piecesOf(await storedContent(log)).filter((piece) => Buffer.from(payload).includes(piece));
  await erase(log, 0);
  expect(await foundInFiles(one.database, pieces)).toContain(true);
  const { code, stdout, stderr } = await run(['erase', '--scrub'], { env: { DATABASE_URL: database.url } });
  expect([code, stdout]).toEqual([
    0,
    expect.stringMatching(/^no file of the database holds what was erased before \S+Z\n$/),
  ]);
  expect(stderr).toContain('write-ahead log, replicas and backups keep it');
  expect(new Set(await foundInFiles(one.database, pieces))).toEqual(new Set([false]));
  expect(await one.entries.payload(log, 1)).toEqual(Buffer.from('stays'));
  const named = await run(['erase', 'command', '1', '--scrub'], { env: { DATABASE_URL: database.url } });
  expect([named.code, named.stderr]).toEqual([
    expect.any(Number),
    expect.stringContaining('--scrub is for all logs: name none'),
  ]);
  expect(named.code).not.toBe(0);
});

test('the new table is guarded as the old one was, and the same roles may read it', async () => {
  const shape = async (): Promise<unknown[]> => {
    const { rows } = await one.database.query(
      `SELECT pg_get_triggerdef(oid) AS is FROM pg_trigger WHERE tgrelid = 'blocks'::regclass AND NOT tgisinternal
       UNION ALL SELECT pg_get_constraintdef(oid) || conname FROM pg_constraint WHERE conrelid = 'blocks'::regclass AND contype <> 'n'
       UNION ALL SELECT concat(reloptions, relowner, relacl) FROM pg_class WHERE oid = 'blocks'::regclass
       UNION ALL SELECT reloptions::text FROM pg_class WHERE oid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'blocks'::regclass)
       UNION ALL SELECT concat(attname, attstorage, attnotnull) FROM pg_attribute WHERE attrelid = 'blocks'::regclass AND attnum > 0
       UNION ALL SELECT pg_get_functiondef('time_in_block'::regproc) ORDER BY 1`,
    );
    return rows;
  };
  await one.database.query('GRANT SELECT ON blocks TO pg_monitor');
  const before = await shape();
  await rewrite();
  expect(await shape()).toEqual(before);
  await expect(one.database.query("UPDATE blocks SET content = ''")).rejects.toMatchObject({ code: '23001' });
});

test('broken off at any step, it goes on with what is copied', async () => {
  const log = await one.makeLog('steps');
  await one.appender.append(log, { drafts: drafts(2_000, 'step'), idempotency: null });
  for (let broken = 1; ; broken++) {
    let steps = 0;
    const breakOff = (): void => {
      if (++steps === broken) throw new Error('broken off');
    };
    try {
      await rewrite(breakOff);
      expect(broken).toBeGreaterThan(2);
      break;
    } catch (error) {
      if (!(error instanceof Error) || error.message !== 'broken off') throw error;
      await one.append(log, `between ${broken}`);
      await erase(log, broken);
    }
  }
  expect((await auditDatabase(database.url)).findings).toEqual([]);
});

test('it waits for a transaction that began before, which sees all entries until its end', async () => {
  const reader = await one.database.connect();
  await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  const count = async (): Promise<unknown> =>
    (await reader.query('SELECT sum(count)::int AS entries FROM blocks')).rows[0]?.entries;
  await reader.query('SELECT 1');
  const waiting = Promise.withResolvers<string>();
  const rewritten = rewrite(() => {}, waiting.resolve);
  expect(await Promise.race([waiting.promise, rewritten])).toMatch(
    /^waits for a transaction that began earlier: session \d+, antequem$/,
  );
  const entries = await count();
  expect(entries).toBeGreaterThan(2_000);
  await one.append(await one.makeLog('beside'), 'an append does not wait for it');
  expect(await count()).toBe(entries);
  await reader.query('ROLLBACK');
  reader.release();
  await rewritten;
});

test('a role that may not rewrite the table is told what it lacks', async () => {
  const role = `antequem_reader_${randomBytes(4).toString('hex')}`;
  await one.database.query(
    `CREATE ROLE ${role} LOGIN PASSWORD 'reader'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role}`,
  );
  const other = openDatabase(database.url, { connections: 1 });
  try {
    await other.query(`SET ROLE ${role}`);
    await expect(rewriteBlocks(other, { onProgress: () => {}, onWaiting: () => {} })).rejects.toMatchObject({
      code: 'rewrite-not-permitted',
      message: expect.stringMatching(
        new RegExp(`^the role ${role} may not rewrite the table blocks, which belongs to \\w+: `),
      ),
    });
  } finally {
    await other.end();
    await one.database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
});

test('it does not wait until an autovacuum is through', async () => {
  const log = await one.makeLog('vacuumed');
  const payloads = Array.from({ length: 16 }, () => new Uint8Array(randomBytes(1 << 20)));
  await one.appender.append(log, { drafts: payloads.map(draft), idempotency: null });
  // So slow that it would take many minutes.
  const slow = 'autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1';
  await one.database.query(`ALTER TABLE blocks SET (${slow}, toast.${slow.replace(', ', ', toast.')})`);
  const workers = async (): Promise<number> =>
    (
      await one.database.query<{ count: number }>(
        `SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND backend_type = 'autovacuum worker' AND backend_xmin IS NOT NULL`,
      )
    ).rows[0]?.count ?? 0;
  const frequent = async (setting: string): Promise<void> => {
    await one.database.query(`ALTER SYSTEM ${setting}`);
    await one.database.query('SELECT pg_reload_conf()');
  };
  await frequent("SET autovacuum_naptime = '1s'");
  try {
    await erase(log, 3);
    await expect.poll(workers).toBe(1);
    const told: string[] = [];
    await rewrite(
      () => {},
      (says) => void told.push(says),
    );
    expect(told.filter((says) => says.includes('began earlier'))).toEqual([]);
  } finally {
    await frequent('RESET autovacuum_naptime');
  }
  expect(await one.entries.payload(log, 5)).toEqual(Buffer.from(payloads[5] ?? []));
});
