import { Command } from 'commander';
import * as z from 'zod';
import type { Client } from '../../client/client.ts';
import { AntequemError } from '../../core/errors.ts';
import { knownAnchors, parseReceiptText, type Receipt } from '../../core/receipt.ts';
import { mergeReceipt } from '../../core/receipt-merge.ts';
import { httpUrl, repeated, wholeNumberArgument } from '../options.ts';
import { upgradeOts } from '../ots-upgrade.ts';
import { note, print, printJson } from '../output.ts';
import { readProofFile, readReceiptFile, writeReceipt } from '../proof-file.ts';
import { type GlobalOptions, openSession } from '../session.ts';
import { fetchReceipt, hasReached, stageInWords } from '../stage.ts';

const consistencyProof = z.object({ path: z.array(z.string()).max(128) });

interface UpgradeFlags {
  readonly wait?: number;
  readonly calendar?: string[];
}

/** `antequem upgrade`: adds newer proofs to a receipt or an .ots file. */
export function upgradeCommand(): Command {
  return new Command('upgrade')
    .argument('<file>', 'a receipt, or an OpenTimestamps file from any source')
    .option(
      '--wait <seconds>',
      'for a receipt: wait at most this long for it to become final',
      wholeNumberArgument(0, 1e6),
    )
    .option(
      '--calendar <url>',
      'for an .ots file: a calendar to ask besides the well-known public ones; may be repeated',
      repeated(httpUrl),
    )
    .addHelpText(
      'after',
      `
The service provides the newer receipt. The entry never changes. The inclusion proof and the checkpoint are replaced
only if a consistency proof connects the old and the new tree. Otherwise the file stays unchanged, the service's answer
is saved beside it as RECEIPT.conflict.json, and the exit code is 1: together the two files prove that the log forked.
If an anchor is in another block now, the receipt of before is kept as RECEIPT.bak.

An .ots file is completed by asking calendars that it names, if they are at *.calendar.opentimestamps.org,
*.calendar.eternitywall.com or *.calendar.catallaxy.com, or given with --calendar. The old file is kept as
FILE.ots.bak. Exit codes: 0 the file names a Bitcoin block (verify checks whether it is right), 2 not yet, 1 failed.

Examples:
  $ antequem upgrade contract.pdf.receipt.json
  $ antequem upgrade r.json --wait 120
  $ antequem upgrade contract.pdf.ots
  $ antequem upgrade demo-0.regtest.ots --calendar http://127.0.0.1:14788`,
    )
    .action(async (file: string, { wait, calendar }: UpgradeFlags, command: Command) => {
      const proof = await readProofFile(file);
      if (proof.kind === 'cose' || proof.kind === 'token') {
        const says = `a ${proof.kind === 'cose' ? 'COSE receipt' : 'token'} is not upgraded: fetch it anew with antequem receipt`;
        throw new AntequemError('arguments-invalid', says);
      }
      if (proof.kind === 'ots' ? wait !== undefined : calendar !== undefined) {
        throw new AntequemError('arguments-invalid', '--wait is for receipts, --calendar for .ots files');
      }
      if (proof.kind === 'receipt') return upgradeReceipt(file, parseReceiptText(proof.text), wait ?? 0, command);
      if (file === '-') throw new AntequemError('arguments-invalid', 'name the file: it is completed in place');
      const { json } = command.optsWithGlobals<GlobalOptions>();
      await upgradeOts({ file, bytes: proof.bytes, calendars: calendar ?? [], json: json === true });
    });
}

async function upgradeReceipt(file: string, old: Receipt, wait: number, command: Command): Promise<void> {
  const { client, json } = openSession(command);
  const log = logOf(old);
  const { receipt: fresh } = await fetchReceipt(client, log, old.entry.index, { wait, until: 'finalized' });
  const merged = mergeReceipt(old, fresh, await consistency(client, log, old, fresh));
  if (merged.equivocation !== null) {
    const evidence = await keepEvidence(file, fresh);
    throw new AntequemError(
      'equivocation',
      `${merged.equivocation} Keep ${file} and ${evidence}: together they are the evidence`,
    );
  }
  const changed = JSON.stringify(merged.receipt) !== JSON.stringify(old);
  const moved = movedBlocks(old, merged.receipt);
  if (moved.length > 0) await writeReceipt(`${file}.bak`, old, true);
  if (changed) await writeReceipt(file, merged.receipt, true);
  const state = stageInWords(merged.receipt);
  if (json) printJson({ file, changed, finalized: hasReached(merged.receipt, 'finalized') });
  else print(`${file}: ${changed ? 'upgraded' : 'nothing new'}, entry ${old.entry.index} of ${log} is ${state}`);
  for (const block of moved)
    note(`the anchor in ${block} is in another block now: the receipt of before is kept as ${file}.bak`);
  if (merged.receipt.expectedBy !== undefined) note(`more is expected by ${merged.receipt.expectedBy}`);
}

/** Blocks that hold an anchor by the older receipt and not by the newer one: the chain was reorganized or started anew. */
function movedBlocks(old: Receipt, fresh: Receipt): string[] {
  const blocks = (receipt: Receipt): { chain: string; number: number; hash: string }[] =>
    knownAnchors(receipt).flatMap((anchor) =>
      anchor.type === 'evm' && anchor.status !== 'submitted' ? [{ chain: anchor.chain, ...anchor.block }] : [],
    );
  const now = new Set(blocks(fresh).map(({ hash }) => hash));
  return blocks(old).flatMap(({ chain, number, hash }) => (now.has(hash) ? [] : [`block ${number} of ${chain}`]));
}

/** Never overwrites the evidence of earlier contradictions. @returns the name of the new file */
async function keepEvidence(file: string, receipt: Receipt): Promise<string> {
  for (let n = 1; ; n++) {
    const evidence = `${file}.conflict${n === 1 ? '' : `-${n}`}.json`;
    try {
      await writeReceipt(evidence, receipt, false);
      return evidence;
    } catch (error) {
      if (!(error instanceof AntequemError) || error.code !== 'file-exists' || n === 1_000) throw error;
      if (JSON.stringify(await readReceiptFile(evidence)) === JSON.stringify(receipt)) return evidence;
    }
  }
}

/** The service's name for the log of a receipt. */
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
