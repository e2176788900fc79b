// Reads a dropped proof: a receipt, an .ots file, a tlog-proof, a COSE receipt or a timestamp token.

import { sha256 } from '#sha256';
import { toHex } from '../../core/bytes.ts';
import { type CoseReceipt, isCoseMessage, parseCoseReceipt } from '../../core/cose-receipt.ts';
import { FormatError, parsed } from '../../core/errors.ts';
import { proofText } from '../../core/proof-text.ts';
import { MAX_RECEIPT_TEXT, parseReceipt, parseReceiptJson, RECEIPT_FORMAT, type Receipt } from '../../core/receipt.ts';
import { isTlogProof, type ParsedTlogProof, parseTlogProof } from '../../core/tlog-proof.ts';
import { isOtsFile, type OtsFile, parseOtsFile } from '../../ots/file.ts';
import { isTokenFile } from '../../tsa/token-file.ts';
import { looksLikeProof } from '../../verify/proof-kind.ts';

interface ProofFile {
  readonly file: File;
  readonly bytes: Uint8Array;
  /** SHA-256 of the bytes, hex. */
  readonly sha256: string;
}

/** The parsed proof for the picture; null if it breaks its format, which the verdict then explains. */
export type DroppedProof = ProofFile &
  (
    | { readonly kind: 'receipt'; readonly read: Receipt | null }
    | { readonly kind: 'ots'; readonly read: OtsFile | null }
    | { readonly kind: 'tlog-proof'; readonly read: ParsedTlogProof | null }
    | { readonly kind: 'cose'; readonly read: CoseReceipt | null }
    /** Only the verifier reads it. */
    | { readonly kind: 'token'; readonly read: null }
  );

/** Limit for every kind: a character of a receipt has at most four bytes. */
const MAX_SIZE = 4 * MAX_RECEIPT_TEXT;

/** Whether a file looks like a proof rather than the proven content. */
export async function isDroppedProof(file: File): Promise<boolean> {
  return file.size <= MAX_SIZE && looksLikeProof(new Uint8Array(await file.arrayBuffer()));
}

/** @throws FormatError if it is none of these */
export async function readDroppedProof(file: File): Promise<DroppedProof> {
  if (file.size > MAX_SIZE) throw unknown('This file is too large for a receipt or an .ots file.');
  const bytes = new Uint8Array(await file.arrayBuffer());
  const dropped = { file, bytes, sha256: toHex(sha256(bytes)) };
  if (isOtsFile(bytes)) return { kind: 'ots', ...dropped, read: parsed(() => parseOtsFile(bytes)) };
  if (isCoseMessage(bytes)) return { kind: 'cose', ...dropped, read: parsed(() => parseCoseReceipt(bytes)) };
  if (isTokenFile(bytes)) return { kind: 'token', ...dropped, read: null };
  const text = proofText(bytes);
  if (isTlogProof(text)) return { kind: 'tlog-proof', ...dropped, read: parsed(() => parseTlogProof(text)) };
  const json = parsed(() => parseReceiptJson(text));
  if (json === null)
    throw unknown('This is not a receipt (JSON), an .ots file, a tlog-proof, a COSE receipt or a timestamp token.');
  const named = typeof json === 'object' && 'format' in json && json.format === RECEIPT_FORMAT;
  if (!named) throw unknown(`This JSON does not say that it is a receipt (${RECEIPT_FORMAT}).`);
  return { kind: 'receipt', ...dropped, read: parsed(() => parseReceipt(json)) };
}

/** The digest that the proof is about; null where it names none. */
export function digestIn(proof: DroppedProof): { readonly hash: string; readonly hex: string } | null {
  if (proof.read === null) return null;
  switch (proof.kind) {
    case 'receipt':
      return { hash: 'SHA-256', hex: proof.read.entry.digest };
    case 'ots':
      return { hash: hashName(proof.read.hash), hex: toHex(proof.read.timestamp.message) };
    case 'tlog-proof':
    case 'cose':
      return null;
  }
}

/** The hash of .ots files as people write it. */
export function hashName(hash: string): string {
  return hash === 'sha256' ? 'SHA-256' : hash;
}

function unknown(message: string): FormatError {
  return new FormatError('proof-unknown', message);
}
