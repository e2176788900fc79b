import { Buffer } from 'node:buffer';
import { hash } from 'node:crypto';

// A string result of the one-shot hash, written back as latin1, is four times as fast as its Buffer result or
// createHash (65-byte inputs, Node 24: 4.0 against 0.94 and 0.83 million a second on one core).

/** SHA-256 (FIPS 180-4): 32 bytes. */
export function sha256(data: Uint8Array): Uint8Array {
  const out = new Uint8Array(32);
  sha256Into(data, out, 0);
  return out;
}

/** Writes the SHA-256 of `data` to `out` at `offset`; `data` may lie in `out`. */
export function sha256Into(data: Uint8Array, out: Uint8Array, offset: number): void {
  const target = Buffer.isBuffer(out) ? out : Buffer.from(out.buffer, out.byteOffset, out.byteLength);
  target.write(hash('sha256', data, 'binary'), offset, 32, 'latin1');
}
