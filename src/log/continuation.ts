import { TILE_WIDTH } from '../core/tiles.ts';
import { MAX_CLOCK_SKEW_MS } from '../core/time.ts';
import { type Database, lockPatience, onConnection } from '../store/database.ts';
import { blockValues } from './blocks/blocks.ts';
import { blocksOf, readTail, tailOf } from './blocks/fresh-blocks.ts';
import { NO_REPEATS } from './events.ts';
import type { Log, Logged } from './log.ts';
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

/**
 * Appends entries behind the head that this process committed last, in one statement: the database checks under the lock of
 * the log's row that this still is the head. Null where that cannot be done, and nothing was written: `sequence` takes all.
 * @param deadline milliseconds
 * @throws AntequemError `database-set-back`, `database-silent`
 */
export async function continueLog(
  database: Database,
  log: Log,
  submissions: readonly Prepared[],
  { effects, logs, rollback, answered }: Sequencing,
  deadline: number,
): Promise<readonly Logged[] | null> {
  rollback.demand();
  if (logs.sizeOf(log.id) === null || submissions.some(needsLookUp)) return null;
  const placement = await onConnection(
    database,
    async (connection): Promise<Placement | null> => {
      const known = logs.take(log.id);
      if (known === null) return null;
      const { range } = known;
      const newest = (await answered?.newest(log.origin)) ?? null;
      if (newest !== null && !reaches(known.head, newest)) return null;
      const now = effects.now();
      const placement = place(submissions, known.head, range, now);
      const { from, head, tiles } = placement;
      const before = from.size % TILE_WIDTH === 0 ? [] : known.open;
      const tail = !completesTile(placement)
        ? null
        : before === null
          ? await readTail(connection, log.id, from.size)
          : tailOf(before, from.size);
      const { blocks, open } = await blocksOf(entryRun(log, submissions, placement), tail);
      const [block = missing()] = blocks;
      const isOneBlock = tiles.length === 0 && blocks.length === 1;
      const prefixes = prefixesOf(submissions, placement);
      const [, bytes, ...numbers] = isOneBlock ? [] : blockValues(log.id, blocks);
      const { rows } = await connection.query<{ continued: boolean }>({
        ...(isOneBlock ? CONTINUE : COMPLETE),
        values: [
          ...[log.id, from.size, from.root, lockPatience(deadline), now, effects.wall?.() ?? now, MAX_CLOCK_SKEW_MS],
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
      });
      if (rows[0]?.continued !== true) return null;
      const isSameTile = Math.floor(head.size / TILE_WIDTH) === Math.floor(from.size / TILE_WIDTH);
      logs.keep(log.id, { head, range, open: !isSameTile ? open : before === null ? null : [...before, ...open] });
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

const needsLookUp = ({ submission }: Prepared): boolean =>
  submission.idempotency !== null || submission.drafts.some(({ event }) => event !== undefined);
