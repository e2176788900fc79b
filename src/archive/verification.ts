// Compares the archives with what the database has of them, and several buckets of an archive with one another.

import { sha256 } from '#sha256';
import { roundByNumber } from '../anchor/rounds.ts';
import {
  checkpointPath,
  MAX_BUNDLE,
  MAX_CHECKPOINT,
  MAX_ROUND,
  MAX_TILE,
  rootPath,
  tileOfLog,
} from '../audit/remote/layout.ts';
import { equalBytes, toHex } from '../core/bytes.ts';
import { parseCheckpoint } from '../core/checkpoint.ts';
import { AntequemError, messageOf, parsed } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import { EMPTY_ROOT, hashLeaves } from '../core/merkle.ts';
import { parseNote } from '../core/note.ts';
import { parseBundle, TILE_WIDTH } from '../core/tiles.ts';
import { archivedBlock, type BlockArchive } from '../log/blocks/archived-block.ts';
import type { Log } from '../log/log.ts';
import { LOG_COLUMNS, type LogRow, logOf } from '../log/registry.ts';
import { TileStore } from '../log/tilestore.ts';
import type { Database } from '../store/database.ts';
import { objectName } from './archived-blocks.ts';
import { isTile } from './archived-tiles.ts';
import { MAX_OBJECT_BYTES, openBlock } from './block-cipher.ts';
import type { Bucket, ObjectLock } from './bucket.ts';
import { readPasses } from './passes.ts';
import { each } from './published-logs.ts';

/** An object that is not what it should be. */
export interface ArchiveFault {
  /** With its bucket. */
  readonly object: string;
  /** `archive-damaged`, `archive-refused`, … */
  readonly code: string;
  readonly says: string;
}

export interface ArchiveVerification {
  /** Objects that were compared, in each bucket. */
  readonly objects: number;
  /** The first faults. */
  readonly faults: readonly ArchiveFault[];
  readonly faulty: number;
  /** Faulty objects that were written again, out of another bucket. */
  readonly repaired: number;
}

/** Faults that are named. */
const NAMED = 100;
const PAGE = 256;

/** One object as each bucket of an archive should have it. */
interface Expected {
  readonly name: string;
  /** Bytes. */
  readonly most: number;
  /** What is wrong with what a bucket has; null: nothing. @throws AntequemError for what cannot be read */
  readonly faultOf: (bytes: Uint8Array) => Promise<string | null> | string | null;
  /** Makes it anew where no bucket has it. */
  readonly make?: () => Promise<Uint8Array>;
  /** Whether it is expected there still: what was erased since is deleted. Default: always. */
  readonly isDue?: () => Promise<boolean>;
  /** Of what is written again. Default: none. */
  readonly lock?: () => ObjectLock | null;
}

/** How what is faulty in one bucket is written again. */
export interface Repair {
  /** Of what is written once; null: none. */
  readonly lock: () => ObjectLock | null;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
}

class Comparison {
  readonly #buckets: readonly Bucket[];
  readonly #repair: boolean;
  readonly #named: ArchiveFault[] = [];
  #objects = 0;
  #faulty = 0;
  #repaired = 0;

  constructor(buckets: readonly Bucket[], repair: Repair | null) {
    this.#buckets = buckets;
    this.#repair = repair !== null;
  }

  /** @throws AntequemError `archive-unavailable`: a store that is away says nothing about what is in it */
  async check({ name, most, faultOf, make, isDue, lock }: Expected): Promise<void> {
    this.#objects++;
    let good: Uint8Array | null = null;
    const faulty: { readonly bucket: Bucket; readonly fault: ArchiveFault }[] = [];
    for (const bucket of this.#buckets) {
      const read = await this.#read(bucket, name, most, faultOf);
      if (read instanceof Uint8Array) good = read;
      else faulty.push({ bucket, fault: read });
    }
    if (faulty.length === 0 || (await isDue?.()) === false) return;
    for (const { fault } of faulty) this.#note(fault);
    if (!this.#repair) return;
    if (good === null && make !== undefined) good = await this.#made(make, faultOf);
    if (good === null) return;
    for (const { bucket } of faulty) {
      await bucket.putCurrent(name, good, lock?.());
      this.#repaired++;
    }
  }

  /** Null where it cannot be made. */
  async #made(make: () => Promise<Uint8Array>, faultOf: Expected['faultOf']): Promise<Uint8Array | null> {
    try {
      const bytes = await make();
      return (await faultOf(bytes)) === null ? bytes : null;
    } catch (error) {
      if (!(error instanceof AntequemError) || error.code === 'archive-unavailable') throw error;
      return null;
    }
  }

