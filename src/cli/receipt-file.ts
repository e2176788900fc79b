import { link, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { AntequemError } from '../core/errors.ts';
import { MAX_RECEIPT_TEXT, parseReceiptText, type Receipt } from '../core/receipt.ts';
import { reason } from './session.ts';

/** The text of a receipt file; `-` is standard input. @throws AntequemError `file-unreadable`, `receipt-invalid` */
export async function readReceiptText(file: string): Promise<string> {
  try {
    if (file === '-') return await text(process.stdin);
    // UTF-8 has at most three bytes for each unit of a string's length.
    if ((await stat(file)).size <= 3 * MAX_RECEIPT_TEXT) return await readFile(file, 'utf8');
  } catch (cause) {
    throw new AntequemError('file-unreadable', `cannot read ${file}: ${reason(cause)}`, { cause });
  }
  throw new AntequemError('receipt-invalid', `${file} is too large to be a receipt`);
}

export async function readReceipt(file: string): Promise<Receipt> {
  return parseReceiptText(await readReceiptText(file));
}

async function text(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let out = '';
  for await (const chunk of stream) {
    out += decoder.decode(chunk, { stream: true });
    if (out.length > MAX_RECEIPT_TEXT) break;
  }
  return out;
}

/**
 * Writes a receipt so that a crash leaves the file whole, old or new.
 * @throws AntequemError `file-exists` unless `replace`, `file-unwritable`
 */
export async function writeReceipt(file: string, receipt: Receipt, replace: boolean): Promise<void> {
  const draft = `${file}.${process.pid}.tmp`;
  try {
    const handle = await open(draft, 'wx');
    try {
      await handle.writeFile(`${JSON.stringify(receipt, null, 2)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (replace) await rename(draft, file);
    else await link(draft, file);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') throw fileExists(file);
    throw new AntequemError('file-unwritable', `cannot write ${file}: ${reason(cause)}`, { cause });
  } finally {
    await rm(draft, { force: true });
  }
}

export function fileExists(file: string): AntequemError {
  return new AntequemError('file-exists', `${file} exists already; move it away, or replace it with --force`);
}
