import { TILE_WIDTH } from '../core/tiles.ts';
import { MAX_CLOCK_SKEW_MS } from '../core/time.ts';
import { type Database, lockPatience, onConnection, type Transaction } from '../store/database.ts';
import { blockValues } from './blocks/blocks.ts';
import { blocksOf, readTail, type Tail, tailOf } from './blocks/fresh-blocks.ts';
import { NO_REPEATS } from './events.ts';
import type { KnownLog } from './known-logs.ts';
import type { Effects, Log, Logged } from './log.ts';
import { completesTile, entryRun, missing, type Placement, place, prefixesOf, tileValues } from './placement.ts';
import type { Prepared } from './prepared.ts';
import { reaches, type Sequencing } from './sequence.ts';

const CONTINUE = call('continue-log', 'continue_log', 15, 12);
const COMPLETE = call('complete-tiles', 'complete_tiles', 28, 8);

/**
 * A call of a function of the database.
 * @param largest the number of the argument that is bound last: what is bound behind it has the driver copy it
 */
function call(
  name: string,
  of: string,
  count: number,
  largest: number,
): { readonly name: string; readonly text: string } {
  const list = Array.from({ length: count }, (_, i) => `$${i + 1 < largest ? i + 1 : i + 1 === largest ? count : i}`);
  return { name, text: `SELECT ${of}(${list.join(', ')}) AS continued` };
}

/** Entries that have their places behind a head, and how the database is told of them. */
export interface Continuation {
  readonly placement: Placement;
  /** What the process knows of the log once the database has them. */
  readonly next: KnownLog;
  readonly call: { readonly name: string; readonly text: string };
  /** Of the call, behind log, head and the patience with a lock. */
  readonly values: readonly unknown[];
}

/** What the process will know of the log after a commit that is under way; null: the next commit has taken it. */
export interface Coming {
  known: KnownLog | null;
}

/** How entries are appended behind the head that this process committed last. */
export interface Continuing {
  /** Milliseconds. */
  readonly deadline: number;
  /** The entries with their places, where that was done before. */
  readonly ahead?: Promise<Continuation | null> | null;
  /** Told once the database is asked. */
  readonly onSent?: (coming: Coming) => void;
}

/**
 * Appends entries behind the head that this process committed last, in one statement: the database checks under the lock of
 * the log's row that this still is the head. Null where that cannot be done, and nothing was written: `sequence` takes all.
 * @throws AntequemError `database-set-back`, `database-silent`
 */
export async function continueLog(
  database: Database,
  log: Log,
  submissions: readonly Prepared[],
  { effects, logs, rollback, answered }: Sequencing,
  { deadline, ahead = null, onSent = () => {} }: Continuing,
): Promise<readonly Logged[] | null> {
  rollback.demand();
  if (ahead === null && (logs.sizeOf(log.id) === null || submissions.some(needsLookUp))) return null;
  const placement = await onConnection(
    database,
    async (connection): Promise<Placement | null> => {
      const known = ahead === null ? logs.take(log.id) : null;
      const continuation =
        known === null ? await ahead : await continuationOf(log, submissions, known, effects, connection);
      if (continuation === null) return null;
      const { placement, next, call, values } = continuation;
      const { from } = placement;
      const newest = (await answered?.newest(log.origin)) ?? null;
      if (newest !== null && !reaches(from, newest)) return null;
      const asked = connection.query<{ continued: boolean }>({
        ...call,
        values: [log.id, from.size, from.root, lockPatience(deadline), ...values],
      });
      const coming: Coming = { known: next };
      onSent(coming);
      if ((await asked).rows[0]?.continued !== true) return null;
      if (coming.known === null) logs.keepSize(log.id, placement.head.size);
      else logs.keep(log.id, coming.known);
      return placement;
    },
    deadline,
  );
  if (placement === null) return null;
  const { head, placed } = placement;
  await answered?.record(log.origin, { size: head.size, root: head.root });
  return submissions.map((prepared) => ({
    appended: placed.get(prepared) ?? missing(),
    fresh: null,
    repeats: NO_REPEATS,
  }));
}

/** Whether {@link continueAhead} can do it. */
export function canContinueAhead({ head, open }: KnownLog, submissions: readonly Prepared[]): boolean {
  const filled = head.size % TILE_WIDTH;
  const entries = submissions.reduce((sum, { contents }) => sum + contents.length, 0);
  return (open !== null || filled === 0 || filled + entries < TILE_WIDTH) && !submissions.some(needsLookUp);
}

/** Gives entries their places behind a head that the database does not have yet. Uses up what is known of the log. */
export function continueAhead(
  log: Log,
  submissions: readonly Prepared[],
  known: KnownLog,
  effects: Effects,
): Promise<Continuation | null> {
  return continuationOf(log, submissions, known, effects, null);
}

/** @param connection to read blocks of the open tile that are not remembered; null: none is read */
async function continuationOf(
  log: Log,
  submissions: readonly Prepared[],
  { head: last, range, open: before }: KnownLog,
  effects: Effects,
  connection: Transaction | null,
): Promise<Continuation | null> {
  const now = effects.now();
  const shown = effects.wall?.() ?? now;
  const placement = place(submissions, last, range, now);
  const { from, head, tiles } = placement;
  const blocksBefore = from.size % TILE_WIDTH === 0 ? [] : before;
  let tail: Tail | null = null;
  if (completesTile(placement)) {
    if (blocksBefore !== null) tail = tailOf(blocksBefore, from.size);
    else if (connection === null) return null;
    else tail = await readTail(connection, log.id, from.size);
  }
  const { blocks, open } = await blocksOf(entryRun(log, submissions, placement), tail);
  const [block = missing()] = blocks;
  const isOneBlock = tiles.length === 0 && blocks.length === 1;
  const prefixes = prefixesOf(submissions);
  const [, bytes, ...numbers] = isOneBlock ? [] : blockValues(log.id, blocks);
  const isSameTile = Math.floor(head.size / TILE_WIDTH) === Math.floor(from.size / TILE_WIDTH);
  const stays = blocksBefore === null ? null : [...blocksBefore, ...open];
  return {
    placement,
    next: { head, range, open: isSameTile ? stays : open },
    call: isOneBlock ? CONTINUE : COMPLETE,
    values: [
      ...[now, shown, MAX_CLOCK_SKEW_MS],
      ...(isOneBlock
        ? [
            ...[block.count, block.receivedAt, block.leaves, block.bytes],
            ...[prefixes, head.root, head.lastLeaf, block.content],
          ]
        : [
            ...numbers,
            ...[tail?.replaced ?? [], tail?.erased ?? 0, ...tileValues(tiles), prefixes],
            ...[head.size, head.root, head.lastLeaf, head.lastReceivedAt, bytes],
          ]),
    ],
  };
}

const needsLookUp = ({ submission }: Prepared): boolean =>
  submission.idempotency !== null || submission.drafts.some(({ event }) => event !== undefined);
