// Compares the archives with what the database has of them.

import { sha256 } from '#sha256';
import { checkpointPath, MAX_BUNDLE, MAX_CHECKPOINT, MAX_TILE, tileOfLog } from '../audit/remote/layout.ts';
import { equalBytes } from '../core/bytes.ts';
import { parseCheckpoint } from '../core/checkpoint.ts';
import { AntequemError, messageOf, parsed } from '../core/errors.ts';
import { hashLeaves } from '../core/merkle.ts';
import { parseNote } from '../core/note.ts';
import { parseBundle, TILE_WIDTH } from '../core/tiles.ts';
import { ARCHIVED_COLUMN, archivedBlock } from '../log/archived-block.ts';
import { LOG_COLUMNS, type LogRow, logOf } from '../log/registry.ts';
import { TileStore } from '../log/tilestore.ts';
import type { Database } from '../store/database.ts';
import { objectName, readObject } from './archived-blocks.ts';
import type { Bucket } from './bucket.ts';
import { each } from './published-logs.ts';

/** An object that is not what it should be. */
export interface ArchiveFault {
  readonly object: string;
  /** `archive-damaged`, `archive-refused`, … */
  readonly code: string;
  readonly says: string;
}

export interface ArchiveVerification {
  /** Objects that were compared. */
  readonly objects: number;
  /** The first faults. */
  readonly faults: readonly ArchiveFault[];
  readonly faulty: number;
}

/** Faults that are named. */
const NAMED = 100;
const PAGE_BLOCKS = 256;
const PAGE_TILES = 256;

class Faults {
  readonly named: ArchiveFault[] = [];
  objects = 0;
  faulty = 0;

  /** @throws AntequemError `archive-unavailable`: a store that is away says nothing about what is in it */
  async check(object: string, check: () => Promise<void>): Promise<void> {
    this.objects++;
    try {
      await check();
    } catch (error) {
      if (!(error instanceof AntequemError) || error.code === 'archive-unavailable') throw error;
      this.faulty++;
      if (this.named.length < NAMED) this.named.push({ object, code: error.code, says: messageOf(error) });
    }
  }

  result(): ArchiveVerification {
    return { objects: this.objects, faults: this.named, faulty: this.faulty };
  }
}

/**
 * Fetches and opens each archived block.
 * @throws AntequemError `archive-unavailable`
 */
export async function verifyBlocks(database: Database, bucket: Bucket): Promise<ArchiveVerification> {
  const faults = new Faults();
  for (let [log, first] = [-1, -1]; ; ) {
    const { rows } = await database.query<{
      log: number;
      first: number;
      count: number;
      archived: Uint8Array;
      content_hash: Uint8Array;
    }>(
      `SELECT b.log, b.first, b.count, ${ARCHIVED_COLUMN}, h.content_hash
       FROM archived_blocks h JOIN blocks b ON b.log = h.log AND b.first = h.first
       WHERE (h.log, h.first) > ($1, $2) AND b.content IS NULL ORDER BY h.log, h.first LIMIT ${PAGE_BLOCKS}`,
      [log, first],
    );
    await each(rows, async (row) => {
      const block = archivedBlock(row, row.archived);
      await faults.check(objectName(block.object), async () => {
        if (!equalBytes(sha256(await readObject(bucket, block)), row.content_hash)) {
          throw new AntequemError('archive-damaged', `the block at entry ${row.first} has another content`);
        }
      });
    });
    const last = rows.at(-1);
    if (last === undefined) return faults.result();
    [log, first] = [last.log, last.first];
  }
}

/**
 * Compares complete tiles and checkpoints of the public archive with the database, and looks whether its bundles lead to
 * the tiles.
 * @throws AntequemError `archive-unavailable`
 */
export async function verifyPublished(database: Database, bucket: Bucket): Promise<ArchiveVerification> {
  const faults = new Faults();
  const tiles = new TileStore(database);
  const columns = LOG_COLUMNS.split(', ').map((column) => `l.${column}`);
  const { rows } = await database.query<LogRow & { published: number }>(
    `SELECT ${columns.join(', ')}, a.published FROM archive_logs a JOIN logs l ON l.id = a.log
     WHERE a.published > 0 ORDER BY l.id`,
  );
  for (const row of rows) {
    const log = logOf(row);
    const same = async (name: string, expected: Uint8Array, read: Uint8Array | null): Promise<void> => {
      if (read === null) throw new AntequemError('archive-damaged', `${name} is gone`);
      if (!equalBytes(read, expected)) throw new AntequemError('archive-damaged', `${name} is not what the log has`);
    };
    for (let level = 0, span = TILE_WIDTH; span <= row.published; level++, span *= TILE_WIDTH) {
      const count = Math.floor(row.published / span);
      for (let from = 0; from < count; from += PAGE_TILES) {
        const page = Array.from({ length: Math.min(PAGE_TILES, count - from) }, (_, i) => from + i);
        await each(page, async (index) => {
          const name = tileOfLog(log.name, { level, index, width: TILE_WIDTH });
          const hashes = await tiles.tile(log, level, index, row.published);
          await faults.check(name, async () => same(name, hashes, await bucket.get(name, MAX_TILE)));
          if (level > 0) return;
          const bundle = tileOfLog(log.name, { level: 'entries', index, width: TILE_WIDTH });
          await faults.check(bundle, async () => {
            const bytes = await bucket.get(bundle, MAX_BUNDLE);
            await same(bundle, hashes, bytes === null ? null : hashLeaves(parseBundle(bytes)));
          });
        });
      }
    }
    const name = checkpointPath(log.name);
    await faults.check(name, async () => {
      const bytes = await bucket.get(name, MAX_CHECKPOINT);
      const note = new TextDecoder().decode(bytes ?? new Uint8Array(0));
      const checkpoint = parsed(() => parseCheckpoint(parseNote(note).text));
      const [root] = await tiles.ranges(log, [{ begin: 0, end: row.published }], row.published);
      const isOurs = checkpoint?.origin === log.origin && checkpoint.size === row.published;
      if (isOurs && root !== undefined && equalBytes(checkpoint.root, root)) return;
      const says = checkpoint === null ? 'is no checkpoint' : `is that of ${checkpoint.size} entries`;
      throw new AntequemError('archive-damaged', `${name} ${says}, not that of ${row.published}`);
    });
  }
  return faults.result();
}
