import { access } from 'node:fs/promises';
import { Command } from 'commander';
import { toHex } from '../../core/bytes.ts';
import { AntequemError } from '../../core/errors.ts';
import { MAX_BATCH_ENTRIES } from '../../core/limits.ts';
import { deliver, retryPolicy } from '../delivery.ts';
import { digestOfFile } from '../digest.ts';
import { logName, wholeNumberArgument } from '../options.ts';
import { counted, note, print, printJson, quoted } from '../output.ts';
import { writeReceipt } from '../proof-file.ts';
import { openSession } from '../session.ts';
import { fetchReceipt, hasReached, stageInWords } from '../stage.ts';
import { fileExists } from '../whole-file.ts';

interface StampFlags {
  readonly log: string;
  readonly wait: number;
  readonly force?: true;
}

/** `antequem stamp`: logs the digests of files. The files are not sent. */
export function stampCommand(): Command {
  return new Command('stamp')
    .argument('<files...>', 'the files')
    .option('--log <name>', 'name of the log; it is created if it does not exist', logName, 'stamps')
    .option(
      '--wait <seconds>',
      'wait at most this long for the receipts to become final',
      wholeNumberArgument(0, 1e6),
      60,
    )
    .option('--force', 'replace existing receipts')
    .addHelpText(
      'after',
      `
Examples:
  $ antequem stamp contract.pdf
  $ antequem stamp --log releases --wait 0 dist/*.tgz
  $ antequem upgrade contract.pdf.receipt.json      once more has been proven`,
    )
    .action(async (files: string[], flags: StampFlags, command: Command) => {
      const session = openSession(command);
      const { client } = session;
      const chosen = [...new Set(files)];
      if (chosen.length > MAX_BATCH_ENTRIES) {
        throw new AntequemError('too-many-files', `${chosen.length} files; stamp ${MAX_BATCH_ENTRIES} at a time`);
      }
      for (const file of chosen) {
        if (flags.force !== true && (await exists(receiptName(file)))) throw fileExists(receiptName(file));
      }
      const stamps: { file: string; digest: string }[] = [];
      for (const file of chosen) stamps.push({ file, digest: toHex(await digestOfFile(file)) });
      const digests = stamps.map(({ digest }) => digest);
      const { log } = flags;
      const { index } = await deliver(
        client,
        log,
        (options) => client.appendDigests(log, digests, options),
        retryPolicy(60),
      );
      note(`logged ${counted(stamps.length, 'digest', 'digests')} in ${log}, the first at index ${index}`);

      const end = Date.now() + flags.wait * 1000;
      const answers = [];
      let open = 0;
      for (const [i, stamp] of stamps.entries()) {
        const wait = Math.max(0, Math.ceil((end - Date.now()) / 1000));
        const { receipt } = await fetchReceipt(client, log, index + i, { wait, until: 'finalized' });
        if (receipt.entry.digest !== stamp.digest) {
          throw new AntequemError(
            'receipt-other-entry',
            `the service's receipt for entry ${index + i} of ${log} has another digest than ${stamp.file}; do not trust it`,
          );
        }
        await writeReceipt(receiptName(stamp.file), receipt, flags.force === true);
        const finalized = hasReached(receipt, 'finalized');
        if (!finalized) open++;
        answers.push({ ...stamp, index: index + i, receipt: receiptName(stamp.file), finalized });
        if (!session.json)
          print(`${receiptName(stamp.file)}: entry ${index + i} of ${log} is ${stageInWords(receipt)}`);
      }
      if (session.json) printJson({ log, stamps: answers });
      const sample = answers[0];
      if (sample === undefined) return;
      const next =
        open > 0 ? `upgrade ${quoted(sample.receipt)}` : `verify ${quoted(sample.file)} ${quoted(sample.receipt)}`;
      note(`next: antequem ${next}${open > 0 ? session.urlOption : ' --rpc URL'}`);
    });
}

const receiptName = (file: string): string => `${file}.receipt.json`;

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
