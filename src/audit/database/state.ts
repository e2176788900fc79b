// How far an earlier audit by the database came.

import * as z from 'zod/mini';
import { equalBytes, toHex } from '../../core/bytes.ts';
import { CompactRange } from '../../core/compact-range.ts';
import { AntequemError } from '../../core/errors.ts';
import { hashHex } from '../../core/hex.ts';
import { HASH_SIZE } from '../../core/merkle.ts';
import { TILE_WIDTH } from '../../core/tiles.ts';
import type { Archives } from '../../log/archived-tile.ts';
import { leafBefore, partialTile } from '../../log/blocks/head.ts';
import { TileStore } from '../../log/tilestore.ts';
import type { Queryable } from '../../store/database.ts';
import type { LogPosition } from '../checks/entry-chain.ts';
import type { Findings } from '../checks/findings.ts';
import { readAuditState, storedPosition, writeAuditState } from '../process/state-file.ts';
import type { StoredLog } from './stored-log.ts';

const FORMAT = 'antequem-audit-state/v1';
const form = z.strictObject({
  format: z.literal(FORMAT),
  /** The service's origin. */
  origin: z.string(),
  /** By log id. */
  logs: z.record(hashHex, storedPosition),
});

/** The positions that are known, in a file. */
export class AuditState {
  readonly #file: string;
  readonly #origin: string;
  readonly #positions: Map<string, LogPosition>;

  private constructor(path: string, origin: string, positions: Map<string, LogPosition>) {
    this.#file = path;
    this.#origin = origin;
    this.#positions = positions;
  }

  /** Reads the file; without a file nothing is known. @throws AntequemError `audit-state-invalid` */
  static async open(path: string, origin: string): Promise<AuditState> {
    const stored = await readAuditState(path, form);
    if (stored !== null && stored.origin !== origin) {
      throw new AntequemError(
        'audit-state-invalid',
        `${path} is of ${stored.origin}, not of ${origin}: name another file, or remove it to begin anew`,
      );
    }
    return new AuditState(path, origin, new Map(Object.entries(stored?.logs ?? {})));
  }

  /** How far the earlier audit read the log; null where it knew nothing of it. */
  position(log: StoredLog): LogPosition | null {
    return this.#positions.get(toHex(log.logId)) ?? null;
  }

  note(log: StoredLog, position: LogPosition): void {
    this.#positions.set(toHex(log.logId), position);
  }

  async save(): Promise<void> {
    const logs = Object.fromEntries(this.#positions);
    await writeAuditState(this.#file, form, { format: FORMAT, origin: this.#origin, logs });
  }
}

/**
 * The tree at a position of an earlier audit, if the log still is what it was there. If not: null, and a finding; the log
 * is then walked from the start, which tells where it differs.
 */
export async function resumeAt(
  db: Queryable,
  log: StoredLog,
  position: LogPosition,
  archives: Archives,
  findings: Findings,
): Promise<{ readonly position: LogPosition; readonly range: CompactRange } | null> {
  const { size } = position;
  if (log.size < size) {
    const says = `${log.name} had ${size} entries when it was last audited, and has ${log.size}`;
    findings.add('log-cut-off', { log: log.name, index: log.size }, says);
    return null;
  }
  const range = await rangeAt(db, log, position, archives);
  if (range !== null) return { position, range };
  const says = `the first ${size} entries of ${log.name} are not those that were last audited`;
  findings.add('log-rewritten', { log: log.name }, says);
  return null;
}

/** The tile that was open then may be complete since, and in the archive. */
async function rangeAt(
  db: Queryable,
  log: StoredLog,
  { size, root, leaf }: LogPosition,
  archives: Archives,
): Promise<CompactRange | null> {
  try {
    const isOpen = size % TILE_WIDTH > 0;
    const tiles = new TileStore(db, archives);
    const open = isOpen ? await tiles.tile(log, 0, Math.floor(size / TILE_WIDTH), size) : new Uint8Array(0);
    const partials = [open];
    for (let level = 1; TILE_WIDTH ** level <= size; level++) partials.push(await partialTile(db, log.id, level, size));
    const range = CompactRange.restore(size, partials);
    const last = isOpen ? open.subarray(-HASH_SIZE) : await leafBefore(db, log.id, size);
    return equalBytes(range.root(), root) && equalBytes(last, leaf) ? range : null;
  } catch (error) {
    if (error instanceof AntequemError && ['archive-damaged', 'log-damaged', 'tree-shape'].includes(error.code))
      return null;
    throw error;
  }
}
