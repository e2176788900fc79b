// The rounds of a service: the chain they form, the leaves of each and its root, and what `_system` tells of them.

import { compareBytes, equalBytes, fromHex } from '../../core/bytes.ts';
import { CompactRange } from '../../core/compact-range.ts';
import { parsed } from '../../core/errors.ts';
import { hashLeaf } from '../../core/merkle.ts';
import { parseBlockHash } from '../../core/receipt.ts';
import { type CheckpointLeaf, DIGEST_LEAF_BYTES, encodeLink, parseCheckpointLeaf } from '../../core/round.ts';
import type { ActOf } from './acts.ts';
import type { Findings } from './findings.ts';

export interface RoundAt {
  readonly number: number;
  readonly root: Uint8Array;
  /** Milliseconds. */
  readonly closedAt: number;
}

/** A round without its leaves, as it is stored or served. */
export interface RoundHeader extends RoundAt {
  readonly previousRoot: Uint8Array;
  /** Its leaves. */
  readonly size: number;
  /** Hashes are hex, those of EVM chains may begin with 0x; null where what is stored is none. */
  readonly beacons: readonly { readonly chain: string; readonly height: number; readonly hash: string }[] | null;
}

const DIGEST_LEAF = 0x82;

/** Checks rounds in their order, the leaves of each in theirs. */
export class RoundCheck {
  /** Whether the leaves of the round at hand are in order so far. */
  sound = true;
  readonly #findings: Findings;
  readonly #first: RoundAt;
  readonly #remembered: boolean;
  #last: RoundAt;
  #round: RoundHeader | null = null;
  #tree = CompactRange.restore(0, []);
  #before: Uint8Array | null = null;

  /** @param remembered whether `first` is the last round that an earlier audit read, and not what is before round 1 */
  constructor(findings: Findings, first: RoundAt, remembered: boolean) {
    this.#findings = findings;
    this.#first = first;
    this.#last = first;
    this.#remembered = remembered;
  }

  /** The round before the one at hand. */
  get last(): RoundAt {
    return this.#last;
  }

  /** Begins with the next round. @param told whether a gap before it was told already */
  begin(round: RoundHeader, told = false): void {
    this.#round = round;
    this.#tree = CompactRange.restore(0, []);
    this.#before = null;
    this.sound = true;
    const { number, previousRoot, closedAt } = round;
    const last = this.#last;
    if (number !== last.number + 1) {
      const says = `round ${number} comes after round ${last.number}`;
      if (!told) this.#findings.add('round-missing', { round: last.number + 1 }, says);
    } else if (!equalBytes(previousRoot, last.root)) this.#follows(number);
    if (closedAt < last.closedAt) this.#linkBroken(number, `round ${number} was closed before the round before it`);
  }

  /** Leaves of the round at hand so far; the index of the next. */
  get leaves(): number {
    return this.#tree.size;
  }

  /** The next leaf of the round at hand: what it says, if it is of a log. */
  leaf(bytes: Uint8Array): CheckpointLeaf | 'link' | 'digest' | null {
    const index = this.#tree.size;
    this.#tree.append(hashLeaf(bytes), () => {});
    if (index === 0) {
      this.#checkLink(bytes);
      return 'link';
    }
    // First the log ids, then the digests: 0x81 comes before 0x82. Only digests may be equal.
    const key = bytes.subarray(0, 33);
    const order = this.#before === null ? -1 : compareBytes(this.#before, key);
    if (order > 0 || (order === 0 && key[0] !== DIGEST_LEAF)) {
      this.sound = false;
      this.#broken(`leaf ${index} of round ${this.#number} is out of order`);
    }
    this.#before = key;
    if (bytes[0] === DIGEST_LEAF && bytes.length === DIGEST_LEAF_BYTES) return 'digest';
    const leaf = parsed(() => parseCheckpointLeaf(bytes));
    if (leaf === null) this.#broken(`leaf ${index} of round ${this.#number} is neither a checkpoint nor a digest`);
    return leaf;
  }

