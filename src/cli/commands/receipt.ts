import { Command, Option } from 'commander';
import type { Client, Stage } from '../../client/client.ts';
import { retrying } from '../../client/retry.ts';
import { toHex } from '../../core/bytes.ts';
import { parseCoseReceipt } from '../../core/cose-receipt.ts';
import { AntequemError } from '../../core/errors.ts';
import type { Receipt } from '../../core/receipt.ts';
import { parseTlogProof } from '../../core/tlog-proof.ts';
import { parseOtsFile } from '../../ots/file.ts';
import { retryPolicy } from '../delivery.ts';
import { type MirrorReceiptFlags, mirrorReceipt } from '../mirror-receipt.ts';
import { digest, logName, nonce, wholeNumberArgument } from '../options.ts';
import { counted, note, print, printJson } from '../output.ts';
import { writeReceipt } from '../proof-file.ts';
import { openSession } from '../session.ts';
import { fetchReceipt, STAGES, stageInWords } from '../stage.ts';
import { writeWhole } from '../whole-file.ts';

const NOT_YET = 2;

interface ReceiptFlags extends MirrorReceiptFlags {
  readonly wait?: number;
  readonly until?: Stage;
  readonly output?: string;
  readonly tlogProof?: boolean;
  readonly ots?: boolean;
  readonly format?: Format;
  readonly authority?: string;
  /** Commander's `--without-entry`. */
  readonly withoutEntry?: boolean;
}

const FORMATS = ['json', 'ots', 'tlog-proof', 'cose', 'tsr'] as const;
type Format = (typeof FORMATS)[number];

