// What was dropped as the proof: a receipt, an .ots file or a tlog-proof.

import { FormatError } from '../../core/errors.ts';
import { MAX_RECEIPT_TEXT, parseReceipt, parseReceiptJson, RECEIPT_FORMAT, type Receipt } from '../../core/receipt.ts';
import { isTlogProof, type ParsedTlogProof, parseTlogProof } from '../../core/tlog-proof.ts';
import { isOtsFile, type OtsFile, parseOtsFile } from '../../ots/file.ts';

interface ProofFile {
  readonly file: File;
  readonly bytes: Uint8Array;
}

/** What is read of it is for the picture, null where it breaks its format: then the verdict says how. */
export type DroppedProof = ProofFile &
  (
    | { readonly kind: 'receipt'; readonly read: Receipt | null }
    | { readonly kind: 'ots'; readonly read: OtsFile | null }
    | { readonly kind: 'tlog-proof'; readonly read: ParsedTlogProof | null }
  );

/** Of any of them: a character of a receipt has four bytes at most. */
const MAX_SIZE = 4 * MAX_RECEIPT_TEXT;

/** Whether a file says that it is a proof, rather than what is proven. */
export async function looksLikeProof(file: File): Promise<boolean> {
  if (file.size > MAX_SIZE) return false;
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (isOtsFile(bytes)) return true;
  const text = new TextDecoder().decode(bytes);
  return isTlogProof(text) || (text.trimStart().startsWith('{') && text.includes(`"${RECEIPT_FORMAT}"`));
}

/** @throws FormatError where it is none of them */
export async function readDroppedProof(file: File): Promise<DroppedProof> {
  if (file.size > MAX_SIZE) throw unknown('This file is too large for a receipt or an .ots file.');
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (isOtsFile(bytes)) return { kind: 'ots', file, bytes, read: orNull(() => parseOtsFile(bytes)) };
  const text = new TextDecoder().decode(bytes);
  if (isTlogProof(text)) return { kind: 'tlog-proof', file, bytes, read: orNull(() => parseTlogProof(text)) };
  const json = orNull(() => parseReceiptJson(text));
  if (json === null) throw unknown('This is neither a receipt (JSON) nor an .ots file nor a tlog-proof.');
  const named = typeof json === 'object' && 'format' in json && json.format === RECEIPT_FORMAT;
  if (!named) throw unknown(`This JSON does not say that it is a receipt (${RECEIPT_FORMAT}).`);
  return { kind: 'receipt', file, bytes, read: orNull(() => parseReceipt(json)) };
}

function unknown(message: string): FormatError {
  return new FormatError('proof-unknown', message);
}

function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}
