// The database read row by row and everything derived from it computed again with the code of core.

import { expect } from 'vitest';
import { sha256 } from '#sha256';
import { concat, toHex } from '../../src/core/bytes.ts';
import { commitTo, entryLeafHash } from '../../src/core/entry.ts';
import { MerkleTree } from '../../src/core/merkle.ts';
import type { Log } from '../../src/log/log.ts';
import type { Database } from '../../src/store/database.ts';
import { type EntryRow, readStoredEntries } from './stored-entries.ts';

/** Checks every entry and tile of a log and its head; returns the entries and their tree. */
export async function recompute(database: Database, log: Log): Promise<{ rows: EntryRow[]; tree: MerkleTree }> {
  const rows = await readStoredEntries(database, log.id);
  let previous: Uint8Array = log.logId;
  let receivedAt = 0;
  for (const [i, row] of rows.entries()) {
    if (row.index !== i) throw new Error(`entry ${i} of ${log.name} is missing or doubled: found ${row.index}`);
    if (row.received_at < receivedAt) throw new Error(`entry ${i} was received before the one before it`);
    receivedAt = row.received_at;
    if (row.digest !== null && row.nonce !== null) {
      same(row.commitment, commitTo(row.digest, row.nonce), `commitment ${i}`);
      expect(row.nonce.length).toBe(log.blinded ? 16 : 0);
      if (row.payload !== null) same(row.digest, sha256(row.payload), `digest ${i}`);
    }
    previous = entryLeafHash({ receivedAt, previous, commitment: row.commitment });
    same(row.leaf_hash, previous, `leaf hash ${i}`);
  }
  const tree = new MerkleTree(Buffer.concat(rows.map((row) => row.leaf_hash)));
  const head = await database.query<{ size: number; root: Buffer; last_leaf: Buffer; last_received_at: number }>(
    'SELECT size, root, last_leaf, last_received_at FROM log_states WHERE id = $1',
    [log.id],
  );
  const [row] = head.rows;
  if (row === undefined) throw new Error(`no row of ${log.name}`);
  expect(row.size).toBe(rows.length);
  same(row.root, tree.root(), 'root');
  same(row.last_leaf, previous, 'last leaf');
  expect(row.last_received_at).toBe(receivedAt);
  await checkTiles(database, log, tree);
  return { rows, tree };
}

async function checkTiles(database: Database, log: Log, tree: MerkleTree): Promise<void> {
  const { rows } = await database.query<{ level: number; index: number; root: Buffer; hashes: Buffer }>(
    'SELECT level, index, root, hashes FROM tiles WHERE log = $1 ORDER BY level, index',
    [log.id],
  );
  const expected: string[] = [];
  for (let level = 0; 256 ** (level + 1) <= tree.size; level++) {
    for (let index = 0; (index + 1) * 256 ** (level + 1) <= tree.size; index++) expected.push(`${level}/${index}`);
  }
  expect(rows.map(({ level, index }) => `${level}/${index}`)).toEqual(expected);
  for (const { level, index, root, hashes } of rows) {
    const nodes = Array.from({ length: 256 }, (_, i) => tree.node({ level: 8 * level, index: 256 * index + i }));
    same(hashes, concat(...nodes), `tile ${level}/${index}`);
    same(root, tree.node({ level: 8 * (level + 1), index }), `root of tile ${level}/${index}`);
  }
}

function same(a: Uint8Array, b: Uint8Array, what: string): void {
  if (Buffer.compare(a, b) !== 0) throw new Error(`${what}: ${toHex(a)} is not ${toHex(b)}`);
}
