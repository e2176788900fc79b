import { compareBytes, fromHex, toHex } from '../core/bytes.ts';
import { AntequemError, parsed } from '../core/errors.ts';
import { hashLeaf, hashLeaves, MerkleTree } from '../core/merkle.ts';
import {
  type Beacon,
  CHECKPOINT_LEAF_BYTES,
  DIGEST_LEAF_BYTES,
  digestLeaf,
  encodeBeacons,
  encodeCheckpointLeaf,
  encodeLink,
  firstPreviousRoot,
  MAX_BEACONS,
  parseLink,
} from '../core/round.ts';
import { demandUnsigned } from '../log/checkpoint-conflict.ts';
import type { LogSize } from '../log/due-checkpoints.ts';
import type { Guard } from '../log/guard.ts';
import type { Effects, Log, LogHead } from '../log/log.ts';
import { LOG_COLUMNS, type LogRow, logOf, type Registry } from '../log/registry.ts';
import { demandClocksAgree, type Sequencing } from '../log/sequence.ts';
import { recordedTransaction } from '../log/system.ts';
import type { Database, Queryable, Transaction } from '../store/database.ts';
import { tryLock } from '../store/service-name.ts';
import { takeDigests, WAITING_DIGESTS } from './digests.ts';
import { markLeaves } from './leaf-marks.ts';

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
/** Of a head in the row of a round. */
export const HEAD_BYTES = 44;

interface GrownRow extends LogRow {
  size: number;
  root: Uint8Array;
  last_received_at: number;
}

// A log grew where its head is past its newest round. `_system` alone causes no round: each round grows it by one.
const GROWN = `FROM log_states l LEFT JOIN round_heads r ON r.log = l.id WHERE l.size > coalesce(r.size, 0)`;

/**
 * Closes a round over every log that grew and the digests that wait: links it to the round before and records its root in
 * `_system`, in one transaction. The checkpoints of its leaves are signed when somebody asks for them. Null where there is
 * nothing new, or where another process is closing one.
 */
export async function closeRound(closing: RoundClosing): Promise<Round | null> {
  const { database, registry, sequencing } = closing;
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
    await demandUnsigned(tx, grown.rows.map(headOf));
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
    // Whoever reads the round reads these heads: what lacks one of them later was set back, whether or not it was signed.
    await closing.guard?.release(tx, grown.rows.map(headOf));
    return { result: round, acts: [{ act: 'round-closed', number, root: toHex(root) }] };
  });
  if (closed !== null) await closing.guard?.releaseRounds();
  return closed;
}

