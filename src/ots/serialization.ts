// Timestamps as bytes, without the header of a file: what calendars answer, and what a receipt bears.

import type { WorkBudget } from '../core/anchor-verifier.ts';
import { type Attestation, readAttestation, serializeAttestation } from './attestation.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import { locate, OtsError } from './error.ts';
import { isJoin, MAX_MESSAGE, type Op, opKind, opTag } from './operation.ts';
import { type Timestamp, TimestampBuilder } from './timestamp.ts';

/** Bytes a timestamp may have: some hundred times what real ones have. */
export const MAX_TIMESTAMP = 262_144;

const MORE = 0xff;
const ATTESTATION = 0x00;

/**
 * Reads the one timestamp of `message` that `bytes` are.
 * Siblings may stand in any order, and twice: other clients write them so. Nothing else has a second spelling.
 * @throws OtsError `ots-size`, `ots-truncated`, `ots-trailing`, `ots-varuint`, `ots-length`, `ots-op`, `ots-uri`,
 * `ots-message-length`, `ots-message-empty`, `ots-depth`, `ots-work`
 */
export function parseTimestamp(bytes: Uint8Array, message: Uint8Array, work?: WorkBudget): Timestamp {
  checkSize(bytes);
  const reader = new ByteReader(bytes);
  const timestamp = readTimestamp(reader, message, work);
  reader.end('the timestamp');
  return timestamp;
}

/** @throws OtsError as {@link parseTimestamp}, but for bytes that come after it */
export function readTimestamp(reader: ByteReader, message: Uint8Array, work?: WorkBudget): Timestamp {
  const root = locate(reader.offset, () => new TimestampBuilder(message, work));
  // Timestamps of which siblings are still to come; the innermost is the last.
  const open = [root];
  for (let current = open.at(-1); current !== undefined; current = open.at(-1)) {
    const start = reader.offset;
    const first = reader.byte('a timestamp');
    const tag = first === MORE ? reader.byte('a timestamp') : first;
    if (first !== MORE) open.pop();
    if (tag === ATTESTATION) attestAt(current, readAttestation(reader), start);
    else open.push(step(current, readOp(reader, tag), start));
  }
  return root.finish();
}

/** In canonical order: attestations first, then operations, each sorted. @throws FormatError `ots-empty` */
export function serializeTimestamp(timestamp: Timestamp): Uint8Array {
  const writer = new ByteWriter();
  writeTimestamp(writer, timestamp);
  return writer.written();
}

export function writeTimestamp(writer: ByteWriter, timestamp: Timestamp): void {
  const open: { from: Timestamp; next: number }[] = [{ from: timestamp, next: 0 }];
  for (let top = open.at(-1); top !== undefined; top = open.at(-1)) {
    const { attestations, branches } = top.from;
    const index = top.next++;
    const isLast = index === attestations.length + branches.length - 1;
    if (isLast) open.pop();
    else writer.byte(MORE);
    const attestation = attestations[index];
    const branch = branches[index - attestations.length];
    if (attestation !== undefined) {
      writer.byte(ATTESTATION);
      writer.bytes(serializeAttestation(attestation));
    } else if (branch !== undefined) {
      writeOp(writer, branch.op);
      open.push({ from: branch.next, next: 0 });
    }
  }
}

/** @throws OtsError `ots-size` */
export function checkSize(bytes: Uint8Array): void {
  if (bytes.length > MAX_TIMESTAMP) {
    throw new OtsError('ots-size', `${bytes.length} bytes, more than ${MAX_TIMESTAMP}`, MAX_TIMESTAMP);
  }
}

function attestAt(to: TimestampBuilder, attestation: Attestation, offset: number): void {
  locate(offset, () => to.attest(attestation));
}

function step(from: TimestampBuilder, op: Op, offset: number): TimestampBuilder {
  return locate(offset, () => from.apply(op));
}

function readOp(reader: ByteReader, tag: number): Op {
  const kind = opKind(tag);
  if (kind === undefined) {
    throw new OtsError('ots-op', `no operation begins with ${tag.toString(16).padStart(2, '0')}`, reader.offset - 1);
  }
  return isJoin(kind) ? { kind, argument: reader.varbytes(1, MAX_MESSAGE, `what ${kind} adds`) } : { kind };
}

function writeOp(writer: ByteWriter, op: Op): void {
  writer.byte(opTag(op.kind));
  if ('argument' in op) writer.varbytes(op.argument);
}
