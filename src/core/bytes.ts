import { FormatError } from './errors.ts';

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const encoder = new TextEncoder();

/** UTF-8 bytes of a string. */
export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Lower-case hex without 0x. */
export function toHex(bytes: Uint8Array): string {
  let out = '';
  for (const byte of bytes) out += HEX[byte];
  return out;
}

/** Lower-case hex after 0x, as values of EVM chains are written. */
export function prefixedHex(bytes: Uint8Array): string {
  return `0x${toHex(bytes)}`;
}

/** The value of each hex digit by its character code; 255 for any other character. */
const NIBBLES = new Uint8Array(128).fill(255);
for (let value = 0; value < 16; value++) NIBBLES[value.toString(16).charCodeAt(0)] = value;

/** Bytes of lower-case hex without 0x. @throws FormatError `hex-invalid` */
export function fromHex(text: string): Uint8Array {
  const out = new Uint8Array(text.length >> 1);
  let bad = text.length % 2;
  for (let i = 0; i < out.length; i++) {
    const high = NIBBLES[text.charCodeAt(2 * i)] ?? 255;
    const low = NIBBLES[text.charCodeAt(2 * i + 1)] ?? 255;
    bad |= (high | low) & 0xf0;
    out[i] = (high << 4) | low;
  }
  if (bad !== 0) throw new FormatError('hex-invalid', `not lower-case hex of whole bytes: ${excerpt(text)}`);
  return out;
}

/** Standard base64 with padding (RFC 4648 section 4). */
export function toBase64(bytes: Uint8Array): string {
  let binary = '';
  for (let i = 0; i < bytes.length; i += 0x8000) binary += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(binary);
}

/**
 * Bytes of standard base64 in its one canonical form: padded, no white space, unused bits zero (RFC 4648 section 3.5).
 * A second spelling of the same bytes would let a note be altered without its signature noticing.
 * @throws FormatError `base64-invalid`
 */
export function fromBase64(text: string): Uint8Array {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) {
    throw new FormatError('base64-invalid', `not padded base64: ${excerpt(text)}`);
  }
  const binary = atob(text);
  const out = new Uint8Array(binary.length);
  for (let i = 0; i < out.length; i++) out[i] = binary.charCodeAt(i);
  if (toBase64(out) !== text) {
    throw new FormatError('base64-invalid', `base64 with non-zero unused bits: ${excerpt(text)}`);
  }
  return out;
}

/** All parts one after the other. */
export function concat(...parts: Uint8Array[]): Uint8Array {
  return concatAll(parts);
}

/** The same for any number of parts: a call takes some hundred thousand arguments at most. */
export function concatAll(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

/** Whether two byte strings are the same. Not constant time: for public values only. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return compareBytes(a, b) === 0;
}

/** Bytewise order; a prefix comes first. */
export function compareBytes(a: Uint8Array, b: Uint8Array): -1 | 0 | 1 {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference < 0 ? -1 : 1;
  }
  return a.length === b.length ? 0 : a.length < b.length ? -1 : 1;
}

/** Big-endian u64 of a whole number below 2^53. @throws FormatError `integer-range` */
export function u64(value: number): Uint8Array {
  const out = new Uint8Array(8);
  writeU64(out, 0, value);
  return out;
}

/** Writes a big-endian u64 at `offset`. @throws FormatError `integer-range` */
export function writeU64(out: Uint8Array, offset: number, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new FormatError('integer-range', `not a whole number below 2^53: ${value}`);
  }
  let high = Math.floor(value / 0x1_0000_0000);
  let low = value % 0x1_0000_0000;
  for (let i = 7; i >= 4; i--) {
    out[offset + i] = low % 256;
    low = Math.floor(low / 256);
  }
  for (let i = 3; i >= 0; i--) {
    out[offset + i] = high % 256;
    high = Math.floor(high / 256);
  }
}

/** The big-endian u64 at `offset`. @throws FormatError `integer-range` when cut short or 2^53 and more */
export function readU64(bytes: Uint8Array, offset: number): number {
  if (offset < 0 || offset + 8 > bytes.length) throw new FormatError('integer-range', 'a u64 is cut short');
  let value = 0;
  for (let i = 0; i < 8; i++) value = value * 256 + (bytes[offset + i] ?? 0);
  if (!Number.isSafeInteger(value)) throw new FormatError('integer-range', 'a u64 of 2^53 or more');
  return value;
}

/** A short, quoted form of text from outside, safe in messages. */
export function excerpt(text: string): string {
  const short = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  return JSON.stringify(short);
}

/** 32 bytes in lower-case hex. */
export const HASH_HEX = /^[0-9a-f]{64}$/;
