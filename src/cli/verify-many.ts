import { AntequemError } from '../core/errors.ts';
import { MAX_ENTRY_BYTES } from '../core/limits.ts';
import { exitCode } from '../core/verdict.ts';
import type { ReceiptAnswer, Trust, VerifyInput } from '../verify/verify.ts';
import { counted, note, print, printJsonLine } from './output.ts';
import { MAX_RECEIPT_BYTES } from './proof-file.ts';
import { fileLines, textFileLines } from './text-lines.ts';
import { headline } from './verdict-text.ts';

export interface ManyReceipts {
  /** A file with a receipt on each line, `-` for standard input. */
  readonly receipts: string;
  /** A file with the content of each receipt, one a line; null without content. */
  readonly content: string | null;
  readonly trust: Trust;
  readonly json: boolean;
}

/**
 * Verifies receipts line by line: prints those that are not proven, and the count of each result.
 * @returns 1 if a line is refuted or not a receipt, else 2 if one is unproven, else 0
 * @throws AntequemError `lines-differ` if the numbers of lines differ, `receipts-missing` if there is no receipt
 */
export async function verifyMany(many: ManyReceipts): Promise<0 | 1 | 2> {
  const { verifyReceipts } = await import('../verify/verify.ts');
  const counts = { proven: 0, unproven: 0, refuted: 0 };
  let line = 0;
  for await (const answer of verifyReceipts(inputs(many), many.trust)) {
    line++;
    const result = 'verdict' in answer ? answer.verdict.result : 'refuted';
    counts[result]++;
    if (many.json) printJsonLine({ line, ...('verdict' in answer ? answer : { error: answer.error.message }) });
    else if (result !== 'proven') print(`${line}: ${told(answer)}`);
  }
  if (line === 0) throw new AntequemError('receipts-missing', `${many.receipts} contains no receipt`);
  note(
    `${counted(line, 'receipt', 'receipts')}: ${counts.proven} proven, ${counts.unproven} unproven, ${counts.refuted} refuted`,
  );
  if (counts.refuted > 0) return exitCode({ result: 'refuted' });
  return exitCode({ result: counts.unproven > 0 ? 'unproven' : 'proven' });
}

function told(answer: ReceiptAnswer): string {
  return 'verdict' in answer ? headline(answer.verdict) : answer.error.message;
}

async function* inputs({ receipts, content }: ManyReceipts): AsyncGenerator<VerifyInput, void, undefined> {
  const payloads = content === null ? null : fileLines(content, MAX_ENTRY_BYTES);
  const differ = (which: string): AntequemError =>
    new AntequemError(
      'lines-differ',
      `${receipts} and ${content} have different numbers of lines: ${which} ends first`,
    );
  for await (const line of textFileLines(receipts, MAX_RECEIPT_BYTES)) {
    const payload = await payloads?.next();
    if (payload?.done === true) throw differ(String(content));
    yield {
      receipt: line.toString().replace(/^\uFEFF/, ''),
      ...(payload === undefined ? {} : { payload: payload.value }),
    };
  }
  if (payloads !== null && (await payloads.next()).done !== true) throw differ(receipts);
}
