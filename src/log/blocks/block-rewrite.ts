// Writes the table of blocks anew, so that no file of the database holds what was erased: PostgreSQL marks old versions of
// a row as free space and leaves their bytes there. A copy is made beside the table, a few blocks in a transaction, and a
// trigger brings it what changes meanwhile; in the end it takes the place of the table, whose files are deleted.

import { AntequemError } from '../../core/errors.ts';
import { type Database, type Queryable, type Transaction, transaction } from '../../store/database.ts';
import { tryLock } from '../../store/service-name.ts';

/** What is copied in one transaction, under the lock of the log's row. */
const STEP_BLOCKS = 256;
const STEP_BYTES = 8 << 20;
/** Milliseconds that the exchange waits for a lock, and that queries of the service may wait behind it. */
const LOCK_MS = 500;
/** Milliseconds between two tries, and between two looks. */
const PAUSE_MS = 1_000;
const LOCK = 'rewrite blocks';
const AUTOVACUUM = 'autovacuum worker';
const LOCK_NOT_AVAILABLE = '55P03';
const INSUFFICIENT_PRIVILEGE = '42501';

/** How far a rewrite is, in entries. */
export interface RewriteProgress {
  readonly done: number;
  readonly total: number;
}

export interface Rewriting {
  readonly onProgress: (progress: RewriteProgress) => void;
  /** Told, once for each reason, what the end of the rewrite waits for. */
  readonly onWaiting: (says: string) => void;
}

export interface Rewritten {
  /** Milliseconds: what was erased before is gone. */
  readonly begunAt: number;
  /** Whether the role was permitted to make a checkpoint; else the next regular one deletes the old files. */
  readonly checkpoint: boolean;
}

/**
 * Rewrites the table while the service runs. Broken off at any time, the next call goes on with the copy that is there.
 * @throws AntequemError `rewrite-not-permitted`, `rewrite-under-way`
 */
export async function rewriteBlocks(database: Database, { onProgress, onWaiting }: Rewriting): Promise<Rewritten> {
  await demandRights(database);
  const begunAt = await begin(database, onWaiting);
  await copyAll(database, onProgress);
  await untilAllSee(database, onWaiting);
  await exchangeTables(database, onWaiting);
  // The keys of archived blocks that were destroyed.
  await database.query('VACUUM (FULL) archived_blocks');
  return { begunAt, checkpoint: await makeCheckpoint(database) };
}

async function demandRights(db: Queryable): Promise<void> {
  const { rows } = await db.query<{ role: string; owner: string; owns: boolean; creates: boolean; schema: string }>(
    `SELECT current_user AS role, r.rolname AS owner, pg_has_role(c.relowner, 'USAGE') AS owns,
            has_schema_privilege(c.relnamespace, 'CREATE') AS creates, current_schema() AS schema
     FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE c.oid = 'blocks'::regclass`,
  );
  const [found] = rows;
  if (found === undefined || (found.owns && found.creates)) return;
  const lacks = found.owns
    ? `make tables in the schema ${found.schema}: GRANT CREATE ON SCHEMA ${found.schema} TO ${found.role}`
    : `rewrite the table blocks, which belongs to ${found.owner}: use the role of the service in DATABASE_URL`;
  throw new AntequemError('rewrite-not-permitted', `the role ${found.role} may not ${lacks}`);
}

/** Makes the copy, unless one is there. @returns when it was made */
async function begin(database: Database, onWaiting: Rewriting['onWaiting']): Promise<number> {
  await withoutLongWait(database, onWaiting, async (tx) => {
    await demandTurn(tx);
    if ((await begunAt(tx)) !== null) return;
    await tx.query(`
      CREATE TABLE blocks_copy (LIKE blocks INCLUDING ALL);
      CREATE FUNCTION copy_block() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF TG_OP <> 'INSERT' THEN DELETE FROM blocks_copy WHERE log = OLD.log AND first = OLD.first; END IF;
        IF TG_OP <> 'DELETE' THEN INSERT INTO blocks_copy SELECT NEW.*; END IF;
        RETURN NULL;
      END $$;
      CREATE TRIGGER copied AFTER INSERT OR UPDATE OR DELETE ON blocks FOR EACH ROW EXECUTE FUNCTION copy_block();
      DO $$ BEGIN EXECUTE format('COMMENT ON TABLE blocks_copy IS %L', extract(epoch FROM clock_timestamp())); END $$`);
  });
  return (await begunAt(database)) ?? 0;
}

