// Attacks on entries and on what they hang on, as SQL. The history they are done to is that of test/support/history.ts.

import type pg from 'pg';
import { sha256 } from '#sha256';
import { commitTo, entryLeafHash } from '../../src/core/entry.ts';
import { type EntryRow, rewriteEntries } from '../support/stored-entries.ts';

export interface Attack {
  readonly name: string;
  readonly work: string | ((client: pg.Client, url: string) => Promise<void>);
  readonly code: string;
  /** The log and the first entry that is named; null: none can be. */
  readonly log: string | null;
  readonly index: number | null;
  readonly round?: number;
}

export const DEMO = `log = (SELECT id FROM logs WHERE name = 'demo')`;
export const PLAIN = `log = (SELECT id FROM logs WHERE name = 'plain')`;
export const SYSTEM = `log = (SELECT id FROM logs WHERE name = '_system')`;
type Work = Exclude<Attack['work'], string>;
type Change = (row: EntryRow, rows: readonly EntryRow[]) => Partial<EntryRow>;

/** Changes one entry in its block, whose content is written anew. */
export const altered =
  (log: string, index: number, change: Change): Work =>
  (client) =>
    rewriteEntries(client, log, (rows) =>
      rows.map((row) => (row.index === index ? { ...row, ...change(row, rows) } : row)),
    );
const rewritten =
  (log: string, change: (rows: EntryRow[]) => EntryRow[]): Work =>
  (client) =>
    rewriteEntries(client, log, change);
export const digestOfText = (text: string): Buffer => Buffer.from(sha256(Buffer.from(text)));
const erase = { payload: null, digest: null, nonce: null };
/** The leaf hash that an entry makes, behind the one before. */
export const leafOf = (
  { index, received_at, digest, nonce, commitment }: EntryRow,
  rows: readonly EntryRow[],
): Buffer =>
  Buffer.from(
    entryLeafHash({
      receivedAt: received_at,
      previous: rows[index - 1]?.leaf_hash ?? Buffer.alloc(32),
      commitment: digest === null || nonce === null ? commitment : commitTo(digest, nonce),
    }),
  );

