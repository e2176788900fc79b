import { aheadOfDatabase, type TimeSource } from '../clock/clock.ts';
import { equalBytes } from '../core/bytes.ts';
import type { CompleteTile } from '../core/compact-range.ts';
import { AntequemError } from '../core/errors.ts';
import { TILE_WIDTH } from '../core/tiles.ts';
import { MAX_CLOCK_SKEW_MS } from '../core/time.ts';
import type { Defer, Transaction } from '../store/database.ts';
import { blockValues, INSERT_BLOCKS } from './blocks/blocks.ts';
import { blocksOf, readTail } from './blocks/fresh-blocks.ts';
import { insertDigests } from './digest-runs.ts';
import { recordEvents, siftEvents } from './events.ts';
import type { KnownLogs } from './known-logs.ts';
import type { Appended, Effects, Log, LogHead } from './log.ts';
import type { AnsweredHeads } from './outside/answered.ts';
import type { Mark } from './outside/published.ts';
import { completesTile, entryRun, missing, place, prefixesOf, tileValues } from './placement.ts';
import { type Prepared, partOf } from './prepared.ts';
import { findReplays, type Outcome, recordKeys } from './replay.ts';
import { type RollbackState, setBack } from './rollback.ts';

/**
 * One jump forward would spoil a log's times for as long as it was.
 * @throws AntequemError `clock-skew`
 */
export function demandClocksAgree(time: TimeSource, databaseNow: number): void {
  const ahead = aheadOfDatabase(time, databaseNow);
  if (Math.abs(ahead) <= MAX_CLOCK_SKEW_MS) return;
  throw new AntequemError(
    'clock-skew',
    `the clocks of service and database are ${Math.round(Math.abs(ahead) / 1000)} s apart: set them right`,
  );
}

export interface Sequencing {
  readonly effects: Effects;
  readonly logs: KnownLogs;
  readonly rollback: RollbackState;
  /** Where it is recorded what is answered; null: nowhere. */
  readonly answered: AnsweredHeads | null;
}

interface HeadRow {
  size: number;
  root: Uint8Array;
  last_leaf: Uint8Array;
  last_received_at: number;
  database_now: number;
}

/**
 * Gives submissions their indices, within a transaction that holds the lock of the log's row until it ends: chains,
 * hashes, stores entries and tiles, moves the head. One outcome a submission: an idempotency key used for another
 * request spoils its own submission only. What it writes is deferred to the commit; call `settle` of what is returned
 * once that took place.
 * @throws AntequemError `clock-skew`, `log-damaged`, `database-set-back`
 */
