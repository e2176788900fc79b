// Files made by hand, and what the codec says of them.

import { concat, fromHex } from '../../src/core/bytes.ts';
import { OtsError } from '../../src/ots/error.ts';
import { parseOtsFile } from '../../src/ots/file.ts';

export const HEADER = fromHex('004f70656e54696d657374616d7073000050726f6f6600bf89e2e884e89294');
export const DIGEST = new Uint8Array(32).fill(7);
/** An attestation of Bitcoin block 5. */
export const BLOCK = fromHex('000588960d73d719010105');
export const PENDING_TAG = fromHex('83dfe30d2ef90c8e');

export const bytes = (...values: number[]): Uint8Array => new Uint8Array(values);
/** A file with this tree. */
export const file = (...tree: Uint8Array[]): Uint8Array => concat(HEADER, bytes(0x01, 0x08), DIGEST, ...tree);
/** Where the tree of such a file begins. */
export const TREE = file().length;

/** Why an input is not taken, null if it is; any other failure than an OtsError of due form fails the test. */
export function refusal(input: Uint8Array, parse: (input: Uint8Array) => void = parseOtsFile): OtsError | null {
  try {
    parse(input);
    return null;
  } catch (error) {
    if (!(error instanceof OtsError)) throw error;
    // Plain comparisons: this runs hundreds of thousands of times.
    const { code, offset, message } = error;
    const inside = Number.isSafeInteger(offset) && offset >= 0 && offset <= input.length;
    if (!/^ots-[a-z-]+$/.test(code) || !inside || !message.startsWith(`byte ${offset}: `)) {
      throw new Error(`an OtsError not of due form: ${code} at ${offset}: ${message}`);
    }
    return error;
  }
}

export const refused = (input: Uint8Array): string => {
  const error = refusal(input);
  return error === null ? 'taken' : `${error.code} at ${error.offset}`;
};
