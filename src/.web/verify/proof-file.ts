// What was dropped as the proof: a receipt, or an .ots file.

import { FormatError } from '../../core/errors.ts';
import { MAX_RECEIPT_TEXT, parseReceipt, type Receipt } from '../../core/receipt.ts';
import { isOtsFile, type OtsFile, parseOtsFile } from '../../ots/file.ts';

export type Proof =
  /** `receipt` is null where the JSON breaks the format: the verdict says how. */
  | { readonly kind: 'receipt'; readonly file: File; readonly json: unknown; readonly receipt: Receipt | null }
  | { readonly kind: 'ots'; readonly file: File; readonly bytes: Uint8Array; readonly ots: OtsFile | null };

/** Beyond it neither is read. */
const MAX_OTS = 262_144;
const MAX_SIZE = Math.max(4 * MAX_RECEIPT_TEXT, MAX_OTS);

/** Whether a file looks like a proof rather than like what is proven: by how it begins. */
export async function looksLikeProof(file: File): Promise<boolean> {
  if (file.size > MAX_SIZE) return false;
  const head = new Uint8Array(await file.slice(0, 31).arrayBuffer());
  if (isOtsFile(head)) return true;
  return head[0] === 0x7b && (await file.text()).includes('"antequem-receipt/v1"');
}

/** @throws FormatError where it is neither */
export async function readProof(file: File): Promise<Proof> {
  if (file.size > MAX_SIZE)
    throw new FormatError('proof-size', 'This file is too large for a receipt or an .ots file.');
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (isOtsFile(bytes)) return { kind: 'ots', file, bytes, ots: formatOrNull(() => parseOtsFile(bytes)) };
  const text = new TextDecoder().decode(bytes);
  if (text.length > MAX_RECEIPT_TEXT) throw new FormatError('proof-size', 'This file is too large for a receipt.');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new FormatError('proof-unknown', 'This is neither a receipt (JSON) nor an .ots file.');
  }
  const named = typeof json === 'object' && json !== null && 'format' in json && json.format === 'antequem-receipt/v1';
  if (!named)
    throw new FormatError('proof-unknown', 'This JSON does not say that it is a receipt (antequem-receipt/v1).');
  return { kind: 'receipt', file, json, receipt: formatOrNull(() => parseReceipt(json)) };
}

function formatOrNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}
