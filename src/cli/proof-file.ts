// Reads and writes proofs: receipts, .ots files, tlog-proofs, COSE receipts, timestamp tokens. `-` is standard input.

import { stat } from 'node:fs/promises';
import { isCoseMessage } from '../core/cose-receipt.ts';
import { AntequemError } from '../core/errors.ts';
import { proofText } from '../core/proof-text.ts';
import { MAX_RECEIPT_TEXT, parseReceiptText, type Receipt } from '../core/receipt.ts';
import { isOtsFile, type OtsFile, parseOtsFile } from '../ots/file.ts';
import { MAX_TIMESTAMP } from '../ots/serialization.ts';
import { isTokenFile } from '../tsa/token-file.ts';
import { looksLikeProof } from '../verify/proof-kind.ts';
import { readAtMost } from './bounded-file.ts';
import { writeWhole } from './whole-file.ts';

/** UTF-8 has at most three bytes for each unit of a string's length. */
export const MAX_RECEIPT_BYTES = 3 * MAX_RECEIPT_TEXT;

/** The content of a proof file. */
export type ProofFile =
  | { readonly kind: 'ots' | 'cose' | 'token'; readonly bytes: Uint8Array }
  /** Any other file. */
  | { readonly kind: 'receipt'; readonly text: string };

/** Recognizes .ots files, COSE receipts and tokens by their first bytes. @throws AntequemError `file-unreadable`, `receipt-invalid` */
export async function readProofFile(file: string): Promise<ProofFile> {
  return proofIn(await readAtMost(file, MAX_RECEIPT_BYTES), file);
}

/**
 * The proof, and the name of the file with the content: of two files that were given in the wrong order the other ones.
 * @throws AntequemError `file-unreadable`, `receipt-invalid`
 */
export async function readProofOf(
  file: string,
  name: string,
): Promise<{ readonly proof: ProofFile; readonly name: string; readonly file: string }> {
  const bytes = await readAtMost(name, MAX_RECEIPT_BYTES);
  if (looksLikeProof(bytes) || file === '-' || name === '-') return { proof: proofIn(bytes, name), name, file };
  // What is no regular file can be read only once.
  const isFile = await stat(file).then(
    (found) => found.isFile(),
    () => false,
  );
  const other = isFile ? await readAtMost(file, MAX_RECEIPT_BYTES) : new Uint8Array(0);
  if (!looksLikeProof(other)) return { proof: proofIn(bytes, name), name, file };
  return { proof: proofIn(other, file), name: file, file: name };
}

function proofIn(bytes: Uint8Array, file: string): ProofFile {
  if (isOtsFile(bytes)) return { kind: 'ots', bytes };
  if (isCoseMessage(bytes)) return { kind: 'cose', bytes };
  if (isTokenFile(bytes)) return { kind: 'token', bytes };
  if (bytes.length <= MAX_RECEIPT_BYTES) return { kind: 'receipt', text: proofText(bytes) };
  throw new AntequemError('receipt-invalid', `${file} is too large to be a receipt`);
}

/** @throws AntequemError `file-unreadable`, `receipt-invalid` */
export async function readReceiptFile(file: string): Promise<Receipt> {
  const proof = await readProofFile(file);
  if (proof.kind === 'receipt') return parseReceiptText(proof.text);
  const what = { ots: 'an .ots file', cose: 'a COSE receipt', token: 'a timestamp token' }[proof.kind];
  throw new AntequemError('receipt-invalid', `${file} is ${what}, not a receipt in JSON`);
}

/** @throws AntequemError `file-unreadable`; OtsError */
export async function readOtsFile(file: string): Promise<OtsFile> {
  return parseOtsFile(await readAtMost(file, MAX_TIMESTAMP));
}

/** Writes the file atomically. @throws AntequemError `file-exists` unless `replace`, `file-unwritable` */
export function writeReceipt(file: string, receipt: Receipt, replace: boolean): Promise<void> {
  return writeWhole(file, `${JSON.stringify(receipt, null, 2)}\n`, replace);
}
