import { Command } from 'commander';
import * as z from 'zod';
import type { Client } from '../../client/client.ts';
import { AntequemError } from '../../core/errors.ts';
import { mergeReceipt, type Receipt } from '../../core/receipt.ts';
import { wholeNumber } from '../options.ts';
import { note, print, printJson } from '../output.ts';
import { readReceipt, writeReceipt } from '../receipt-file.ts';
import { openSession } from '../session.ts';
import { fetchReceipt, hasReached, stageInWords } from '../stage.ts';

const consistencyProof = z.object({ path: z.array(z.string()).max(128) });

/** `antequem upgrade`: an older receipt gains what was proven since. */
export function upgradeCommand(): Command {
  return new Command('upgrade')
    .description('bring a receipt up to date with what the service has proven since; the file is replaced')
    .argument('<receipt>', 'file of the receipt')
    .option('--wait <seconds>', 'hold on so long at most until it is final', wholeNumber(0, 1e6), 0)
    .addHelpText(
      'after',
      `
The entry stays as it is. What the receipt says of its log is replaced only where a consistency proof ties old and new
together; otherwise the file is left alone, the service's answer is kept beside it as RECEIPT.conflict.json, and the
exit code is 1: the two together are evidence that the log was forked.

Examples:
  $ antequem upgrade contract.pdf.receipt.json
  $ antequem upgrade r.json --wait 120`,
    )
    .action(async (file: string, flags: { readonly wait: number }, command: Command) => {
      const { client, json } = openSession(command);
      const old = await readReceipt(file);
      const log = logOf(old);
      const fresh = await fetchReceipt(client, log, old.entry.index, { wait: flags.wait, until: 'finalized' });
      const merged = mergeReceipt(old, fresh, await consistency(client, log, old, fresh));
      if (merged.equivocation !== null) {
        const evidence = `${file}.conflict.json`;
        await writeReceipt(evidence, fresh, true);
        throw new AntequemError(
          'equivocation',
          `${merged.equivocation} Keep ${file} and ${evidence}: together they are the evidence`,
        );
      }
      const changed = JSON.stringify(merged.receipt) !== JSON.stringify(old);
      if (changed) await writeReceipt(file, merged.receipt, true);
      const state = stageInWords(merged.receipt);
      if (json) printJson({ file, changed, finalized: hasReached(merged.receipt, 'finalized') });
      else print(`${file}: ${changed ? 'upgraded' : 'nothing new'}, entry ${old.entry.index} of ${log} is ${state}`);
      if (merged.receipt.expectedBy !== undefined) note(`more is expected by ${merged.receipt.expectedBy}`);
    });
}

/** The name under which the service knows the log of a receipt. */
function logOf(receipt: Receipt): string {
  const { log } = receipt.entry;
  return log.slice(log.lastIndexOf('/logs/') + '/logs/'.length);
}

async function consistency(
  client: Client,
  log: string,
  old: Receipt,
  fresh: Receipt,
): Promise<{ path: string[] } | null> {
  const sizes = [old.inclusion.treeSize, fresh.inclusion.treeSize].sort((a, b) => a - b);
  const [from = 0, to = 0] = sizes;
  if (from === to) return null;
  const proof = consistencyProof.safeParse(await client.consistency(log, from, to));
  return proof.success ? proof.data : null;
}