/** When the copy was made, milliseconds; null: there is none. */
async function begunAt(db: Queryable): Promise<number | null> {
  const { rows } = await db.query<{ at: number | null }>(
    `SELECT (1000 * obj_description(to_regclass(quote_ident(current_schema()) || '.blocks_copy'), 'pg_class')::numeric)::bigint AS at`,
  );
  return rows[0]?.at ?? null;
}

async function demandTurn(tx: Transaction): Promise<void> {
  if (!(await tryLock(tx, LOCK))) {
    throw new AntequemError('rewrite-under-way', 'another process rewrites the blocks just now: let it finish');
  }
}

async function copyAll(database: Database, onProgress: Rewriting['onProgress']): Promise<void> {
  const { rows } = await database.query<{ total: number }>(
    'SELECT coalesce(sum(size), 0)::bigint AS total FROM log_states',
  );
  const total = rows[0]?.total ?? 0;
  let done = 0;
  for (let log = await nextLog(database, -1); log !== null; log = await nextLog(database, log)) {
    for (let next: number | null = 0; next !== null; ) {
      const end = await copyStep(database, log, next);
      done += Math.max(0, (end ?? next) - next);
      next = end;
      onProgress({ done: Math.min(done, total), total });
    }
  }
}

async function nextLog(db: Queryable, after: number): Promise<number | null> {
  const { rows } = await db.query<{ log: number }>('SELECT log FROM blocks WHERE log > $1 ORDER BY log LIMIT 1', [
    after,
  ]);
  return rows[0]?.log ?? null;
}

/** Copies blocks of a log from entry `from` on. @returns where to go on, null at the end of the log */
async function copyStep(database: Database, log: number, from: number): Promise<number | null> {
  return transaction(database, async (tx) => {
    await demandTurn(tx);
    // Appending, merging and erasing wait for it, so that no block changes between being read and being copied.
    await tx.query('SELECT FROM logs WHERE id = $1 FOR NO KEY UPDATE', [log]);
    const { rows } = await tx.query<{ end: number | null }>(
      `WITH page AS MATERIALIZED (
         SELECT first, count, missing FROM (
           SELECT first, count, missing, row_number() OVER w AS n,
                  sum(CASE WHEN missing THEN size ELSE 0 END) OVER w AS total
           FROM (SELECT first, count, coalesce(pg_column_size(content), 0) AS size,
                        NOT EXISTS (SELECT FROM blocks_copy c WHERE c.log = b.log AND c.first = b.first) AS missing
                 FROM blocks b WHERE log = $1 AND first >= $2 ORDER BY first LIMIT ${STEP_BLOCKS}) AS next
           WINDOW w AS (ORDER BY first)) AS sums
         WHERE n = 1 OR total <= ${STEP_BYTES}),
       copied AS (INSERT INTO blocks_copy
                  SELECT b.* FROM page p JOIN blocks b ON b.log = $1 AND b.first = p.first WHERE p.missing)
       SELECT max(first + count) AS end FROM page`,
      [log, from],
    );
    return rows[0]?.end ?? null;
  });
}

/**
 * Waits until no transaction is left that does not see the whole copy: in the place of the table it would look empty to
 * such a one.
 */
async function untilAllSee(database: Database, onWaiting: Rewriting['onWaiting']): Promise<void> {
  const { rows } = await database.query<{ horizon: string }>('SELECT pg_current_xact_id()::xid::text AS horizon');
  const horizon = rows[0]?.horizon ?? '0';
  let told = false;
  for (;;) {
    // An autovacuum, which can take minutes, tells nobody what it sees.
    const older = await database.query<{ pid: number; name: string }>(
      `SELECT pid, coalesce(nullif(application_name, ''), backend_type) AS name FROM pg_stat_activity
       WHERE datname = current_database() AND pid <> pg_backend_pid() AND age(backend_xmin) > age($1::text::xid)
         AND backend_type <> '${AUTOVACUUM}' LIMIT 1`,
      [horizon],
    );
    const [session] = older.rows;
    if (session === undefined) return;
    if (!told) onWaiting(`waits for a transaction that began earlier: session ${session.pid}, ${session.name}`);
    told = true;
    await pause();
  }
}

