// A record of the index of digests, in a row of a run: bytes 2 to 6 of the digest 5 ‖ log 4 ‖ index 7. The first byte of the
// digest names the row.

import type { EntryPlace } from './blocks.ts';

/** Bytes of a digest that the index has: the first names the bucket of a run. */
export const PREFIX_BYTES = 6;
export const RECORD_BYTES = 16;
/** Bytes of the digest in a record. */
export const LOG_AT = PREFIX_BYTES - 1;
const INDEX_AT = LOG_AT + 4;

/** Log and index of the record at `at`. */
export function writePlace(records: Buffer, at: number, log: number, index: number): void {
  records.writeUInt32BE(log, at + LOG_AT);
  records[at + INDEX_AT] = Math.floor(index / 2 ** 48);
  records.writeUIntBE(index % 2 ** 48, at + INDEX_AT + 1, 6);
}

type DigestRecord = EntryPlace & { readonly prefix: number };

export function* recordsOf(bytes: Uint8Array): Generator<DigestRecord> {
  const records = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + RECORD_BYTES <= records.length; at += RECORD_BYTES) yield recordAt(records, at);
}

export function recordAt(records: Buffer, at: number): DigestRecord {
  return {
    prefix: records.readUIntBE(at, LOG_AT),
    log: records.readUInt32BE(at + LOG_AT),
    index: records.readUInt8(at + INDEX_AT) * 2 ** 48 + records.readUIntBE(at + INDEX_AT + 1, 6),
  };
}

/** The first {@link PREFIX_BYTES} of a digest as a number. @param at where it begins */
export function prefixOf(bytes: Uint8Array, at = 0): number {
  const high = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
  const low = ((bytes[at + 3] ?? 0) << 16) | ((bytes[at + 4] ?? 0) << 8) | (bytes[at + 5] ?? 0);
  return high * 2 ** 24 + low;
}

/** The same of the first byte and what a record has of the others. */
export function prefixIn(bucket: number, rest: number): number {
  return bucket * 2 ** (8 * LOG_AT) + rest;
}