/** `antequem receipt`: fetches the current receipt of one entry. */
export function receiptCommand(): Command {
  return new Command('receipt')
    .argument('<log>', 'name of the log', logName)
    .argument('<index>', 'index of the entry, from 0', wholeNumberArgument(0, Number.MAX_SAFE_INTEGER))
    .option(
      '--wait <seconds>',
      'wait at most this long for the stage (default: 0; with --until 60)',
      wholeNumberArgument(0, 1e6),
    )
    .addOption(
      new Option('--until <stage>', 'the stage to wait for (default: finalized; with --ots bitcoin)').choices(STAGES),
    )
    .option('-o, --output <file>', 'write it to this file, replacing it if it exists')
    .addOption(
      new Option(
        '--format <format>',
        'json (the default), ots: an OpenTimestamps file (implied by -o x.ots), tlog-proof: only its place in the log, as a ' +
          'C2SP tlog-proof, cose: the same as a COSE receipt (implied by -o x.cose), tsr: the response of a timestamp ' +
          'authority (RFC 3161) for openssl (implied by -o x.tsr)',
      ).choices(FORMATS),
    )
    .option('--ots', 'the same as --format ots')
    .option('--tlog-proof', 'the same as --format tlog-proof')
    .option('--without-entry', 'with cose: without the entry and its nonce, which antequem verify needs')
    .option(
      '--authority <name>',
      'with tsr: whose token, by the name that the service has for it; by default the earliest',
    )
    .option(
      '--mirror <dir|url>',
      'build it from a mirror or a public archive instead of the service; needs the digest and nonce',
    )
    .option('--digest <hex>', 'with --mirror: SHA-256 of the payload', digest)
    .option('--nonce <hex>', 'with --mirror: the nonce of the entry; omit it for a log that is not blinded', nonce)
    .option('--receipt <file>', 'with --mirror: an older receipt of the entry, which contains both')
    .addHelpText(
      'after',
      `
stored: a contract can be asked about the entry (antequem path), as soon as the root of its round or of a later one is stored.

Exit codes: 0, or 2 where --until was given and the stage was not reached in time; the receipt is written all the same.

Examples:
  $ antequem receipt demo 12
  $ antequem receipt demo 12 --until finalized --wait 120 -o demo-12.receipt.json
  $ antequem receipt demo 12 --until bitcoin -o line.txt.ots
  $ antequem receipt demo 12 --tlog-proof -o demo-12.tlog-proof
  $ antequem receipt demo 12 --format cose -o demo-12.cose
  $ antequem receipt demo 12 --format tsr --until stamped -o demo-12.tsr
  $ antequem receipt demo 12 --mirror mirror --receipt demo-12.receipt.json -o newer.json`,
    )
    .action(async (log: string, index: number, flags: ReceiptFlags, command: Command) => {
      if (flags.mirror !== undefined) return mirrorReceipt(flags.mirror, log, index, flags);
      const { client, json } = openSession(command);
      const format = formatOf(flags);
      if (format === 'tlog-proof') return writeProof(client, log, index, flags, json);
      if (format === 'cose') return writeCose(client, log, index, flags, json);
      if (format === 'tsr') return writeToken(client, log, index, flags, json);
      const ots = format === 'ots';
      if (ots && flags.output === undefined && (json || process.stdout.isTTY)) {
        throw new AntequemError('arguments-invalid', 'an .ots file is binary: name a file with -o');
      }
      const until = flags.until ?? (ots ? 'bitcoin' : 'finalized');
      const wait = flags.wait ?? (flags.until === undefined ? 0 : 60);
      const { receipt, reached } = await fetchReceipt(client, log, index, { wait, until });
      if (!reached && flags.until !== undefined) process.exitCode = NOT_YET;
      if (ots) {
        const file = await fetchOts(client, log, receipt);
        if (flags.output === undefined) process.stdout.write(file);
        else await writeWhole(flags.output, file, true);
        if (json) printJson({ log, index, file: flags.output, until, reached });
      } else if (flags.output === undefined) {
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

/** @throws AntequemError `arguments-invalid` if several were asked for */
function formatOf({ format, ots, tlogProof, output = '' }: ReceiptFlags): Format {
  const asked = new Set<Format>([
    ...(format === undefined ? [] : [format]),
    ...(ots === true ? (['ots'] as const) : []),
    ...(tlogProof === true ? (['tlog-proof'] as const) : []),
  ]);
  if (asked.size > 1) throw new AntequemError('arguments-invalid', `give one format, not ${[...asked].join(' and ')}`);
  const [one] = asked;
  return one ?? (['ots', 'cose', 'tsr'] as const).find((each) => output.endsWith(`.${each}`)) ?? 'json';
}

/** @throws OtsError; AntequemError `receipt-other-entry` if the file has another digest than the receipt */
async function fetchOts(client: Client, log: string, { entry }: Receipt): Promise<Uint8Array> {
  const bytes = await retrying(() => client.receiptOts(log, entry.index), retryPolicy(5));
  const { hash, timestamp } = parseOtsFile(bytes);
  if (hash === 'sha256' && toHex(timestamp.message) === entry.digest) return bytes;
  throw new AntequemError(
    'receipt-other-entry',
    `the service's .ots file for entry ${entry.index} of ${log} has another digest than its receipt; do not trust it`,
  );
}

/** Waits for a token, by default not at all. */
async function writeToken(
  client: Client,
  log: string,
  index: number,
  { output, authority, wait, until }: ReceiptFlags,
  json: boolean,
): Promise<void> {
  if (output === undefined && (json || process.stdout.isTTY)) {
    throw new AntequemError('arguments-invalid', 'a response is binary: name a file with -o');
  }
  const hold = { wait: wait ?? (until === undefined ? 0 : 60), until: until ?? 'stamped' } as const;
  const { receipt } = await fetchReceipt(client, log, index, hold);
  const response = await retrying(() => client.receiptTsr(log, index, authority), retryPolicy(5));
  if (output === undefined) process.stdout.write(response);
  else await writeWhole(output, response, true);
  if (json) printJson({ log, index, file: output, authority: authority ?? null });
  const root = 'round' in receipt ? receipt.round.root : '';
  note(`the token is over the root of the round: openssl ts -verify -digest ${root} -in FILE -CAfile CA`);
}

/** Never waits: an entry has its place in the log from the start. */
async function writeProof(
  client: Client,
  log: string,
  index: number,
  { output, wait, until }: ReceiptFlags,
  json: boolean,
): Promise<void> {
  if (wait !== undefined || until !== undefined) {
    throw new AntequemError('arguments-invalid', 'a tlog-proof does not take --wait or --until');
  }
  const text = await retrying(() => client.tlogProof(log, index), retryPolicy(5));
  const { head, note: checkpoint } = parseTlogProof(text);
  const witnesses = checkpoint.signatures.filter(({ name }) => name !== head.origin).length;
  if (output === undefined) {
    print(json ? JSON.stringify({ log, index, proof: text }) : text.trimEnd());
  } else {
    await writeWhole(output, text, true);
    if (json) printJson({ log, index, file: output, treeSize: head.size, witnesses });
  }
  const where = output === undefined ? '' : `${output}: `;
  const signed = counted(witnesses, 'witness has signed', 'witnesses have signed');
  note(`${where}entry ${index} of ${log} in its tree of ${head.size}, which ${signed}`);
}

/** Never waits, either. @throws AntequemError `receipt-other-entry` if the receipt is of another entry */
async function writeCose(
  client: Client,
  log: string,
  index: number,
  { output, wait, until, withoutEntry }: ReceiptFlags,
  json: boolean,
): Promise<void> {
  if (wait !== undefined || until !== undefined) {
    throw new AntequemError('arguments-invalid', '--format cose does not take --wait or --until');
  }
  if (output === undefined && (json || process.stdout.isTTY)) {
    throw new AntequemError('arguments-invalid', 'a COSE receipt is binary: name a file with -o');
  }
  const bytes = await retrying(() => client.receiptCose(log, index, withoutEntry !== true), retryPolicy(5));
  const { log: origin, proof } = parseCoseReceipt(bytes);
  if (!origin.endsWith(`/logs/${log}`) || proof.kind !== 'inclusion' || proof.index !== index) {
    const says = `the service's COSE receipt is not of entry ${index} of ${log}: do not trust it`;
    throw new AntequemError('receipt-other-entry', says);
  }
  if (output === undefined) process.stdout.write(bytes);
  else await writeWhole(output, bytes, true);
  if (json) printJson({ log, index, file: output, treeSize: proof.treeSize });
  note(`${output === undefined ? '' : `${output}: `}entry ${index} of ${log} in its tree of ${proof.treeSize}`);
}
