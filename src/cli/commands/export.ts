import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { Command } from 'commander';
import { isTransient } from '../../client/failure.ts';
import { retrying } from '../../client/retry.ts';
import { AntequemError, messageOf } from '../../core/errors.ts';
import { retryPolicy } from '../delivery.ts';
import { logName, repeated, wholeNumberArgument } from '../options.ts';
import { counted, note, printJson } from '../output.ts';
import { Progress } from '../progress.ts';
import { openSession } from '../session.ts';

interface ExportFlags {
  readonly output?: string;
  readonly from: number;
  readonly to?: number;
  readonly since?: string;
  readonly until?: string;
  readonly text?: string;
  readonly field?: readonly string[];
  readonly receipts: boolean;
  readonly retry: number;
}

/** `antequem export`: entries with their receipts, one JSON object a line. */
export function exportCommand(): Command {
  const index = wholeNumberArgument(0, Number.MAX_SAFE_INTEGER);
  return new Command('export')
    .argument('<log>', 'name of the log', logName)
    .option('-o, --output <file>', 'write to this file, replacing it if it exists; --json then prints a summary')
    .option('--from <index>', 'the first index', index, 0)
    .option('--to <index>', 'the index after the last (default: the current size of the log)', index)
    .option('--since <time>', 'received at this time or later, such as 2026-01-31T12:00:00Z')
    .option('--until <time>', 'received before this time')
    .option('--text <text>', 'only entries that contain this text')
    .option(
      '--field <pointer=value>',
      'only JSON entries with this value at this JSON pointer, such as /user/username=admin; up to four times',
      repeated((text) => text),
    )
    .option('--no-receipts', 'without receipts, which is faster')
    .option('--retry <seconds>', 'how long to retry while every attempt fails', wholeNumberArgument(0, 1e9), 60)
    .addHelpText(
      'after',
      `
Examples:
  $ antequem export demo -o demo.ndjson
  $ antequem export audit --field /verb=delete --since 2026-01-01T00:00:00Z | jq -r .payload.text

An export that breaks off goes on where it was; what is appended meanwhile is not part of it.`,
    )
    .action(async (log: string, flags: ExportFlags, command: Command) => {
      const { client, json } = openSession(command);
      const end = flags.to ?? (await client.describeLog(log)).size;
      const out = flags.output === undefined ? process.stdout : await openFile(flags.output);
      const progress = new Progress(null);
      const policy = retryPolicy(flags.retry, undefined, () => progress.clear());
      let next = flags.from;
      let bytes = 0;
      let lines = 0;
      const stream = async (): Promise<void> => {
        for await (const line of client.exportLines(log, queryOf(flags, next, end))) {
          next = indexOf(line) + 1;
          lines++;
          bytes += line.length + 1;
          if (!out.write(`${line}\n`)) await once(out, 'drain');
          if (flags.output !== undefined) progress.update(bytes, lines);
        }
      };
      for (let failed = true; failed; ) {
        const before = next;
        try {
          await retrying(stream, policy);
          failed = false;
        } catch (error) {
          progress.clear();
          // There was progress, so the time for retrying starts again.
          if (!isTransient(error) || next === before) throw error;
        }
      }
      progress.clear();
      if (flags.output === undefined) return;
      out.end();
      await finished(out);
      if (json) printJson({ log, file: flags.output, entries: lines, bytes });
      else note(`${flags.output}: ${counted(lines, 'entry', 'entries')} of ${log}`);
    });
}

function queryOf(flags: ExportFlags, from: number, to: number | undefined): URLSearchParams {
  const { since, until, text, field = [], receipts } = flags;
  const query = new URLSearchParams({ from: String(from), receipts: String(receipts) });
  for (const [name, value] of Object.entries({ to: to?.toString(), since, until, text })) {
    if (value !== undefined) query.set(name, value);
  }
  for (const one of field) query.append('field', one);
  return query;
}

function indexOf(line: string): number {
  const entry: unknown = JSON.parse(line);
  const index = typeof entry === 'object' && entry !== null && 'index' in entry ? entry.index : undefined;
  if (typeof index === 'number' && Number.isSafeInteger(index)) return index;
  throw new AntequemError('answer-invalid', 'the service sent a line that is not an entry');
}

async function openFile(file: string): Promise<Writable> {
  const out = createWriteStream(file);
  try {
    await once(out, 'open');
  } catch (cause) {
    throw new AntequemError('file-unwritable', `cannot write ${file}: ${messageOf(cause)}`, { cause });
  }
  return out;
}
