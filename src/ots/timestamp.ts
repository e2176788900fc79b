// A timestamp: a tree of operations on a message, with attestations at its ends and wherever else there are any.

import { newWorkBudget, type WorkBudget } from '../core/anchor-verifier.ts';
import { equalBytes, toHex } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { type Attestation, checked, compareAttestations, serializeAttestation } from './attestation.ts';
import { applyOp, checkLength, compareOps, type Op, opText } from './operation.ts';

/** Messages from the first to the last of a line: 255 operations at most. */
export const MAX_LEVELS = 256;

/** Made by {@link TimestampBuilder} alone: in canonical order, nothing twice, at least one of either in each. */
export interface Timestamp {
  /** 0 to 4096 bytes. */
  readonly message: Uint8Array;
  readonly attestations: readonly Attestation[];
  readonly branches: readonly Branch[];
}

export interface Branch {
  readonly op: Op;
  /** Its message is what `op` makes of the message before. */
  readonly next: Timestamp;
}

/** A timestamp of `message` while it grows: what is added twice is there once, and the order does not matter. */
export class TimestampBuilder {
  readonly message: Uint8Array;
  readonly #level: number;
  readonly #work: WorkBudget;
  readonly #attestations = new Map<string, Attestation>();
  readonly #branches = new Map<string, { readonly op: Op; readonly next: TimestampBuilder }>();

  /**
   * @param work what it takes its cost from: a few bytes of input can ask for 4096 of work
   * @throws FormatError `ots-message-length`, `ots-work`
   */
  constructor(message: Uint8Array, work: WorkBudget = newWorkBudget(), level = 1) {
    checkLength(message.length, 'a message');
    this.message = message;
    this.#level = level;
    this.#work = work;
    this.#spend(message.length);
  }

  /** @throws FormatError `ots-uri`, `ots-height`, `ots-attestation`, `ots-work` */
  attest(attestation: Attestation): this {
    this.#spend(0);
    this.#attestations.set(toHex(serializeAttestation(attestation)), checked(attestation));
    return this;
  }

  /**
   * Where an operation leads to.
   * @throws FormatError `ots-depth`, `ots-work`, and as {@link applyOp}
   */
  apply(op: Op): TimestampBuilder {
    const key = opText(op);
    const known = this.#branches.get(key);
    if (known !== undefined) return known.next;
    if (this.#level === MAX_LEVELS) {
      throw new FormatError('ots-depth', `more than ${MAX_LEVELS - 1} operations one after the other`);
    }
    const next = new TimestampBuilder(applyOp(op, this.message), this.#work, this.#level + 1);
    this.#branches.set(key, { op, next });
    return next;
  }

  #spend(bytes: number): void {
    this.#work.operations--;
    this.#work.bytes -= bytes;
    if (this.#work.operations < 0 || this.#work.bytes < 0) {
      throw new FormatError('ots-work', 'following it takes more operations, or longer messages, than any real proof');
    }
  }

  /** Where operations one after the other lead to. @throws FormatError as {@link apply} */
  follow(ops: Iterable<Op>): TimestampBuilder {
    let end: TimestampBuilder = this;
    for (const op of ops) end = end.apply(op);
    return end;
  }

  /** All that another timestamp of the same message has. @throws FormatError `ots-message-differs`, and as {@link apply} */
  add(timestamp: Timestamp): this {
    if (!equalBytes(this.message, timestamp.message)) {
      throw new FormatError(
        'ots-message-differs',
        `a timestamp of ${toHex(timestamp.message)} cannot be one of ${toHex(this.message)}`,
      );
    }
    const open: { to: TimestampBuilder; from: Timestamp }[] = [{ to: this, from: timestamp }];
    for (let pair = open.pop(); pair !== undefined; pair = open.pop()) {
      for (const attestation of pair.from.attestations) pair.to.attest(attestation);
      for (const { op, next } of pair.from.branches) open.push({ to: pair.to.apply(op), from: next });
    }
    return this;
  }

  /** The timestamp as it is now. @throws FormatError `ots-empty` where a line ends without an attestation */
  finish(): Timestamp {
    const builders: TimestampBuilder[] = [this];
    // The list grows while it is walked: each comes after the one before it in the tree.
    for (const builder of builders) {
      for (const { next } of builder.#branches.values()) builders.push(next);
    }
    const finished = new Map<TimestampBuilder, Timestamp>();
    for (const builder of builders.reverse()) {
      const attestations = [...builder.#attestations.values()].sort(compareAttestations);
      const branches: Branch[] = [];
      for (const { op, next } of builder.#branches.values()) {
        const timestamp = finished.get(next);
        if (timestamp !== undefined) branches.push({ op, next: timestamp });
      }
      branches.sort((a, b) => compareOps(a.op, b.op));
      if (attestations.length === 0 && branches.length === 0) {
        throw new FormatError('ots-empty', `nothing attests to ${toHex(builder.message)}`);
      }
      finished.set(builder, { message: builder.message, attestations, branches });
    }
    const whole = finished.get(this);
    if (whole === undefined) throw new Error('a tree without its root');
    return whole;
  }
}

/** All that timestamps of one message have. @throws FormatError `ots-message-differs`, `ots-depth`, `ots-work` */
export function mergeTimestamps(first: Timestamp, ...others: Timestamp[]): Timestamp {
  const builder = new TimestampBuilder(first.message).add(first);
  for (const other of others) builder.add(other);
  return builder.finish();
}
