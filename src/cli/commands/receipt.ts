import { Command, Option } from 'commander';
import type { Stage } from '../../client/client.ts';
import { logName, wholeNumber } from '../options.ts';
import { note, printJson } from '../output.ts';
import { writeReceipt } from '../receipt-file.ts';
import { openSession } from '../session.ts';
import { fetchReceipt, hasReached, STAGES, stageInWords } from '../stage.ts';

const NOT_YET = 2;

interface ReceiptFlags {
  readonly wait?: number;
  readonly until?: Stage;
  readonly output?: string;
}

/** `antequem receipt`: the receipt of one entry, as far as it has come. */
export function receiptCommand(): Command {
  return new Command('receipt')
    .description('fetch the receipt of an entry: the proof of when and where it was logged')
    .argument('<log>', 'name of the log', logName)
    .argument('<index>', 'index of the entry, from 0', wholeNumber(0, Number.MAX_SAFE_INTEGER))
    .option(
      '--wait <seconds>',
      'hold on for the stage at most so long (default: 0; with --until 60)',
      wholeNumber(0, 1e6),
    )
    .addOption(new Option('--until <stage>', 'the stage to wait for (default: finalized)').choices(STAGES))
    .option('-o, --output <file>', 'write it to a file, in place of one that is there')
    .addHelpText(
      'after',
      `
Exit codes: 0, or 2 where --until was given and the stage was not reached in time; the receipt is written all the same.

Examples:
  $ antequem receipt demo 12
  $ antequem receipt demo 12 --until finalized --wait 120 -o demo-12.receipt.json`,
    )
    .action(async (log: string, index: number, flags: ReceiptFlags, command: Command) => {
      const { client, json } = openSession(command);
      const until = flags.until ?? 'finalized';
      const wait = flags.wait ?? (flags.until === undefined ? 0 : 60);
      const receipt = await fetchReceipt(client, log, index, { wait, until });
      const reached = hasReached(receipt, until);
      if (!reached && flags.until !== undefined) process.exitCode = NOT_YET;
      if (flags.output === undefined) {
        printJson(receipt);
      } else {
        await writeReceipt(flags.output, receipt, true);
        if (json) printJson({ log, index, file: flags.output, until, reached });
      }
      const where = flags.output === undefined ? '' : `${flags.output}: `;
      const expected = !reached && receipt.expectedBy !== undefined ? `; expected by ${receipt.expectedBy}` : '';
      note(`${where}entry ${index} of ${log} is ${stageInWords(receipt)}${expected}`);
    });
}
