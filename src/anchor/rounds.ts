import { compareBytes, fromHex, toHex } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { hashLeaves, MerkleTree } from '../core/merkle.ts';
import {
  type Beacon,
  digestLeaf,
  encodeCheckpointLeaf,
  encodeLink,
  firstPreviousRoot,
  MAX_BEACONS,
} from '../core/round.ts';
import type { Guard } from '../log/guard.ts';
import type { Effects, Log } from '../log/log.ts';
import type { Publisher } from '../log/publish.ts';
import { LOG_COLUMNS, type LogRow, logOf, type Registry } from '../log/registry.ts';
import { demandClocksAgree, type Sequencing } from '../log/sequence.ts';
import { recordedTransaction } from '../log/system.ts';
import type { Database, Queryable, Transaction } from '../store/database.ts';
import { tryLock } from '../store/service-name.ts';
import { takeDigests, WAITING_DIGESTS } from './digests.ts';

/** A round as its row describes it. */
export interface Round {
  readonly number: number;
  /** Milliseconds since the Unix epoch. */
  readonly closedAt: number;
  readonly previousRoot: Uint8Array;
  readonly root: Uint8Array;
  /** Leaves, the link included. */
  readonly size: number;
  readonly beacons: readonly Beacon[];
}

export interface RoundClosing {
  readonly database: Database;
  readonly registry: Registry;
  readonly publisher: Publisher;
  readonly sequencing: Sequencing;
  /** The newest final block of each chain that answers in time; at most three are used. */
  readonly beacons: () => Promise<readonly Beacon[]>;
  /** Milliseconds after which a round is closed with nothing new in it; null: never. */
  readonly heartbeat: number | null;
  /** Default: none. */
  readonly guard?: Guard;
  /** Digests that one round takes of those that wait, so that closing one stays a matter of seconds. Default 50,000. */
  readonly maxDigests?: number;
}

const MAX_DIGESTS = 50_000;

interface GrownRow extends LogRow {
  size: number;
  root: Uint8Array;
  last_received_at: number;
}

// A log grew where its head is past its newest round. `_system` alone causes no round: each round grows it by one.
const GROWN = `FROM log_states l LEFT JOIN round_heads r ON r.log = l.id WHERE l.size > coalesce(r.size, 0)`;

/**
 * Closes a round over every log that grew and the digests that wait: signs the logs' checkpoints, links it to the round
 * before and records its root in `_system`, in one transaction. Null where there is nothing new, or where another process
 * is closing one.
 */
export async function closeRound(closing: RoundClosing): Promise<Round | null> {
  const { database, registry, publisher, sequencing } = closing;
  if (!(await isDue(closing))) return null;
  await closing.guard?.releaseRounds();
  // Before the root is formed, so that they bound it from below.
  const beacons = (await closing.beacons()).slice(0, MAX_BEACONS);
  const closed = await recordedTransaction(database, registry.system, sequencing, async (tx) => {
    if (!(await tryLock(tx, 'round'))) return { result: null, acts: [] };
    const databaseNow = await readClock(tx);
    demandClocksAgree(sequencing.effects, databaseNow);
    const last = await lastRound(tx);
    const grown = await tx.query<GrownRow>(
      `SELECT ${LOG_COLUMNS}, l.size, l.root, l.last_received_at ${GROWN} ORDER BY l.log_id`,
    );
    const digests = (await takeDigests(tx, closing.maxDigests ?? MAX_DIGESTS)).sort(compareBytes).map(digestLeaf);
    if (digests.length === 0 && !causesRound(grown.rows, registry.system, last, closing)) {
      return { result: null, acts: [] };
    }

    // The earlier of two clocks: a worker that is some seconds ahead would date the round ahead for all logs.
    const closedAt = Math.max(
      Math.floor(Math.min(sequencing.effects.now(), databaseNow)),
      last?.closedAt ?? 0,
      ...maxima(grown.rows.map((row) => row.last_received_at)),
    );
    const previousRoot = last?.root ?? firstPreviousRoot(registry.serviceOrigin);
    const number = (last?.number ?? 0) + 1;
    const leaves = [
      encodeLink({ number, closedAt, previousRoot, beacons }),
      ...grown.rows.map((row) => encodeCheckpointLeaf({ logId: row.log_id, size: row.size, root: row.root })),
      ...digests,
    ];
    const root = new MerkleTree(hashLeaves(leaves)).root();
    const round: Round = { number, closedAt, previousRoot, root, size: leaves.length, beacons };
    await insertRound(tx, round, leaves, grown.rows);
    await publisher.publish(
      tx,
      grown.rows.map((row) => ({ log: logOf(row), head: { size: row.size, root: new Uint8Array(row.root) } })),
    );
    return { result: round, acts: [{ act: 'round-closed', number, root: toHex(root) }] };
  });
  if (closed !== null) await closing.guard?.releaseRounds();
  return closed;
}

/** Milliseconds since the Unix epoch, by the database. */
async function readClock(db: Queryable): Promise<number> {
  const { rows } = await db.query<{ now: number }>(
    'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now',
  );
  const [row] = rows;
  if (row === undefined) throw new AntequemError('internal', 'the database does not tell the time');
  return row.now;
}

/** A cheap look before chains are asked for beacons. */
async function isDue({ database, registry, heartbeat, sequencing }: RoundClosing): Promise<boolean> {
  const { rows } = await database.query<{ grown: boolean; closed_at: number | null }>(
    `SELECT EXISTS (SELECT ${GROWN} AND l.id <> $1) OR ${WAITING_DIGESTS} AS grown,
       (SELECT closed_at FROM rounds ORDER BY number DESC LIMIT 1)`,
    [registry.system.id],
  );
  const row = rows[0];
  return row !== undefined && (row.grown || heartbeatDue(row.closed_at, heartbeat, sequencing.effects));
}

