import { fromHex } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import type { Receipt } from '../core/receipt.ts';
import { mergeReceipt } from '../core/receipt-merge.ts';
import { openMirror } from './mirror-audit.ts';
import { note, printJson } from './output.ts';
import { readReceiptFile, writeReceipt } from './proof-file.ts';
import { stageInWords } from './stage.ts';

export interface MirrorReceiptFlags {
  readonly mirror?: string;
  readonly digest?: Uint8Array;
  readonly nonce?: Uint8Array;
  readonly receipt?: string;
  readonly output?: string;
}

/** Builds a receipt from a mirror and the entry's digest and nonce, which the mirror does not have. */
export async function mirrorReceipt(
  mirror: string,
  log: string,
  index: number,
  flags: MirrorReceiptFlags,
): Promise<void> {
  const { composeReceipt, consistencyOf, withNewerAnchors } = await import('../audit/remote/receipt.ts');
  const source = await openMirror(mirror);
  const old = flags.receipt === undefined ? null : await readReceiptFile(flags.receipt);
  const secret = secretOf(old, flags);
  const composed = await composeReceipt(source, log, index, secret);
  let receipt = composed;
  if (old !== null) {
    const consistency = await consistencyOf(source, log, old.inclusion.treeSize, composed.inclusion.treeSize);
    const merged = mergeReceipt(old, composed, consistency);
    if (merged.equivocation !== null) {
      throw new AntequemError(
        'equivocation',
        `${merged.equivocation} Keep the receipt and the mirror: together they are the evidence`,
      );
    }
    receipt = await withNewerAnchors(source, merged.receipt);
  }
  if (flags.output === undefined) printJson(receipt);
  else await writeReceipt(flags.output, receipt, true);
  const stage = 'round' in receipt ? stageInWords(receipt) : 'logged; its round is not in the mirror';
  const where = flags.output === undefined ? '' : `${flags.output}: `;
  note(`${where}entry ${index} of ${log} is ${stage}, by the mirror ${mirror}`);
  source.close();
}

function secretOf(
  old: Receipt | null,
  { digest, nonce }: MirrorReceiptFlags,
): { readonly digest: Uint8Array; readonly nonce: Uint8Array } {
  if (old !== null && digest === undefined && nonce === undefined) {
    return { digest: fromHex(old.entry.digest), nonce: fromHex(old.entry.nonce) };
  }
  if (old === null && digest !== undefined) return { digest, nonce: nonce ?? new Uint8Array(0) };
  throw new AntequemError(
    'arguments-invalid',
    'with --mirror give --digest and --nonce, or an older receipt with --receipt: the mirror does not have them',
  );
}