function headOf(row: GrownRow): { log: Log; head: LogHead } {
  return { log: logOf(row), head: { size: row.size, root: new Uint8Array(row.root) } };
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
  last: LastRound | null,
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
  const digests = leaves.slice(1 + grown.length);
  await tx.query(
    `INSERT INTO rounds (number, closed_at, root, size, link_beacons, heads, digests) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
    [
      round.number,
      round.closedAt,
      round.root,
      round.size,
      encodeBeacons(round.beacons),
      Buffer.concat(grown.map(packHead)),
      Buffer.concat(digests),
    ],
  );
  await tx.query(
    `INSERT INTO round_logs (size, round, log, index)
     SELECT size, $1, log, index FROM unnest($2::bigint[], $3::int[]) WITH ORDINALITY AS l (size, log, index)`,
    [round.number, grown.map((row) => row.size), grown.map((row) => row.id)],
  );
  await markLeaves(tx, round.number, digests.map(hashLeaf));
}

/** A head as the row of a round has it. */
function packHead({ id, size, root }: GrownRow): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeInt32BE(id);
  head.writeBigInt64BE(BigInt(size), 4);
  head.set(root, 12);
  return head;
}

interface RoundRow {
  number: number;
  closed_at: number;
  root: Uint8Array;
  size: number;
  /** Its leaf; null: the leaves are missing. */
  link: Uint8Array | null;
  /** Of a round of an older release, else null. */
  previous_root: Uint8Array | null;
  beacons: { chain: string; height: number; hash: string }[] | null;
}

/** The leaves of a round, those of a kind one after the other. */
interface PackedLeaves {
  link: Uint8Array;
  checkpoints: Uint8Array;
  digests: Uint8Array;
}

const ROUND_COLUMNS = 'number, closed_at, previous_root, root, size, beacons, link';

/** @throws AntequemError `round-damaged` */
function roundOf(row: RoundRow): Round {
  const { previousRoot, beacons } = linkedTo(row);
  const root = new Uint8Array(row.root);
  return { number: row.number, closedAt: row.closed_at, previousRoot, root, size: row.size, beacons };
}

function linkedTo({ number, link, previous_root, beacons }: RoundRow): Pick<Round, 'previousRoot' | 'beacons'> {
  if (previous_root !== null && beacons !== null) {
    const read = beacons.map((beacon) => ({ ...beacon, hash: fromHex(beacon.hash) }));
    return { previousRoot: new Uint8Array(previous_root), beacons: read };
  }
  const read = link === null ? null : parsed(() => parseLink(new Uint8Array(link)));
  if (read !== null) return read;
  throw new AntequemError('round-damaged', `the link of round ${number} is missing or cannot be read: run an audit`);
}

/** What the next round goes on from. */
type LastRound = Pick<Round, 'number' | 'closedAt' | 'root'>;

/** The round closed last, null before the first. Rounds go on where its leaves are damaged. */
export async function lastRound(db: Pick<Database, 'query'>): Promise<LastRound | null> {
  const { rows } = await db.query<Pick<RoundRow, 'number' | 'closed_at' | 'root'>>(
    'SELECT number, closed_at, root FROM rounds ORDER BY number DESC LIMIT 1',
  );
  const [row] = rows;
  return row === undefined ? null : { number: row.number, closedAt: row.closed_at, root: new Uint8Array(row.root) };
}

/** Round `number`, null where there is none. */
export async function roundByNumber(db: Pick<Database, 'query'>, number: number): Promise<Round | null> {
  const { rows } = await db.query<RoundRow>(`SELECT ${ROUND_COLUMNS} FROM whole_rounds WHERE number = $1`, [number]);
  return rows[0] === undefined ? null : roundOf(rows[0]);
}

/** Round `number` with every leaf of it, in order; null where there is none. @throws AntequemError `round-damaged` */
export async function roundWithLeaves(
  db: Pick<Database, 'query'>,
  number: number,
): Promise<{ round: Round; leaves: Uint8Array[] } | null> {
  const { rows } = await db.query<RoundRow & (PackedLeaves | { link: null })>({
    name: 'round-with-leaves',
    text: `SELECT ${ROUND_COLUMNS}, checkpoints, digests FROM whole_rounds WHERE number = $1`,
    values: [number],
  });
  const [row] = rows;
  if (row === undefined) return null;
  const round = roundOf(row);
  return { round, leaves: unpackLeaves(round, row.link === null ? undefined : row) };
}

/** Rounds below `before`, newest first. */
export async function listRounds(db: Pick<Database, 'query'>, before: number, limit: number): Promise<Round[]> {
  const { rows } = await db.query<RoundRow>(
    `SELECT ${ROUND_COLUMNS} FROM whole_rounds WHERE number < $1 ORDER BY number DESC LIMIT $2`,
    [before, limit],
  );
  return rows.map(roundOf);
}

/** Every leaf of a round, in order. */
export async function leavesOf(db: Pick<Database, 'query'>, round: Round): Promise<Uint8Array[]> {
  const { rows } = await db.query<PackedLeaves>(
    'SELECT link, checkpoints, digests FROM whole_rounds WHERE number = $1 AND link IS NOT NULL',
    [round.number],
  );
  return unpackLeaves(round, rows[0]);
}

function unpackLeaves(round: Round, packed: PackedLeaves | undefined): Uint8Array[] {
  const leaves =
    packed === undefined
      ? []
      : [
          new Uint8Array(packed.link),
          ...cut(packed.checkpoints, CHECKPOINT_LEAF_BYTES),
          ...cut(packed.digests, DIGEST_LEAF_BYTES),
        ];
  if (leaves.length !== round.size) {
    throw new AntequemError(
      'round-damaged',
      `round ${round.number} has ${leaves.length} of ${round.size} leaves: run an audit`,
    );
  }
  return leaves;
}

function cut(bytes: Uint8Array, length: number): Uint8Array[] {
  const all = new Uint8Array(bytes);
  return Array.from({ length: Math.ceil(all.length / length) }, (_, i) => all.subarray(length * i, length * (i + 1)));
}

/** A leaf of a round with the log and size that it is about; null for the link and digests. */
export interface RoundLeafAt {
  readonly leaf: Uint8Array;
  readonly of: LogSize | null;
}

/** Leaves [begin, end) of a round that is there. */
export async function readLeaves(
  db: Pick<Database, 'query'>,
  round: number,
  begin: number,
  end: number,
): Promise<RoundLeafAt[]> {
  const { rows } = await db.query<{ leaf: Uint8Array } & ({ size: null } | (LogRow & { size: number }))>(
    `SELECT p.leaf, p.size, ${LOG_COLUMNS} FROM round_leaves p LEFT JOIN logs l ON l.id = p.log
     WHERE p.round = $1 AND p.index >= $2 AND p.index < $3 ORDER BY p.index`,
    [round, begin, end],
  );
  return rows.map((row) => ({
    leaf: new Uint8Array(row.leaf),
    of: row.size === null ? null : { log: logOf(row), size: row.size },
  }));
}
