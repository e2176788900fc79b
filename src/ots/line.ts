// A timestamp as lines, one for each attestation; and our paths as operations of OpenTimestamps.

import type { Step } from '../core/path.ts';
import { type Attestation, serializeAttestation } from './attestation.ts';
import type { Op } from './operation.ts';
import { type Timestamp, TimestampBuilder } from './timestamp.ts';

/** The way from the timestamp's message to one attestation. */
export interface Line {
  readonly ops: readonly Op[];
  /** The message that is attested. */
  readonly message: Uint8Array;
  readonly attestation: Attestation;
}

interface Trail {
  readonly op: Op;
  readonly before: Trail | null;
}

/** All lines, in the order in which their attestations are written. */
export function* timestampLines(timestamp: Timestamp): Generator<Line> {
  const open: { from: Timestamp; trail: Trail | null }[] = [{ from: timestamp, trail: null }];
  for (let top = open.pop(); top !== undefined; top = open.pop()) {
    const { from, trail } = top;
    for (const attestation of from.attestations) {
      const { message } = from;
      // Made when read: written out for every attestation, the ways of a full timestamp take gigabytes.
      yield {
        get ops() {
          return opsOf(trail);
        },
        message,
        attestation,
      };
    }
    for (const { op, next } of from.branches.toReversed()) open.push({ from: next, trail: { op, before: trail } });
  }
}

/**
 * The timestamp reduced to its shortest confirmed line in bytes, of equal ones that with the earlier block; null where no
 * line is confirmed. Only a source of headers can say which attestations are confirmed.
 */
export function shortestProof(timestamp: Timestamp, confirmed: (line: Line) => boolean): Timestamp | null {
  let best: Line | null = null;
  for (const line of timestampLines(timestamp)) {
    if (confirmed(line) && (best === null || compareLines(line, best) < 0)) best = line;
  }
  return best === null ? null : timestampOf(timestamp.message, [best]);
}

/** The timestamp of `message` that has these lines. @throws FormatError as TimestampBuilder */
export function timestampOf(message: Uint8Array, lines: Iterable<Pick<Line, 'ops' | 'attestation'>>): Timestamp {
  const builder = new TimestampBuilder(message);
  for (const { ops, attestation } of lines) builder.follow(ops).attest(attestation);
  return builder.finish();
}

function compareLines(a: Line, b: Line): number {
  return sizeOf(a) - sizeOf(b) || heightOf(a) - heightOf(b);
}

function sizeOf({ ops, attestation }: Line): number {
  const sizes = ops.map((op) =>
    'argument' in op ? 2 + (op.argument.length >> 7 > 0 ? 1 : 0) + op.argument.length : 1,
  );
  return sizes.reduce((sum, size) => sum + size, serializeAttestation(attestation).length);
}

function heightOf({ attestation }: Line): number {
  return 'height' in attestation ? attestation.height : 0;
}

function opsOf(end: Trail | null): Op[] {
  const ops: Op[] = [];
  for (let trail = end; trail !== null; trail = trail.before) ops.push(trail.op);
  return ops.reverse();
}

/** x → SHA-256(prefix ‖ x ‖ suffix) for each step. Without keccak, which clients in other languages cannot read. */
export function pathOps(steps: readonly Step[]): Op[] {
  return steps.flatMap(({ prefix, suffix }) => [
    ...(prefix.length > 0 ? [{ kind: 'prepend' as const, argument: prefix }] : []),
    ...(suffix.length > 0 ? [{ kind: 'append' as const, argument: suffix }] : []),
    { kind: 'sha256' as const },
  ]);
}

/**
 * The timestamp of `start` that follows `steps` and continues with `rest`, timestamps of the message the steps lead to.
 * @throws FormatError `ots-message-differs`, `ots-depth`, `ots-empty` where `rest` is empty
 */
export function timestampAlong(start: Uint8Array, steps: readonly Step[], ...rest: Timestamp[]): Timestamp {
  const builder = new TimestampBuilder(start);
  const end = builder.follow(pathOps(steps));
  for (const timestamp of rest) end.add(timestamp);
  return builder.finish();
}