/** The copy takes the place of the table, with all that belongs to it. */
async function exchangeTables(database: Database, onWaiting: Rewriting['onWaiting']): Promise<void> {
  await withoutLongWait(database, onWaiting, async (tx) => {
    await demandTurn(tx);
    await tx.query('LOCK TABLE blocks IN ACCESS EXCLUSIVE MODE');
    const { rows } = await tx.query<{ statement: string; phase: 'before' | 'after' }>(BELONGINGS);
    const run = async (wanted: 'before' | 'after'): Promise<void> => {
      for (const { statement, phase } of rows) if (phase === wanted) await tx.query(statement);
    };
    await run('before');
    await tx.query('DROP TABLE blocks; DROP FUNCTION copy_block()');
    await tx.query('ALTER TABLE blocks_copy RENAME TO blocks; ALTER INDEX blocks_copy_pkey RENAME TO blocks_pkey');
    await tx.query('COMMENT ON TABLE blocks IS NULL');
    await run('after');
  });
}

/** Statements that take functions of the table's row type away, and give the new table what the old one had. */
const BELONGINGS = `
  WITH t AS (SELECT * FROM pg_class WHERE oid = 'blocks'::regclass),
       functions AS (SELECT DISTINCT d.objid AS oid FROM pg_depend d, t
                     WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_type'::regclass AND d.refobjid = t.reltype)
  SELECT 'before' AS phase, format('DROP FUNCTION %s', oid::regprocedure) AS statement FROM functions
  UNION ALL
  SELECT 'after', pg_get_functiondef(oid) FROM functions
  UNION ALL
  SELECT 'after', pg_get_triggerdef(g.oid) FROM pg_trigger g, t
  WHERE g.tgrelid = t.oid AND NOT g.tgisinternal AND g.tgname <> 'copied'
  UNION ALL
  SELECT 'after', format('ALTER TABLE blocks SET (%s)', string_agg(option, ', '))
  FROM (SELECT unnest(reloptions) AS option FROM t
        UNION ALL SELECT 'toast.' || unnest(c.reloptions) FROM pg_class c, t WHERE c.oid = t.reltoastrelid) AS o
  HAVING count(*) > 0
  UNION ALL
  SELECT 'after', format('ALTER TABLE blocks OWNER TO %s', relowner::regrole) FROM t
  UNION ALL
  SELECT 'after', format('GRANT %s ON blocks TO %s%s', a.privilege_type,
                         CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END,
                         CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
  FROM t, aclexplode(t.relacl) AS a WHERE a.grantee <> t.relowner
  UNION ALL
  SELECT 'after', format('ALTER PUBLICATION %I ADD TABLE blocks', p.pubname)
  FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid, t WHERE r.prrelid = t.oid`;

/** Runs a transaction that locks the table, again and again until nobody has been in its way. */
async function withoutLongWait(
  database: Database,
  onWaiting: Rewriting['onWaiting'],
  work: (tx: Transaction) => Promise<void>,
): Promise<void> {
  for (let [told, patience] = [false, LOCK_MS]; ; told = true) {
    try {
      return await transaction(database, async (tx) => {
        await tx.query(`SET LOCAL lock_timeout = ${patience}`);
        await work(tx);
      });
    } catch (error) {
      if (!hasCode(error, LOCK_NOT_AVAILABLE)) throw error;
    }
    if (!told) onWaiting('waits until no transaction uses the table blocks, such as an audit or a dump');
    await pause();
    patience = LOCK_MS + (await autovacuumYieldsAfter(database));
  }
}

/** Milliseconds after which an autovacuum of the tables gives way to who waits for its lock; 0: there is none. */
async function autovacuumYieldsAfter(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ ms: number }>(
    `SELECT (1000 * extract(epoch FROM current_setting('deadlock_timeout')::interval))::int AS ms
     FROM pg_class c JOIN pg_locks l ON l.relation IN (c.oid, c.reltoastrelid) JOIN pg_stat_activity a ON a.pid = l.pid
     WHERE c.oid IN (to_regclass('blocks'), to_regclass('blocks_copy')) AND a.backend_type = '${AUTOVACUUM}' LIMIT 1`,
  );
  return rows[0]?.ms ?? 0;
}

/** @returns whether the role may */
async function makeCheckpoint(db: Queryable): Promise<boolean> {
  try {
    await db.query('CHECKPOINT');
    return true;
  } catch (error) {
    if (hasCode(error, INSUFFICIENT_PRIVILEGE)) return false;
    throw error;
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}
