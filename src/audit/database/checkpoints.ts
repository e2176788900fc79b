// What vouches for a log at some of its sizes: the checkpoints it signed and the rounds that took it in.

import { equalBytes } from '../../core/bytes.ts';
import { formatCheckpoint } from '../../core/checkpoint.ts';
import { FormatError } from '../../core/errors.ts';
import { type Note, parseNote } from '../../core/note.ts';
import { type CheckpointLeaf, parseCheckpointLeaf } from '../../core/round.ts';
import type { Log } from '../../log/log.ts';
import type { Queryable } from '../../store/database.ts';
import type { Findings } from '../checks/findings.ts';
import type { Reached } from './entry-walk.ts';
import type { LogKeys } from './log-keys.ts';

type NamedLog = Pick<Log, 'name' | 'origin'>;

export interface CheckpointRow {
  size: number;
  root: Uint8Array;
  note: string;
}

export interface LeafRow {
  size: number;
  round: number;
  leaf: Uint8Array;
  closed_at: number | null;
}

/** What vouches for a log at the sizes of a page. */
export interface Vouchers {
  readonly checkpoints: readonly CheckpointRow[];
  readonly leaves: readonly LeafRow[];
}

/** As many as there are: each size has one of each kind, unless somebody took the indexes away too. */
const MOST = 20_000;

/** Those above `begin` (at 0: with it) up to `end`, in the order of their sizes. */
export async function readVouchers(db: Queryable, log: number, begin: number, end: number): Promise<Vouchers> {
  const range = [log, begin === 0 ? -1 : begin, end];
  const [checkpoints, leaves] = await Promise.all([
    db.query<CheckpointRow>(
      `SELECT size, root, note FROM checkpoints WHERE log = $1 AND size > $2 AND size <= $3 ORDER BY size LIMIT ${MOST}`,
      range,
    ),
    db.query<LeafRow>(
      `SELECT l.size, l.round, l.leaf, r.closed_at FROM round_leaves l LEFT JOIN rounds r ON r.number = l.round
       WHERE l.log = $1 AND l.size > $2 AND l.size <= $3 ORDER BY l.size, l.round LIMIT ${MOST}`,
      range,
    ),
  ]);
  return { checkpoints: checkpoints.rows, leaves: leaves.rows };
}

/** The sizes that are vouched for, ascending, each once. */
export function sizesOf({ checkpoints, leaves }: Vouchers): number[] {
  return [...new Set([...checkpoints, ...leaves].map(({ size }) => size))].sort((a, b) => a - b);
}

/** Compares what vouches for one log with what its entries make. */
export class VoucherCheck {
  /** Checkpoints whose signature was checked. */
  count = 0;
  readonly #log: NamedLog;
  readonly #keys: LogKeys;
  readonly #findings: Findings;
  /** The largest size at which something that vouches agreed: entries from here on are not vouched for yet. */
  #agreed: number;
  #round = 0;

  constructor(log: NamedLog, keys: LogKeys, findings: Findings, from: number) {
    this.#log = log;
    this.#keys = keys;
    this.#findings = findings;
    this.#agreed = from;
  }

  async check({ checkpoints, leaves }: Vouchers, reached: readonly Reached[]): Promise<void> {
    const bySize = new Map(reached.map((each) => [each.size, each]));
    const signatures: Promise<void>[] = [];
    let leafAt = 0;
    for (const checkpoint of checkpoints) {
      for (let leaf = leaves[leafAt]; leaf !== undefined && leaf.size < checkpoint.size; leaf = leaves[++leafAt]) {
        this.#checkLeaf(leaf, bySize);
      }
      const tree = bySize.get(checkpoint.size);
      if (tree === undefined) continue;
      this.count++;
      const place = { log: this.#log.name, index: this.#agreed, until: checkpoint.size };
      if (!equalBytes(tree.root, checkpoint.root)) {
        const says = `the checkpoint of ${this.#log.name} at size ${checkpoint.size} has another root than its entries make`;
        this.#findings.add('checkpoint-differs', place, says);
      } else {
        signatures.push(this.#checkNote(checkpoint, place, tree));
        this.#agreed = checkpoint.size;
      }
    }
    for (const leaf of leaves.slice(leafAt)) this.#checkLeaf(leaf, bySize);
    await Promise.all(signatures);
  }

  async #checkNote(
    { size, root, note }: CheckpointRow,
    place: { log: string; index: number },
    tree: Reached,
  ): Promise<void> {
    const { name, origin } = this.#log;
    const parsed = readNote(note);
    if (parsed?.text !== formatCheckpoint({ origin, size, root })) {
      const says = `the note of the checkpoint of ${name} at size ${size} does not say that size and root`;
      this.#findings.add('checkpoint-unreadable', place, says);
    } else if (!(await this.#keys.signed(parsed, origin, tree))) {
      this.#findings.add('signature-broken', place, `the signature of ${name} at size ${size} does not hold`);
    }
  }

  #checkLeaf({ size, round, leaf, closed_at }: LeafRow, reached: ReadonlyMap<number, Reached>): void {
    const { name } = this.#log;
    const tree = reached.get(size);
    const parsed = readLeaf(leaf);
    // A leaf that stands for something else than it says is found in the walk over rounds.
    if (tree === undefined || parsed?.size !== size) return;
    if (!equalBytes(parsed.root, tree.root)) {
      const says = `round ${round} took in ${name} at size ${size} with another root than its entries make`;
      if (this.#agreed < size) {
        this.#findings.add('round-disagrees', { log: name, index: this.#agreed, until: size, round }, says);
      } else this.#findings.add('leaf-differs', { round }, `${says} and its checkpoint says`);
      return;
    }
    this.#agreed = size;
    if (round <= this.#round) {
      this.#findings.add(
        'leaf-differs',
        { round },
        `${name} is longer in round ${this.#round} than in round ${round} after it`,
      );
    }
    this.#round = round;
    if (closed_at !== null && tree.receivedAt > closed_at) {
      const says = `entry ${size - 1} of ${name} was received after round ${round}, which has it, was closed`;
      this.#findings.add('received-after-close', { log: name, index: size - 1, round }, says);
    }
  }
}

/** Looks for what vouches for more entries than the log has. */
export async function checkNothingBeyond(db: Queryable, log: Log, size: number, findings: Findings): Promise<void> {
  const { rows } = await db.query<{ checkpoint: number | null; leaf: number | null; round: number | null }>(
    `SELECT (SELECT max(size) FROM checkpoints WHERE log = $1 AND size > $2) AS checkpoint, l.size AS leaf, l.round
     FROM (SELECT) AS one LEFT JOIN LATERAL
       (SELECT size, round FROM round_leaves WHERE log = $1 AND size > $2 ORDER BY size LIMIT 1) AS l ON true`,
    [log.id, size],
  );
  const [beyond] = rows;
  const place = { log: log.name, index: size };
  if (beyond?.checkpoint != null) {
    const says = `${log.name} signed a checkpoint of ${beyond.checkpoint} entries, and has ${size}`;
    findings.add('log-cut-off', place, says);
  }
  if (beyond?.leaf != null) {
    const says = `round ${beyond.round} took in ${beyond.leaf} entries of ${log.name}, which has ${size}`;
    findings.add('log-cut-off', { ...place, round: beyond.round }, says);
  }
}

function readNote(text: string): Note | null {
  try {
    return parseNote(text);
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}

/** A checkpoint leaf; null where it is none. */
function readLeaf(leaf: Uint8Array): CheckpointLeaf | null {
  try {
    return parseCheckpointLeaf(leaf);
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}