  async #read(
    bucket: Bucket,
    name: string,
    most: number,
    faultOf: Expected['faultOf'],
  ): Promise<Uint8Array | ArchiveFault> {
    const object = `${bucket.describe()}/${name}`;
    try {
      const bytes = await bucket.get(name, most);
      const fault = bytes === null ? 'is gone' : await faultOf(bytes);
      if (bytes !== null && fault === null) return bytes;
      return { object, code: 'archive-damaged', says: `${object} ${fault}` };
    } catch (error) {
      if (!(error instanceof AntequemError) || error.code === 'archive-unavailable') throw error;
      return { object, code: error.code, says: messageOf(error) };
    }
  }

  #note(fault: ArchiveFault): void {
    this.#faulty++;
    if (this.#named.length < NAMED) this.#named.push(fault);
  }

  result(): ArchiveVerification {
    return { objects: this.#objects, faults: this.#named, faulty: this.#faulty, repaired: this.#repaired };
  }
}

/**
 * Fetches and opens each archived block and its commitments, out of each bucket.
 * @param repair how what is faulty in one bucket is written again out of another; null: it is not
 * @throws AntequemError `archive-unavailable`
 */
export async function verifyBlocks(
  database: Database,
  buckets: readonly Bucket[],
  repair: Repair | null = null,
): Promise<ArchiveVerification> {
  const comparison = new Comparison(buckets, repair);
  await verifyObjects(database, comparison, repair, ARCHIVED_BLOCKS);
  await verifyObjects(database, comparison, repair, ARCHIVED_COMMITMENTS);
  return comparison.result();
}

/** A table of objects, and what it has of each, as SQL. */
interface ObjectTable {
  readonly table: string;
  readonly contentHash: string;
  readonly lockedUntil: string;
}

const ARCHIVED_BLOCKS: ObjectTable = {
  table: 'archived_blocks',
  contentHash: 'content_hash',
  lockedUntil: 'coalesce(locked_until, 0)',
};
const ARCHIVED_COMMITMENTS: ObjectTable = {
  table: 'archived_commitments',
  contentHash: 'NULL::bytea',
  lockedUntil: 'NULL::bigint',
};

async function verifyObjects(
  database: Database,
  comparison: Comparison,
  repair: Repair | null,
  { table, contentHash, lockedUntil }: ObjectTable,
): Promise<void> {
  for (let [log, first] = [-1, -1]; ; ) {
    const { rows } = await database.query<{
      log: number;
      first: number;
      count: number;
      archived: Uint8Array;
      content_hash: Uint8Array | null;
      /** What is said of its lock; 0: there is none; null: nothing is said. */
      locked_until: number | null;
    }>(
      `SELECT b.log, b.first, b.count, h.object || h.key || h.object_hash AS archived, ${contentHash} AS content_hash,
              ${lockedUntil} AS locked_until
       FROM ${table} h JOIN blocks b ON b.log = h.log AND b.first = h.first
       WHERE (h.log, h.first) > ($1, $2) AND b.content IS NULL ORDER BY h.log, h.first LIMIT ${PAGE}`,
      [log, first],
    );
    await each(rows, async (row) => {
      const block = archivedBlock(row, row.archived);
      await comparison.check({
        name: objectName(block.object),
        most: MAX_OBJECT_BYTES,
        faultOf: (bytes) => {
          if (!equalBytes(sha256(bytes), block.hash)) return 'is not what was written there';
          const content = openBlock(block, bytes, block.key);
          const same = row.content_hash === null || equalBytes(sha256(content), row.content_hash);
          return same ? null : 'has another content';
        },
        isDue: async () => {
          const found = await database.query(`SELECT FROM ${table} WHERE object = $1`, [Buffer.from(block.object)]);
          return found.rowCount !== 0;
        },
        lock: () => lockUntil(repair, row.locked_until),
      });
    });
    const last = rows.at(-1);
    if (last === undefined) return;
    [log, first] = [last.log, last.first];
  }
}

/** A copy is not locked for longer than is said of the first. */
function lockUntil(repair: Repair | null, until: number | null): ObjectLock | null {
  const lock = repair?.lock() ?? null;
  if (repair === null || lock === null || until === null) return lock;
  return until > repair.now() ? { ...lock, until } : null;
}

/**
 * Compares complete tiles, checkpoints and roots of rounds of the public archive with the database, and looks whether its
 * bundles lead to the tiles.
 * @param repair how what is faulty in one bucket is written again out of another, and tiles out of the database; null: it is not
 * @param archive where old contents of entries lie, which tiles can be made of; null: nowhere
 * @throws AntequemError `archive-unavailable`
 */
