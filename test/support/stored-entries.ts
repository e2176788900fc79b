// The entries of a database one by one, as whoever administers it can read and rewrite them.

import type pg from 'pg';
import { packContents, type StoredContent, unpackContents } from '../../src/log/blocks/block.ts';
import { insertBlocks, packTimes } from '../../src/log/blocks/blocks.ts';
import { commitmentOf, digestOf } from '../../src/log/blocks/open-block.ts';
import type { Database, Queryable } from '../../src/store/database.ts';

export interface EntryRow {
  index: number;
  received_at: number;
  digest: Buffer | null;
  nonce: Buffer | null;
  commitment: Buffer;
  /** As stored in the block or in its tile. */
  leaf_hash: Buffer;
  payload: Buffer | null;
  /** Whether the block calls it erased. */
  erased: boolean;
}

interface BlockRow {
  first: string | number;
  count: number;
  received_at: string | number;
  times: Buffer | null;
  leaves: Buffer | null;
  hashes: Buffer | null;
  erased: number[];
  content: Buffer;
}

/** All entries of a log, in order. */
export async function readStoredEntries(db: Pick<Queryable, 'query'>, log: number): Promise<EntryRow[]> {
  const { rows } = await db.query<BlockRow>(
    `SELECT b.first, b.count, b.received_at, b.times, b.leaves, b.erased, b.content, t.hashes
     FROM blocks b LEFT JOIN tiles t ON t.log = b.log AND t.level = 0 AND t.index = b.first / 256
     WHERE b.log = $1 ORDER BY b.first`,
    [log],
  );
  return rows.flatMap((block) => {
    const first = Number(block.first);
    const leaves = block.leaves ?? block.hashes?.subarray(32 * (first % 256)) ?? Buffer.alloc(0);
    return unpackContents(block.content, block.count).map((content, i) => {
      const digest = digestOf(content);
      return {
        index: first + i,
        received_at: Number(block.times?.readBigUInt64BE(8 * i) ?? block.received_at),
        digest: digest === null ? null : Buffer.from(digest),
        nonce: content.kind === 'erased' ? null : Buffer.from(content.nonce),
        commitment: Buffer.from(commitmentOf(content, digest)),
        leaf_hash: Buffer.from(leaves.subarray(32 * i, 32 * i + 32)),
        payload: content.kind === 'payload' ? Buffer.from(content.payload) : null,
        erased: block.erased.includes(i),
      };
    });
  });
}

/** Puts these entries in the place of all that a log has: blocks end where an index does not follow, and at tiles. */
export async function writeStoredEntries(client: pg.Client, log: number, rows: readonly EntryRow[]): Promise<void> {
  const { rows: tiles } = await client.query<{ index: string }>(
    'SELECT index FROM tiles WHERE log = $1 AND level = 0',
    [log],
  );
  const complete = new Set(tiles.map(({ index }) => Number(index)));
  const groups: EntryRow[][] = [];
  for (const row of rows) {
    const group = groups.at(-1);
    if (group !== undefined && group.at(-1)?.index === row.index - 1 && row.index % 256 !== 0) group.push(row);
    else groups.push([row]);
  }
  await client.query('DELETE FROM blocks WHERE log = $1', [log]);
  for (const group of groups) {
    const first = group[0]?.index ?? 0;
    const nonceSize = group.find(({ nonce }) => nonce !== null)?.nonce?.length ?? 0;
    await insertBlocks(client, log, [
      {
        first,
        count: group.length,
        receivedAt: group[0]?.received_at ?? 0,
        times: packTimes(group.map(({ received_at }) => received_at)),
        leaves: complete.has(Math.floor(first / 256)) ? null : Buffer.concat(group.map(({ leaf_hash }) => leaf_hash)),
        erased: group.flatMap(({ erased }, i) => (erased ? [i] : [])),
        bytes: group.reduce((sum, { payload }) => sum + (payload?.length ?? 0), 0),
        content: packContents(group.map(contentOf), nonceSize),
      },
    ]);
  }
}

function contentOf({ payload, digest, nonce, commitment }: EntryRow): StoredContent {
  if (payload !== null) return { kind: 'payload', payload, nonce: nonce ?? Buffer.alloc(0) };
  if (digest !== null) return { kind: 'digest', digest, nonce: nonce ?? Buffer.alloc(0) };
  return { kind: 'erased', commitment };
}

/** Rewrites entries of the log of that name. */
export async function rewriteEntries(
  client: pg.Client,
  name: string,
  change: (rows: EntryRow[]) => EntryRow[],
): Promise<void> {
  const { rows } = await client.query<{ id: number }>('SELECT id FROM logs WHERE name = $1', [name]);
  const log = rows[0]?.id ?? 0;
  await writeStoredEntries(client, log, change(await readStoredEntries(client, log)));
}

/** Erases an entry in its block and nowhere else, as the triggers permit. */
export async function eraseInBlock(database: Database, log: number, index: number): Promise<void> {
  const { rows } = await database.query<{ first: number; count: number; erased: number[]; content: Buffer }>(
    'SELECT first, count, erased, content FROM blocks WHERE log = $1 AND first <= $2 ORDER BY first DESC LIMIT 1',
    [log, index],
  );
  const [block] = rows;
  if (block === undefined) throw new Error(`no entry ${index}`);
  const at = index - block.first;
  let nonceSize = 0;
  const contents = unpackContents(block.content, block.count).map((content, i): StoredContent => {
    if (content.kind !== 'erased') nonceSize = content.nonce.length;
    return i === at ? { kind: 'erased', commitment: commitmentOf(content, digestOf(content)) } : content;
  });
  const { rowCount } = await database.query(
    'UPDATE blocks SET erased = $3, content = $4 WHERE log = $1 AND first = $2',
    [log, block.first, [...block.erased, at].sort((a, b) => a - b), packContents(contents, nonceSize)],
  );
  if (rowCount !== 1) throw new Error(`entry ${index} was not erased`);
}
