// What a receipt needs of the database besides rounds and anchors, read by one statement.

import { TILE_WIDTH } from '../core/tiles.ts';
import { knownBlockColumns } from '../log/blocks/blocks.ts';
import type { OpenBlock } from '../log/blocks/open-block.ts';
import type { KnownBlockRow } from '../log/blocks/remembered-contents.ts';
import type { EntryReader } from '../log/entries.ts';
import type { RecordedCheckpoint } from '../log/publish.ts';
import type { TileStore } from '../log/tilestore.ts';
import type { Queryable } from '../store/database.ts';

/** The leaf of a round whose checkpoint, of this size, covers an entry. */
export interface Covering {
  readonly round: number;
  readonly index: number;
  readonly size: number;
}

export interface ReceiptParts {
  /** Null: the log is not so long. */
  readonly block: OpenBlock | null;
  /** The first round that covers the entry; null: there is none yet. */
  readonly covering: Covering | null;
  /** What was signed at the size that the round covers; null: nothing yet. */
  readonly checkpoint: RecordedCheckpoint | null;
  /** Size and root of `_system` at that moment: every erasure before is an entry of it. Null: it is empty. */
  readonly systemHead: string | null;
}

export interface ReceiptPartsSources {
  readonly database: Queryable;
  readonly entries: EntryReader;
  /** Gets the leaf hashes that are read here. */
  readonly tiles: TileStore;
}

interface EntryAt {
  readonly log: number;
  readonly index: number;
}

/** One block each, of at most 1 MiB of payloads. */
export const RECEIPTS_AT_ONCE = 32;

type PartsRow = { n: number; system: string | null; tile: Uint8Array | null } & (
  | KnownBlockRow
  | { [K in keyof KnownBlockRow]: null }
) &
  ({ round: null } | { round: number; leaf: number; covered: number }) &
  ({ note: null } | { note: string; signed_root: Uint8Array });

/** Of what is asked; n counts from 1. Made once: it is long. */
const reading = (asked: string): string => `
  SELECT q.n::int, (SELECT h.size || ' ' || encode(h.root, 'hex') FROM logs l JOIN log_heads h ON h.log = l.id
                     WHERE l.name = '_system' ORDER BY h.size DESC LIMIT 1) AS system,
          ${knownBlockColumns('greatest(q.index - 1, b.first)', '(q.index + 1)', 'q.known', 't.hashes')},
          CASE WHEN q.lacks_tile THEN t.hashes END AS tile,
          c.round, c.index AS leaf, c.size AS covered, s.root AS signed_root, s.note
   FROM ${asked}
   LEFT JOIN LATERAL (SELECT * FROM blocks WHERE log = q.log AND first <= q.index ORDER BY first DESC LIMIT 1) b
     ON b.first + b.count > q.index
   LEFT JOIN tiles t ON t.log = q.log AND t.level = 0 AND t.index = q.index / ${TILE_WIDTH}
   LEFT JOIN LATERAL (SELECT round, index, size FROM round_logs WHERE log = q.log AND size > q.index
                      ORDER BY size LIMIT 1) c ON true
   LEFT JOIN checkpoints s ON s.log = q.log AND s.size = c.size
   ORDER BY q.n`;
/** PostgreSQL plans the statement of a single entry once, and that of several each time. */
const READ_ONE = reading(
  '(SELECT $1::int AS log, $2::bigint AS index, $3::int AS known, $4::boolean AS lacks_tile, 1::bigint AS n) AS q',
);
const READ_SEVERAL = reading(
  'unnest($1::int[], $2::bigint[], $3::int[], $4::boolean[]) WITH ORDINALITY AS q (log, index, known, lacks_tile, n)',
);

/** The parts for these entries, at most {@link RECEIPTS_AT_ONCE}. */
export async function readReceiptParts(
  { database, entries: { remembered }, tiles }: ReceiptPartsSources,
  entries: readonly EntryAt[],
): Promise<ReceiptParts[]> {
  const asked = entries.map(({ log, index }) => {
    const tile = Math.floor(index / TILE_WIDTH);
    return { log, index, tile, known: remembered.of(log, index), lacksTile: !tiles.hasLeaves(log, tile) };
  });
  const isOne = asked.length === 1;
  const values = [
    asked.map(({ log }) => log),
    asked.map(({ index }) => index),
    asked.map(({ known }) => known?.erased ?? null),
    asked.map(({ lacksTile }) => lacksTile),
  ];
  const { rows } = await database.query<PartsRow>({
    name: `receipt-parts-${isOne ? 'one' : 'several'}`,
    text: isOne ? READ_ONE : READ_SEVERAL,
    values: isOne ? values.flat() : values,
  });
  return rows.map((row, i) => {
    const { log = 0, tile = 0, known } = asked[i] ?? {};
    if (row.tile !== null) tiles.keepLeaves(log, tile, row.tile);
    return {
      block: row.first === null ? null : remembered.open(row, known),
      covering: row.round === null ? null : { round: row.round, index: row.leaf, size: row.covered },
      checkpoint: row.note === null ? null : { root: new Uint8Array(row.signed_root), note: row.note },
      systemHead: row.system,
    };
  });
}