function causesRound(
  grown: readonly GrownRow[],
  system: Log,
  last: Round | null,
  { heartbeat, sequencing }: RoundClosing,
): boolean {
  return (
    grown.some((row) => row.id !== system.id) || heartbeatDue(last?.closedAt ?? null, heartbeat, sequencing.effects)
  );
}

function heartbeatDue(closedAt: number | null, heartbeat: number | null, effects: Effects): boolean {
  return heartbeat !== null && effects.now() - (closedAt ?? 0) >= heartbeat;
}

/** The largest, as a list of one or none: spreading ten thousand arguments into Math.max would not scale. */
function maxima(values: readonly number[]): number[] {
  return values.length === 0 ? [] : [values.reduce((a, b) => Math.max(a, b))];
}

async function insertRound(
  tx: Transaction,
  round: Round,
  leaves: readonly Uint8Array[],
  grown: readonly GrownRow[],
): Promise<void> {
  const beacons = round.beacons.map((beacon) => ({ ...beacon, hash: toHex(beacon.hash) }));
  await tx.query(
    'INSERT INTO rounds (number, closed_at, previous_root, root, size, beacons) VALUES ($1, $2, $3, $4, $5, $6)',
    [round.number, round.closedAt, round.previousRoot, round.root, round.size, JSON.stringify(beacons)],
  );
  // What stands for no log: the link in front, the digests behind.
  const digests = leaves.slice(1 + grown.length).map(() => null);
  await tx.query(
    `INSERT INTO round_leaves (round, index, leaf, log, size)
     SELECT $1, n - 1, leaf, log, size FROM unnest($2::bytea[], $3::int[], $4::bigint[]) WITH ORDINALITY AS l (leaf, log, size, n)`,
    [
      round.number,
      leaves.map((leaf) => Buffer.from(leaf)),
      [null, ...grown.map((row) => row.id), ...digests],
      [null, ...grown.map((row) => row.size), ...digests],
    ],
  );
  await tx.query(
    `INSERT INTO round_heads (log, size) SELECT * FROM unnest($1::int[], $2::bigint[])
     ON CONFLICT (log) DO UPDATE SET size = excluded.size`,
    [grown.map((row) => row.id), grown.map((row) => row.size)],
  );
}

interface RoundRow {
  number: number;
  closed_at: number;
  previous_root: Uint8Array;
  root: Uint8Array;
  size: number;
  beacons: { chain: string; height: number; hash: string }[];
}

const ROUND_COLUMNS = 'number, closed_at, previous_root, root, size, beacons';

function roundOf(row: RoundRow): Round {
  return {
    number: row.number,
    closedAt: row.closed_at,
    previousRoot: new Uint8Array(row.previous_root),
    root: new Uint8Array(row.root),
    size: row.size,
    beacons: row.beacons.map((beacon) => ({ ...beacon, hash: fromHex(beacon.hash) })),
  };
}

/** The round closed last, null before the first. */
export async function lastRound(db: Pick<Database, 'query'>): Promise<Round | null> {
  const { rows } = await db.query<RoundRow>(`SELECT ${ROUND_COLUMNS} FROM rounds ORDER BY number DESC LIMIT 1`);
  return rows[0] === undefined ? null : roundOf(rows[0]);
}

/** Round `number`, null where there is none. */
export async function roundByNumber(db: Pick<Database, 'query'>, number: number): Promise<Round | null> {
  const { rows } = await db.query<RoundRow>(`SELECT ${ROUND_COLUMNS} FROM rounds WHERE number = $1`, [number]);
  return rows[0] === undefined ? null : roundOf(rows[0]);
}

/** Rounds below `before`, newest first. */
export async function listRounds(db: Pick<Database, 'query'>, before: number, limit: number): Promise<Round[]> {
  const { rows } = await db.query<RoundRow>(
    `SELECT ${ROUND_COLUMNS} FROM rounds WHERE number < $1 ORDER BY number DESC LIMIT $2`,
    [before, limit],
  );
  return rows.map(roundOf);
}

/** Every leaf of a round, in order. */
export async function leavesOf(db: Pick<Database, 'query'>, round: Round): Promise<Uint8Array[]> {
  const { rows } = await db.query<{ leaf: Uint8Array }>(
    'SELECT leaf FROM round_leaves WHERE round = $1 ORDER BY index',
    [round.number],
  );
  if (rows.length !== round.size) {
    throw new AntequemError(
      'round-damaged',
      `round ${round.number} has ${rows.length} of ${round.size} leaves: run an audit`,
    );
  }
  return rows.map((row) => new Uint8Array(row.leaf));
}

/** Leaves [begin, end) of a round that is there, each with the checkpoint that was signed for it. */
export async function readSignedLeaves(
  db: Pick<Database, 'query'>,
  round: number,
  begin: number,
  end: number,
): Promise<{ leaf: Uint8Array; note: string | null }[]> {
  const { rows } = await db.query<{ leaf: Uint8Array; note: string | null }>(
    `SELECT p.leaf, c.note FROM round_leaves p LEFT JOIN checkpoints c ON c.log = p.log AND c.size = p.size
     WHERE p.round = $1 AND p.index >= $2 AND p.index < $3 ORDER BY p.index`,
    [round, begin, end],
  );
  return rows;
}
