import { isOtsFile } from '../ots/file.ts';
import { readAtMost } from './bounded-file.ts';
import { MAX_RECEIPT_BYTES, receiptText } from './receipt-file.ts';

/** What proves something. */
export type Proof =
  | { readonly kind: 'ots'; readonly bytes: Uint8Array }
  /** Whatever is no .ots file. */
  | { readonly kind: 'receipt'; readonly text: string };

/** A receipt or an .ots file, told apart by how it begins; `-` is standard input. @throws AntequemError `file-unreadable`, `receipt-invalid` */
export async function readProof(file: string): Promise<Proof> {
  const bytes = await readAtMost(file, MAX_RECEIPT_BYTES);
  return isOtsFile(bytes) ? { kind: 'ots', bytes } : { kind: 'receipt', text: receiptText(bytes, file) };
}
