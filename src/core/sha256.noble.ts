import { sha256 as noble } from '@noble/hashes/sha2.js';

/** SHA-256 (FIPS 180-4): 32 bytes. The form for browsers. */
export function sha256(data: Uint8Array): Uint8Array {
  return noble(data);
}

/** Writes the SHA-256 of `data` to `out` at `offset`; `data` may lie in `out`. */
export function sha256Into(data: Uint8Array, out: Uint8Array, offset: number): void {
  out.set(noble(data), offset);
}