export async function verifyPublished(
  database: Database,
  buckets: readonly Bucket[],
  repair: Repair | null = null,
  archive: BlockArchive | null = null,
): Promise<ArchiveVerification> {
  const comparison = new Comparison(buckets, repair);
  const columns = LOG_COLUMNS.split(', ').map((column) => `l.${column}`);
  const { rows } = await database.query<LogRow & { published: number }>(
    `SELECT ${columns.join(', ')}, a.published FROM archive_logs a JOIN logs l ON l.id = a.log
     WHERE a.published > 0 ORDER BY l.id`,
  );
  const tiles = new TileStore(database, { blocks: archive, tiles: null });
  for (const row of rows) await verifyLog({ database, tiles, comparison, repair }, logOf(row), row.published);
  const passes = await readPasses(database);
  const newest = passes.find(({ archive }) => archive === 'public')?.round ?? 0;
  for (let from = 1; from <= newest; from += PAGE) {
    await each(pageFrom(from, newest + 1), async (number) => {
      const round = await roundByNumber(database, number);
      if (round === null) throw new AntequemError('round-damaged', `round ${number} is gone: run an audit`);
      const faultOf = (bytes: Uint8Array): string | null => {
        const shown = parseJson(bytes);
        const root = typeof shown === 'object' && shown !== null && 'root' in shown ? shown.root : null;
        return root === toHex(round.root) ? null : `is not round ${number}`;
      };
      await comparison.check({ name: rootPath(number), most: MAX_ROUND, faultOf });
    });
  }
  return comparison.result();
}

interface LogVerification {
  readonly database: Database;
  readonly tiles: TileStore;
  readonly comparison: Comparison;
  readonly repair: Repair | null;
}

async function verifyLog(
  { database, tiles, comparison, repair }: LogVerification,
  log: Log,
  size: number,
): Promise<void> {
  const lock = (): ObjectLock | null => repair?.lock() ?? null;
  const differs = 'is not what the log has';
  for (let level = 0, span = TILE_WIDTH; span <= size; level++, span *= TILE_WIDTH) {
    const count = Math.floor(size / span);
    for (let from = 0; from < count; from += PAGE) {
      await each(pageFrom(from, count), async (index) => {
        const [root = EMPTY_ROOT] = await tiles.ranges(log, [{ begin: index * span, end: (index + 1) * span }], size);
        await comparison.check({
          name: tileOfLog(log.name, { level, index, width: TILE_WIDTH }),
          most: MAX_TILE,
          faultOf: (bytes) => (isTile(bytes, root) ? null : differs),
          make: () => tiles.tile(log, level, index, size),
          lock,
        });
        if (level > 0) return;
        await comparison.check({
          name: tileOfLog(log.name, { level: 'entries', index, width: TILE_WIDTH }),
          most: MAX_BUNDLE,
          faultOf: (bytes) => (isTile(hashLeaves(parseBundle(bytes)), root) ? null : differs),
          lock,
        });
      });
    }
  }
  const [root] = await tiles.ranges(log, [{ begin: 0, end: size }], size);
  await comparison.check({
    name: checkpointPath(log.name),
    most: MAX_CHECKPOINT,
    faultOf: async (bytes) => {
      const checkpoint = parsed(() => parseCheckpoint(parseNote(new TextDecoder().decode(bytes)).text));
      if (checkpoint === null || root === undefined) return 'is no checkpoint';
      // A worker may have published more since.
      const newer = checkpoint.size > size ? await rootOf(tiles, database, log, checkpoint.size) : root;
      const isOurs =
        checkpoint.origin === log.origin &&
        checkpoint.size >= size &&
        newer !== undefined &&
        equalBytes(checkpoint.root, newer);
      return isOurs ? null : `is that of ${checkpoint.size} entries, not that of ${size}`;
    },
  });
}

async function rootOf(tiles: TileStore, database: Database, log: Log, size: number): Promise<Uint8Array | undefined> {
  const { rows } = await database.query<{ size: number }>('SELECT size FROM log_states WHERE id = $1', [log.id]);
  if (size > (rows[0]?.size ?? 0)) return undefined;
  return (await tiles.ranges(log, [{ begin: 0, end: size }], size))[0];
}

/** Numbers from `from` on, a page of them at most, below `end`. */
function pageFrom(from: number, end: number): number[] {
  return Array.from({ length: Math.min(PAGE, end - from) }, (_, i) => from + i);
}
