import { AntequemError } from '../core/errors.ts';
import { MAX_RECEIPT_TEXT, parseReceiptText, type Receipt } from '../core/receipt.ts';
import { readAtMost } from './bounded-file.ts';
import { writeWhole } from './whole-file.ts';

/** UTF-8 has at most three bytes for each unit of a string's length. */
export const MAX_RECEIPT_BYTES = 3 * MAX_RECEIPT_TEXT;

/** A receipt; `-` is standard input. @throws AntequemError `file-unreadable`, `receipt-invalid` */
export async function readReceipt(file: string): Promise<Receipt> {
  return parseReceiptText(receiptText(await readAtMost(file, MAX_RECEIPT_BYTES), file));
}

/** @throws AntequemError `receipt-invalid` */
export function receiptText(bytes: Uint8Array, file: string): string {
  if (bytes.length <= MAX_RECEIPT_BYTES) return new TextDecoder().decode(bytes);
  throw new AntequemError('receipt-invalid', `${file} is too large to be a receipt`);
}

/** Writes it so that a crash leaves the file whole. @throws AntequemError `file-exists` unless `replace`, `file-unwritable` */
export function writeReceipt(file: string, receipt: Receipt, replace: boolean): Promise<void> {
  return writeWhole(file, `${JSON.stringify(receipt, null, 2)}\n`, replace);
}