export async function sequence(
  tx: Transaction,
  defer: Defer,
  log: Log,
  submissions: readonly Prepared[],
  { effects, logs, rollback, answered }: Sequencing,
): Promise<{ outcomes: Outcome[]; settle: () => Promise<void> }> {
  rollback.demand();
  // Sent together; the second one sees what others had committed when the lock was granted.
  const [, heads] = await Promise.all([
    tx.query({ name: 'lock-log', text: 'SELECT FROM logs WHERE id = $1 FOR NO KEY UPDATE', values: [log.id] }),
    tx.query<HeadRow>({
      name: 'read-head',
      text: `SELECT size, root, last_leaf, last_received_at, (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS database_now
             FROM log_states WHERE id = $1`,
      values: [log.id],
    }),
  ]);
  const head = heads.rows[0];
  if (head === undefined) throw new AntequemError('log-damaged', `log ${log.name} has no row any more`);
  const newest = (await answered?.newest(log.origin)) ?? null;
  if (newest !== null && !reaches(head, newest)) {
    rollback.note();
    throw setBack(`${log.origin} has ${head.size} entries, and ${newest.size} were answered`);
  }
  demandClocksAgree(effects, head.database_now);
  const now = effects.now();

  const outcomes = await findReplays(
    tx,
    log,
    submissions.map(({ submission }) => submission),
    now,
  );
  const sifted = await siftEvents(
    tx,
    log,
    submissions.map(({ submission }, i) => (outcomes[i] === undefined ? submission.drafts : [])),
    head.database_now,
  );
  const parts = submissions.map((prepared, i) => partOf(prepared, sifted[i]?.fresh ?? null));
  const fresh = parts.filter(({ submission }, i) => outcomes[i] === undefined && submission.drafts.length > 0);

  let placed: ReadonlyMap<Prepared, Appended> = new Map();
  const decided = (): Outcome[] =>
    outcomes.map(
      (outcome, i) =>
        outcome ?? {
          appended: placed.get(parts[i] ?? missing()) ?? null,
          fresh: (sifted[i] ?? missing()).fresh,
          repeats: sifted[i]?.repeats ?? missing(),
        },
    );
  // The process that appended what is repeated may have been killed before it recorded that.
  const settleAt = async ({ size, root }: LogHead): Promise<void> =>
    answered?.record(log.origin, { size, root: new Uint8Array(root) });
  if (fresh.length === 0) return { outcomes: decided(), settle: () => settleAt(head) };

  const range = await rollback.watch(logs.takeAt(tx, log.id, head.size));
  const from = { size: head.size, root: head.root, lastLeaf: head.last_leaf, lastReceivedAt: head.last_received_at };
  const placement = place(fresh, from, range, now);
  placed = placement.placed;
  const next = placement.head;
  const tail = completesTile(placement) ? await readTail(tx, log.id, head.size) : null;
  const { blocks } = await blocksOf(entryRun(log, fresh, placement), tail);
  if (tail !== null) defer(() => removeBlocks(tx, log.id, tail.replaced));
  defer(() => insertTiles(tx, log.id, placement.tiles));
  const keyed = fresh.map(({ submission }) => submission);
  defer(() => recordKeys(tx, log, keyed, [...placed.values()], now));
  const events = sifted.flatMap(({ keys }) => keys);
  defer(() => recordEvents(tx, log, events, head.size, head.database_now));
  const added = [next.size, next.root, next.lastLeaf, next.lastReceivedAt];
  defer(() =>
    tx.query({
      name: 'store-run',
      text: STORE_RUN,
      values: [...blockValues(log.id, blocks), log.id, head.size, prefixesOf(fresh), ...added],
    }),
  );
  if (placement.tiles.length > 0) defer(() => removeHeads(tx, log.id, head.size, next.size));

  return {
    outcomes: decided(),
    settle: () => {
      logs.keep(log.id, { head: next, range, open: null });
      return settleAt(next);
    },
  };
}

/** What each commit writes, in one statement: each costs both sides some 50 µs. */
const STORE_RUN = `WITH stored AS (${INSERT_BLOCKS}), indexed AS (${insertDigests(12)})
  INSERT INTO log_heads (log, size, root, last_leaf, last_received_at) VALUES ($1, $15, $16, $17, $18)`;

/** Whether a head may continue what was answered; of a larger one only a proof could tell. */
export function reaches(head: Mark, answered: Mark): boolean {
  return head.size > answered.size || (head.size === answered.size && equalBytes(head.root, answered.root));
}

async function removeBlocks(tx: Transaction, log: number, firsts: readonly number[]): Promise<void> {
  await tx.query({
    name: 'remove-blocks',
    text: 'DELETE FROM blocks WHERE log = $1 AND first = ANY ($2::bigint[])',
    values: [log, firsts],
  });
}

/** The heads from the beginning of the tile that was open at `from` up to before `to`: those of earlier tiles are gone. */
async function removeHeads(tx: Transaction, log: number, from: number, to: number): Promise<void> {
  await tx.query({
    name: 'remove-heads',
    text: 'DELETE FROM log_heads WHERE log = $1 AND size >= $2 AND size < $3',
    values: [log, from - (from % TILE_WIDTH), to],
  });
}

async function insertTiles(tx: Transaction, log: number, tiles: readonly CompleteTile[]): Promise<void> {
  if (tiles.length === 0) return;
  await tx.query({
    name: 'insert-tiles',
    text: `INSERT INTO tiles (log, level, index, root, hashes)
           SELECT $1::int, level, index, substring($4::bytea FROM n::int * 32 - 31 FOR 32), substring($5::bytea FROM n::int * 8192 - 8191 FOR 8192)
           FROM unnest($2::smallint[], $3::bigint[]) WITH ORDINALITY AS t (level, index, n)`,
    values: [log, ...tileValues(tiles)],
  });
}
