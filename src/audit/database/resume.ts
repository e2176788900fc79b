// Where an earlier audit had come to. Kept apart from the database, so that it is a witness besides.

import { readFile } from 'node:fs/promises';
import * as z from 'zod/mini';
import { equalBytes, fromHex, toHex } from '../../core/bytes.ts';
import type { CompactRange } from '../../core/compact-range.ts';
import { writeDurably } from '../../core/durable-file.node.ts';
import { AntequemError, hasCode } from '../../core/errors.ts';
import { hashHex } from '../../core/hex.ts';
import { parseJson } from '../../core/json.ts';
import { leafHashes, readCompactRange } from '../../log/head.ts';
import { PartitionMap } from '../../log/partition-map.ts';
import type { Queryable } from '../../store/database.ts';
import type { Findings } from '../checks/findings.ts';
import type { AuditedLog } from './log-state.ts';
import type { Position } from './log-walk.ts';

const FORMAT = 'antequem-audit-state/v1';
const count = z.int().check(z.nonnegative());
const file = z.strictObject({
  format: z.literal(FORMAT),
  /** The service's origin. */
  origin: z.string(),
  /** By log id. */
  logs: z.record(hashHex, z.strictObject({ size: count, root: hashHex, leaf: hashHex, receivedAt: count })),
});

/** The positions that are known, in a file. */
export class AuditState {
  readonly #file: string;
  readonly #origin: string;
  readonly #positions: Map<string, Position>;

  private constructor(path: string, origin: string, positions: Map<string, Position>) {
    this.#file = path;
    this.#origin = origin;
    this.#positions = positions;
  }

  /** Reads the file; one that is not there yet knows nothing. @throws AntequemError `audit-state-invalid` */
  static async open(path: string, origin: string): Promise<AuditState> {
    let text: string;
    try {
      text = await readFile(path, 'utf8');
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return new AuditState(path, origin, new Map());
      throw error;
    }
    const parsed = file.safeParse(parseJson(text));
    if (!parsed.success || parsed.data.origin !== origin) {
      const what = parsed.success ? `of ${parsed.data.origin}, not of ${origin}` : 'not the state of an audit';
      throw new AntequemError(
        'audit-state-invalid',
        `${path} is ${what}: name another file, or remove it to begin anew`,
      );
    }
    const positions = Object.entries(parsed.data.logs).map(
      ([logId, { size, root, leaf, receivedAt }]): [string, Position] => [
        logId,
        { size, root: fromHex(root), leaf: fromHex(leaf), receivedAt },
      ],
    );
    return new AuditState(path, origin, new Map(positions));
  }

  /** Where the earlier audit had come to; null where it knew nothing of the log. */
  position(log: AuditedLog): Position | null {
    return this.#positions.get(toHex(log.logId)) ?? null;
  }

  note(log: AuditedLog, position: Position): void {
    this.#positions.set(toHex(log.logId), position);
  }

  /** Writes the file, whole or not at all. */
  async save(): Promise<void> {
    const logs = [...this.#positions].map(([logId, { size, root, leaf, receivedAt }]) => [
      logId,
      { size, root: toHex(root), leaf: toHex(leaf), receivedAt },
    ]);
    const text = JSON.stringify({ format: FORMAT, origin: this.#origin, logs: Object.fromEntries(logs) });
    await writeDurably(this.#file, `${text}\n`, { mode: 0o600 });
  }
}

/**
 * The tree at a position of an earlier audit, if the log still is what it was there; null, and a finding, where it is
 * not: then it is to be walked from the start, which tells where.
 */
export async function resumeAt(
  db: Queryable,
  log: AuditedLog,
  position: Position,
  findings: Findings,
): Promise<{ readonly position: Position; readonly range: CompactRange } | null> {
  const { size } = position;
  if (log.size < size) {
    const says = `${log.name} had ${size} entries when it was last audited, and has ${log.size}`;
    findings.add('log-cut-off', { log: log.name, index: log.size }, says);
    return null;
  }
  const range = await edgeAt(db, log, position);
  if (range !== null) return { position, range };
  const says = `the first ${size} entries of ${log.name} are not those that were last audited`;
  findings.add('log-rewritten', { log: log.name }, says);
  return null;
}

async function edgeAt(db: Queryable, log: AuditedLog, position: Position): Promise<CompactRange | null> {
  const partitions = new PartitionMap();
  try {
    const range = await readCompactRange(db, partitions, log.id, position.size);
    const leaf =
      position.size === 0 ? log.logId : await leafHashes(db, partitions, log.id, position.size - 1, position.size);
    return equalBytes(range.root(), position.root) && equalBytes(leaf, position.leaf) ? range : null;
  } catch (error) {
    if (error instanceof AntequemError && ['log-damaged', 'tree-shape'].includes(error.code)) return null;
    throw error;
  }
}