/** From 512 on the tile of demo is open: leaf hashes stand in the blocks. */
export const ENTRIES: Attack[] = [
  {
    name: 'payload changed',
    work: altered('demo', 57, () => ({ payload: Buffer.from('paid 900 to Mallory') })),
    code: 'entry-altered',
    log: 'demo',
    index: 57,
  },
  {
    name: 'large payload changed',
    work: altered('demo', 58, ({ payload }) => ({ payload: payload?.fill(66, 8_999) ?? null })),
    code: 'entry-altered',
    log: 'demo',
    index: 58,
  },
  {
    name: 'payload changed in the open tile',
    work: altered('demo', 600, () => ({ payload: Buffer.from('paid 900 to Mallory') })),
    code: 'entry-altered',
    log: 'demo',
    index: 600,
  },
  {
    name: 'payload of the newest entry changed',
    work: altered('demo', 650, () => ({ payload: Buffer.from('paid 900 to Mallory') })),
    code: 'entry-altered',
    log: 'demo',
    index: 650,
  },
  {
    name: 'digest changed',
    work: altered('demo', 59, () => ({ digest: digestOfText('x') })),
    code: 'entry-altered',
    log: 'demo',
    index: 59,
  },
  {
    name: 'nonce changed',
    work: altered('demo', 100, ({ nonce }) => ({ nonce: Buffer.from(sha256(nonce ?? Buffer.alloc(0)).slice(0, 16)) })),
    code: 'entry-altered',
    log: 'demo',
    index: 100,
  },
  {
    name: 'nonces given to an unblinded log',
    work: rewritten('plain', (rows) => rows.map((row) => ({ ...row, nonce: row.digest && Buffer.alloc(16, 7) }))),
    code: 'entry-altered',
    log: 'plain',
    index: 0,
  },
  {
    name: 'payload and leaf hash changed in the open tile',
    work: altered('demo', 600, (row, rows) => {
      const payload = Buffer.from('x');
      return { payload, leaf_hash: leafOf({ ...row, payload, digest: digestOfText('x') }, rows) };
    }),
    code: 'entry-altered',
    log: 'demo',
    index: 601,
  },
  {
    name: 'leaf hash changed in the open tile',
    work: altered('demo', 600, ({ leaf_hash }) => ({ leaf_hash: Buffer.from(sha256(leaf_hash)) })),
    code: 'tile-differs',
    log: 'demo',
    index: 600,
  },
  {
    name: 'time changed',
    work: altered('demo', 200, ({ received_at }) => ({ received_at: received_at + 1 })),
    code: 'entry-altered',
    log: 'demo',
    index: 200,
  },
  {
    name: 'time set before the entry before',
    work: altered('demo', 649, (row, rows) => {
      const received_at = 5;
      return { received_at, leaf_hash: leafOf({ ...row, received_at }, rows) };
    }),
    code: 'time-decreases',
    log: 'demo',
    index: 649,
  },
  {
    name: 'entry deleted',
    work: rewritten('demo', (rows) => rows.filter(({ index }) => index !== 300)),
    code: 'entry-missing',
    log: 'demo',
    index: 300,
  },
  {
    name: 'entry deleted, the others moved up',
    work: rewritten('demo', (rows) =>
      rows.filter(({ index }) => index !== 300).map((row, index) => ({ ...row, index })),
    ),
    code: 'entry-altered',
    log: 'demo',
    index: 300,
  },
  {
    name: 'two entries swapped',
    work: rewritten('demo', (rows) => {
      const at = (index: number): number => (index === 20 ? 30 : index === 30 ? 20 : index);
      return rows.map((row, index) => ({ ...(rows[at(index)] ?? row), index }));
    }),
    code: 'entry-altered',
    log: 'demo',
    index: 20,
  },
  {
    name: 'payloads of two entries swapped',
    work: rewritten('demo', (rows) => {
      const at = (index: number): number => (index === 20 ? 30 : index === 30 ? 20 : index);
      return rows.map((row, index) => ({ ...row, payload: rows[at(index)]?.payload ?? null }));
    }),
    code: 'entry-altered',
    log: 'demo',
    index: 20,
  },
  {
    name: 'entry put in, the others moved down',
    work: rewritten('demo', (rows) =>
      rows.flatMap((row) => (row.index === 39 ? [row, row] : [row])).map((row, index) => ({ ...row, index })),
    ),
    code: 'entry-altered',
    log: 'demo',
    index: 40,
  },
  {
    name: 'entry put in behind the newest',
    work: rewritten('demo', (rows) => [...rows, ...rows.slice(-1).map((row) => ({ ...row, index: 651 }))]),
    code: 'entry-stray',
    log: 'demo',
    index: 651,
  },
  {
    name: 'entry put in a second time',
    work: rewritten('demo', (rows) => rows.flatMap((row) => (row.index === 12 ? [row, row] : [row]))),
    code: 'entry-stray',
    log: 'demo',
    index: 12,
  },
  {
    name: 'newest entries cut off, nothing else',
    work: rewritten('demo', (rows) => rows.filter(({ index }) => index < 640)),
    code: 'entry-missing',
    log: 'demo',
    index: 640,
  },
  {
    name: 'block deleted',
    work: `DELETE FROM blocks WHERE ${DEMO} AND first = 256`,
    code: 'entry-missing',
    log: 'demo',
    index: 256,
  },
  {
    name: 'content of a block cut',
    work: `UPDATE blocks SET content = substring(content FROM 1 FOR length(content) - 5) WHERE ${DEMO} AND first = 256`,
    code: 'block-damaged',
    log: 'demo',
    index: 256,
  },
  {
    name: 'content of a block made huge',
    work: `UPDATE blocks SET content = content || convert_to(repeat('x', 4000000), 'UTF8') WHERE ${DEMO} AND first = 256`,
    code: 'block-damaged',
    log: 'demo',
    index: 256,
  },
  {
    name: 'block made to count fewer entries',
    work: `UPDATE blocks SET count = 255 WHERE ${DEMO} AND first = 0`,
    code: 'block-damaged',
    log: 'demo',
    index: 0,
  },
  {
    name: 'contents of two blocks exchanged',
    work: `UPDATE blocks b SET content = o.content, erased = o.erased FROM blocks o WHERE b.${DEMO} AND b.first IN (0, 256) AND o.log = b.log AND o.first = 256 - b.first`,
    code: 'entry-altered',
    log: 'demo',
    index: 0,
  },
  {
    name: 'blocks merged, one entry left out',
    work: rewritten('demo', (rows) => rows.filter(({ index }) => index !== 255)),
    code: 'entry-missing',
    log: 'demo',
    index: 255,
  },
  {
    name: 'erased without record',
    work: altered('demo', 57, () => ({ ...erase, erased: true })),
    code: 'erased-unrecorded',
    log: 'demo',
    index: 57,
  },
  {
    name: 'erased, and not called so',
    work: altered('demo', 57, () => erase),
    code: 'erased-in-part',
    log: 'demo',
    index: 57,
  },
  {
    name: 'called erased, and still there',
    work: altered('demo', 57, () => ({ erased: true })),
    code: 'erased-in-part',
    log: 'demo',
    index: 57,
  },
  {
    name: 'what was erased put back, from a stale copy of the block',
    work: altered('plain', 3, () => ({
      payload: Buffer.from('plain 3'),
      digest: digestOfText('plain 3'),
      nonce: Buffer.alloc(0),
      erased: false,
    })),
    code: 'erased-still-there',
    log: 'plain',
    index: 3,
  },
  {
    name: 'something else put in the place of what was erased',
    work: altered('demo', 7, ({ commitment }) => ({
      payload: Buffer.from('demo 8'),
      digest: digestOfText('demo 8'),
      nonce: commitment.subarray(0, 16),
      erased: false,
    })),
    code: 'entry-altered',
    log: 'demo',
    index: 7,
  },
];

