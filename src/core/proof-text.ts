import { isTlogProof } from './tlog-proof.ts';

/**
 * The text in the bytes of a receipt or tlog-proof: UTF-8, or UTF-16 as some shells of Windows write it, without its byte
 * order mark. In a tlog-proof, whose format has no carriage returns, line ends of Windows become newlines. Bytes that are
 * not text become replacement characters, which break every format.
 */
export function proofText(bytes: Uint8Array): string {
  const text = new TextDecoder(encodingOf(bytes)).decode(bytes);
  const withNewlines = text.replaceAll('\r\n', '\n');
  return isTlogProof(withNewlines) ? withNewlines : text;
}

/**
 * The encoding of a text by its first two bytes. Receipts and tlog-proofs begin with an ASCII character: a zero byte in it
 * tells UTF-16 without a mark.
 */
export function encodingOf([first, second]: Uint8Array): 'utf-8' | 'utf-16le' | 'utf-16be' {
  if (second !== undefined && ((first === 0xff && second === 0xfe) || (first !== 0 && second === 0))) return 'utf-16le';
  if (second !== undefined && ((first === 0xfe && second === 0xff) || (first === 0 && second !== 0))) return 'utf-16be';
  return 'utf-8';
}
