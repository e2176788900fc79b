import { sha256 } from '#sha256';
import { concat, fromHex, readU64, writeU64 } from './bytes.ts';
import { FormatError, parsed } from './errors.ts';
import { hashLeaf } from './merkle.ts';
import type { Receipt } from './receipt-schema.ts';
import { parseTime } from './time.ts';

export const ENTRY_SIZE = 73;
export const NONCE_SIZE = 16;
const VERSION = 0x01;

/** What an index of a log commits to. */
export interface Entry {
  /** Milliseconds since the Unix epoch by the service's clock; never decreases within a log. */
  readonly receivedAt: number;
  /** 32 bytes: the leaf hash of the entry before; the log id for index 0. */
  readonly previous: Uint8Array;
  /** 32 bytes: {@link commitTo} of digest and nonce. */
  readonly commitment: Uint8Array;
}

/** Commitment = SHA-256(digest ‖ nonce); the nonce is 16 bytes, or empty in an unblinded log. */
export function commitTo(digest: Uint8Array, nonce: Uint8Array): Uint8Array {
  if (digest.length !== 32) throw new FormatError('digest-length', `a digest has 32 bytes, not ${digest.length}`);
  if (nonce.length !== NONCE_SIZE && nonce.length !== 0) {
    throw new FormatError('nonce-length', `a nonce has 16 bytes or none, not ${nonce.length}`);
  }
  return sha256(concat(digest, nonce));
}

/** The 73 bytes of an entry: version ‖ receivedAt ‖ previous ‖ commitment. */
export function encodeEntry(entry: Entry): Uint8Array {
  if (entry.previous.length !== 32 || entry.commitment.length !== 32) {
    throw new FormatError('entry-length', 'previous and commitment of an entry have 32 bytes each');
  }
  const out = new Uint8Array(ENTRY_SIZE);
  out[0] = VERSION;
  writeU64(out, 1, entry.receivedAt);
  out.set(entry.previous, 9);
  out.set(entry.commitment, 41);
  return out;
}

/** @throws FormatError `entry-length`, `entry-version`, `integer-range` */
export function parseEntry(bytes: Uint8Array): Entry {
  if (bytes.length !== ENTRY_SIZE) throw new FormatError('entry-length', `an entry has 73 bytes, not ${bytes.length}`);
  if (bytes[0] !== VERSION) throw new FormatError('entry-version', `unknown entry version ${bytes[0]}`);
  return { receivedAt: readU64(bytes, 1), previous: bytes.slice(9, 41), commitment: bytes.slice(41, 73) };
}

/** Leaf hash = SHA-256(0x00 ‖ entry). */
export function entryLeafHash(entry: Entry): Uint8Array {
  return hashLeaf(encodeEntry(entry));
}

/** An entry with the nonce that its commitment needs. */
export interface OpenEntry {
  readonly entry: Entry;
  /** 16 bytes, or none. */
  readonly nonce: Uint8Array;
}

/** Entry ‖ nonce of the entry in a receipt. */
export function encodeOpenEntry({ receivedAt, previous, digest, nonce }: Receipt['entry']): Uint8Array {
  const bytes = fromHex(nonce);
  const commitment = commitTo(fromHex(digest), bytes);
  return concat(encodeEntry({ receivedAt: parseTime(receivedAt), previous: fromHex(previous), commitment }), bytes);
}

/** Null where the bytes are not an entry with a nonce or without. */
export function parseOpenEntry(bytes: Uint8Array): OpenEntry | null {
  if (bytes.length !== ENTRY_SIZE && bytes.length !== ENTRY_SIZE + NONCE_SIZE) return null;
  const entry = parsed(() => parseEntry(bytes.slice(0, ENTRY_SIZE)));
  return entry === null ? null : { entry, nonce: bytes.slice(ENTRY_SIZE) };
}