/** Sets the head of demo back to a size at which it signed a checkpoint. */
export const HEAD = (size: number): string => `
  DELETE FROM log_heads WHERE ${DEMO} AND size >= ${size};
  INSERT INTO log_heads (log, size, root, last_leaf, last_received_at)
  SELECT l.id, c.size, c.root, substring(b.leaves FROM 32 * (${size - 1} - b.first)::int + 1 FOR 32), time_in_block(b, ${size - 1})
  FROM logs l, checkpoints c, blocks b
  WHERE l.name = 'demo' AND c.log = l.id AND c.size = ${size} AND b.log = l.id AND b.first <= ${size - 1} AND b.first + b.count > ${size - 1}`;

/** Cuts demo off at a size at which a block of its open tile begins. */
const CUT = (size: number): string => `${HEAD(size)}; DELETE FROM blocks WHERE ${DEMO} AND first >= ${size}`;

export const CUTS: Attack[] = [
  {
    name: 'newest entries cut off, head set back',
    work: `${CUT(600)}`,
    code: 'log-cut-off',
    log: 'demo',
    index: 600,
  },
  {
    name: 'the same, with checkpoints and leaves',
    work: `${CUT(600)}; DELETE FROM checkpoints WHERE ${DEMO} AND size > 600; UPDATE rounds p SET size = p.size - 1, heads = substring(heads FROM 1 FOR 44 * (r.index - 1)) || substring(heads FROM 44 * r.index + 1) FROM round_logs r WHERE r.round = p.number AND r.${DEMO} AND r.size > 600; UPDATE round_logs o SET index = o.index - 1 FROM round_logs r WHERE o.round = r.round AND o.index > r.index AND r.${DEMO} AND r.size > 600; DELETE FROM round_logs WHERE ${DEMO} AND size > 600`,
    code: 'round-broken',
    log: null,
    index: null,
    round: 3,
  },
  {
    name: 'the same, with the whole round and its anchor',
    work: `${CUT(600)}; DELETE FROM checkpoints WHERE ${DEMO} AND size > 600; DELETE FROM anchors WHERE round = 3; DELETE FROM round_logs WHERE round = 3; DELETE FROM rounds WHERE number = 3`,
    code: 'round-cut-off',
    log: null,
    index: null,
    round: 3,
  },
];