  /**
   * Checks what the leaf taken last stands for.
   * @param log the name of the log with its id; null: there is none
   * @param checkpoint the root of the checkpoint beside it; null: there is none; undefined: nobody has asked for one yet
   */
  standsFor({ size, root }: CheckpointLeaf, log: string | null, checkpoint: Uint8Array | null | undefined): void {
    const round = this.#number;
    const where = `leaf ${this.#tree.size - 1} of round ${round}`;
    if (log === null) {
      this.#findings.add('leaf-differs', { round }, `${where} is of a log that _system does not tell of`);
    } else if (checkpoint === null) {
      const says = `${where} is of ${log} at size ${size}, and no checkpoint of that size is beside it`;
      this.#findings.add('checkpoint-missing', { round, log }, says);
    } else if (checkpoint !== undefined && !equalBytes(checkpoint, root)) {
      const says = `${where} has another root of ${log} at size ${size} than the checkpoint that was signed`;
      this.#findings.add('leaf-differs', { round }, says);
    }
  }

  /** Ends the round at hand. @returns whether the leaves make its root */
  end(): boolean {
    const round = this.#round;
    if (round === null) return false;
    const { number, size, root } = round;
    this.#last = round;
    if (this.#tree.size !== size) this.#broken(`round ${number} has ${this.#tree.size} leaves, and says ${size}`);
    if (equalBytes(this.#tree.root(), root)) return this.#tree.size === size && this.sound;
    this.#broken(`the leaves of round ${number} do not make its root`);
    return false;
  }

  /** Goes on behind a round whose leaves are not read. */
  skip({ number, root }: Pick<RoundAt, 'number' | 'root'>, closedAt = this.#last.closedAt): void {
    this.#last = { number, root, closedAt };
  }

  get #number(): number {
    return this.#round?.number ?? 0;
  }

  #follows(number: number): void {
    const first = number === this.#first.number + 1;
    if (first && this.#remembered) {
      const says = `round ${number} does not name the root that round ${number - 1} had when it was last audited`;
      this.#findings.add('rounds-rewritten', { round: number }, says);
      return;
    }
    const how =
      number === 1 ? 'the first round names another origin' : `it does not name the root of round ${number - 1}`;
    this.#linkBroken(number, `round ${number} does not follow: ${how}`);
  }

  #checkLink(bytes: Uint8Array): void {
    const expected = this.#round === null ? null : linkOf(this.#round);
    if (expected !== null && equalBytes(expected, bytes)) return;
    const says = `the link of round ${this.#number} has another number, close, predecessor or beacon than the round`;
    this.#linkBroken(this.#number, says);
  }

  #linkBroken(round: number, says: string): void {
    this.#findings.add('link-broken', { round }, says);
  }

  #broken(says: string): void {
    this.#findings.add('round-broken', { round: this.#number }, says);
  }
}

/** The link that a round should have; null where what it says cannot be one. */
export function linkOf({ number, closedAt, previousRoot, beacons }: RoundHeader): Uint8Array | null {
  if (beacons === null) return null;
  return parsed(() =>
    encodeLink({
      number,
      closedAt,
      previousRoot,
      beacons: beacons.map(({ chain, height, hash }) => ({ chain, height, hash: parseBlockHash(hash) })),
    }),
  );
}

/** The rounds as `_system` tells of them, in their order. */
export class RecordedRounds {
  readonly #findings: Findings;
  #count: number;

  /** @param count rounds that are known to be recorded */
  constructor(findings: Findings, count: number) {
    this.#findings = findings;
    this.#count = count;
  }

  /**
   * Compares an act with the round it tells of.
   * @param root what the round has; null: it is missing
   * @param newest the newest round that is there
   */
  take({ number, root: recorded, entry }: ActOf<'round-closed'>, root: Uint8Array | null, newest: number): void {
    const says = `entry ${entry} of _system tells of round ${number}`;
    if (number !== this.#count + 1) {
      this.#findings.add('round-differs', { round: number }, `${says}, and round ${this.#count + 1} comes next`);
    }
    this.#count = number;
    if (root === null) {
      const code = number > newest ? 'round-cut-off' : 'round-missing';
      this.#findings.add(code, { round: number }, `${says}, which is missing`);
    } else if (!equalBytes(root, fromHex(recorded))) {
      this.#findings.add('round-differs', { round: number }, `${says} with another root than the round has`);
    }
  }

  /** @param next the first round that is there and not recorded; null: there is none */
  finish(next: number | null): void {
    if (next === null) return;
    const says = `_system tells of ${this.#count} rounds, and there is a round ${next}`;
    this.#findings.add('round-unrecorded', { round: next }, says);
  }

  get count(): number {
    return this.#count;
  }
}
