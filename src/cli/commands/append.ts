import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Command } from 'commander';
import { AntequemError, messageOf } from '../../core/errors.ts';
import { MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, MAX_ENTRY_BYTES } from '../../core/limits.ts';
import { deliver, retryPolicy } from '../delivery.ts';
import { followCommandLine } from '../follow/run.ts';
import { lineBatches, longLineNote } from '../lines.ts';
import { logName, wholeNumberArgument } from '../options.ts';
import { counted, note, print, printJson, quoted } from '../output.ts';
import { Progress } from '../progress.ts';
import { openSession, type Session } from '../session.ts';

const LINGER = 200;

interface AppendFlags {
  readonly follow?: true;
  readonly batch: number;
  readonly batchBytes: number;
  readonly state?: string;
  readonly retry?: number;
  readonly skipMissing?: true;
}

/** `antequem append`: every line is an entry, byte for byte without its newline. */
export function appendCommand(): Command {
  return new Command('append')
    .argument('<log>', 'name of the log; it is created if it does not exist', logName)
    .argument('[file]', 'the file; standard input if omitted or -')
    .option(
      '-f, --follow',
      'follow the file as it grows, through rotations and restarts, logging each line exactly once',
    )
    .option('--batch <lines>', 'maximum lines in one request', wholeNumberArgument(1, MAX_BATCH_ENTRIES), 5000)
    .option(
      '--batch-bytes <bytes>',
      'maximum bytes in one request',
      wholeNumberArgument(MAX_ENTRY_BYTES + 2, MAX_BATCH_BYTES),
      MAX_BATCH_BYTES / 2,
    )
    .option(
      '--retry <seconds>',
      'how long to retry while every attempt fails (default: 60; with --follow without limit)',
      wholeNumberArgument(0, 1e9),
    )
    .option(
      '--state <file>',
      'with --follow: the file that records what was sent (default: one for each file, log and service)',
    )
    .option('--skip-missing', 'with --follow: continue when the rest of a rotated file cannot be found')
    .addHelpText(
      'after',
      `
Examples:
  $ antequem append demo /var/log/dpkg.log
  $ journalctl -o json -f | antequem append journal
  $ antequem append app /var/log/app.log --follow

Without --follow a command that was interrupted and is run again appends its lines again. With --follow the place
reached is kept under .antequem/follow, or in $XDG_STATE_HOME/antequem, and it goes on from there; it waits for a service
that cannot be reached. A line over 1 MiB is logged by its digest alone: keep the file to prove it.`,
    )
    .action(async (log: string, file: string | undefined, flags: AppendFlags, command: Command) => {
      const session = openSession(command);
      if (flags.follow === true) return followCommandLine(session, log, file, flags);
      if (flags.state !== undefined || flags.skipMissing === true) {
        throw new AntequemError('options-conflict', '--state and --skip-missing need --follow');
      }
      await appendAll(session, log, file === '-' ? undefined : file, flags);
    });
}

async function appendAll(session: Session, log: string, file: string | undefined, flags: AppendFlags): Promise<void> {
  const total = file === undefined ? null : await sizeOf(file);
  const source = file === undefined ? process.stdin : createReadStream(file, { highWaterMark: 1 << 18 });
  const progress = new Progress(total);
  const policy = retryPolicy(flags.retry ?? 60, undefined, () => progress.clear());
  let first: number | null = null;
  let last: number | null = null;
  let count = 0;
  let bytes = 0;
  let digestOnly = 0;
  try {
    for await (const batch of lineBatches(source, { lines: flags.batch, bytes: flags.batchBytes }, LINGER)) {
      const { body, long } = batch;
      bytes += batch.bytes;
      if (batch.entries === 0) continue;
      if (long !== null) {
        progress.clear();
        note(longLineNote(long));
        digestOnly++;
      }
      const appended = await deliver(
        session.client,
        log,
        (options) =>
          long === null
            ? session.client.appendLines(log, body, options)
            : session.client.appendDigests(log, [long.digest], options),
        policy,
      );
      first ??= appended.index;
      last = appended.index + appended.count - 1;
      count += appended.count;
      progress.update(bytes, count);
    }
  } catch (error) {
    progress.clear();
    if (count > 0) {
      note(`appended ${counted(count, 'entry', 'entries')} of ${log} before this, the last at index ${last}`);
    }
    throw error;
  } finally {
    source.destroy();
  }
  progress.clear();
  report(session, { log, first, last, count, digestOnly, bytes });
}

interface Summary {
  readonly log: string;
  readonly first: number | null;
  readonly last: number | null;
  readonly count: number;
  /** How many of these lines were larger than an entry. */
  readonly digestOnly: number;
  readonly bytes: number;
}

/** Other clients may have appended between `first` and `last`, so their distance is not the count. */
function report(session: Session, summary: Summary): void {
  if (session.json) {
    printJson(summary);
  } else if (summary.first === null) {
    print('no entries: the input has no non-blank line');
  } else {
    print(
      `appended ${counted(summary.count, 'entry', 'entries')} to ${summary.log}: ` +
        `first index ${summary.first}, last index ${summary.last}` +
        (summary.digestOnly === 0 ? '' : `; ${counted(summary.digestOnly, 'line', 'lines')} by digest alone`),
    );
    const file = quoted(`${summary.log}-${summary.first}.receipt.json`);
    note(`next: antequem receipt ${summary.log} ${summary.first} --until finalized -o ${file}${session.urlOption}`);
  }
}

async function sizeOf(file: string): Promise<number | null> {
  const found = await stat(file).catch((cause: unknown) => {
    throw new AntequemError('file-unreadable', `cannot read ${file}: ${messageOf(cause)}`, { cause });
  });
  if (found.isDirectory()) throw new AntequemError('file-unreadable', `${file} is a folder; name a file in it`);
  return found.isFile() ? found.size : null;
}
