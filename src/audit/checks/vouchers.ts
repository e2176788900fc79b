// What vouches for a log at some of its sizes: the checkpoints it signed and the rounds that took it in.

import { sha256 } from '#sha256';
import { equalBytes, utf8 } from '../../core/bytes.ts';
import { formatCheckpoint } from '../../core/checkpoint.ts';
import { parsed } from '../../core/errors.ts';
import { parseNote } from '../../core/note.ts';
import { parseCheckpointLeaf } from '../../core/round.ts';
import type { Floor, TreeAt } from './entry-chain.ts';
import type { Findings } from './findings.ts';
import type { LogKeys, SigningFault } from './log-keys.ts';

/** A checkpoint as it is stored or served. */
export interface StoredCheckpoint {
  readonly size: number;
  readonly root: Uint8Array;
  readonly note: string;
}

/** The leaf of a log in a round. */
export interface RoundLeaf {
  readonly size: number;
  readonly round: number;
  readonly leaf: Uint8Array;
  /** When the round closed, milliseconds; null where there is no such round. */
  readonly closedAt: number | null;
}

/** What vouches for a log, each list ascending by size. */
export interface Vouchers {
  readonly checkpoints: readonly StoredCheckpoint[];
  readonly leaves: readonly RoundLeaf[];
}

/** The sizes that are vouched for, ascending, each once. */
export function vouchedSizes({ checkpoints, leaves }: Vouchers): number[] {
  return [...new Set([...checkpoints, ...leaves].map(({ size }) => size))].sort((a, b) => a - b);
}

/**
 * Entry number `covered` was in no round up to `before`: it cannot have been received long before that round closed.
 * @param before the last round without the entry; null where there is none
 */
export function floorOf(
  covered: number,
  before: { readonly number: number; readonly closedAt: number } | null,
): Floor[] {
  return before === null || before.number === 0
    ? []
    : [{ index: covered, time: before.closedAt, round: before.number }];
}

/** A log with the keys that sign it. */
export interface SignedLog {
  readonly name: string;
  readonly origin: string;
  readonly keys: LogKeys;
}

/** Whether a note says what it should and is signed by the log. @param covers when its last entry was received */
export async function checkSignedNote(
  { name, origin, keys }: SignedLog,
  { size, root, note }: StoredCheckpoint,
  receivedAt: number,
  findings: Findings,
  index?: number,
): Promise<void> {
  const place = { log: name, ...(index === undefined ? {} : { index, until: size }) };
  const read = parsed(() => parseNote(note));
  if (read?.text !== formatCheckpoint({ origin, size, root })) {
    const says = `the note of the checkpoint of ${name} at size ${size} does not say that size and root`;
    findings.add('checkpoint-unreadable', place, says);
    return;
  }
  const fault = await keys.faultOf(read, { size, receivedAt });
  if (fault === null) return;
  findings.add('signature-broken', place, signatureFault(name, size, fault));
}

export function signatureFault(name: string, size: number, fault: SigningFault): string {
  return fault === 'broken'
    ? `the signature of ${name} at size ${size} does not hold`
    : `${name} signs by ML-DSA as well, and its checkpoint at size ${size} has no such signature`;
}

/** Compares what vouches for one log with what its entries make. */
export class VoucherCheck {
  /** Checkpoints that were compared. */
  count = 0;
  readonly #log: SignedLog;
  readonly #logId: Uint8Array;
  readonly #findings: Findings;
  /** The largest size at which something that vouches agreed: entries from here on are not vouched for yet. */
  #agreed: number;
  #round = 0;
  /** Its size in that round. */
  #covered = -1;

  constructor(log: SignedLog, findings: Findings, from: number) {
    this.#log = log;
    this.#logId = sha256(utf8(log.origin));
    this.#findings = findings;
    this.#agreed = from;
  }

  async check({ checkpoints, leaves }: Vouchers, reached: readonly TreeAt[]): Promise<void> {
    const bySize = new Map(reached.map((each) => [each.size, each]));
    const signatures: Promise<void>[] = [];
    let leafAt = 0;
    for (const checkpoint of checkpoints) {
      const { size } = checkpoint;
      for (let leaf = leaves[leafAt]; leaf !== undefined && leaf.size < size; leaf = leaves[++leafAt]) {
        this.#checkLeaf(leaf, bySize);
      }
      const tree = bySize.get(size);
      if (tree === undefined) continue;
      this.count++;
      if (equalBytes(tree.root, checkpoint.root)) {
        signatures.push(checkSignedNote(this.#log, checkpoint, tree.receivedAt, this.#findings, this.#agreed));
        this.#agreed = size;
        continue;
      }
      const { name } = this.#log;
      const says = `the checkpoint of ${name} at size ${size} has another root than its entries make`;
      this.#findings.add('checkpoint-differs', { log: name, index: this.#agreed, until: size }, says);
    }
    for (const leaf of leaves.slice(leafAt)) this.#checkLeaf(leaf, bySize);
    await Promise.all(signatures);
  }

  #checkLeaf({ size, round, leaf, closedAt }: RoundLeaf, reached: ReadonlyMap<number, TreeAt>): void {
    const { name } = this.#log;
    const tree = reached.get(size);
    const read = parsed(() => parseCheckpointLeaf(leaf));
    if (read?.size !== size || !equalBytes(read.logId, this.#logId)) {
      const says = `round ${round} is said to have ${name} at size ${size}, and has no such leaf there`;
      // Without a place: what is wrong with the round itself comes before.
      this.#findings.add('leaf-differs', {}, says);
      return;
    }
    if (tree === undefined) return;
    if (!equalBytes(read.root, tree.root)) {
      const says = `round ${round} took in ${name} at size ${size} with another root than its entries make`;
      if (this.#agreed < size) {
        this.#findings.add('round-disagrees', { log: name, index: this.#agreed, until: size, round }, says);
      } else this.#findings.add('leaf-differs', { round }, `${says} and its checkpoint says`);
      return;
    }
    this.#agreed = size;
    if (round <= this.#round || size === this.#covered) {
      const says = `${name} has ${size} entries in round ${round}, and ${this.#covered} in round ${this.#round}`;
      this.#findings.add('leaf-differs', { round }, says);
    }
    this.#round = round;
    this.#covered = size;
    if (closedAt !== null && tree.receivedAt > closedAt) {
      const says = `entry ${size - 1} of ${name} was received after round ${round}, which has it, was closed`;
      this.#findings.add('received-after-close', { log: name, index: size - 1, round }, says);
    }
  }
}
