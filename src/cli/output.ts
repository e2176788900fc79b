import { styleText } from 'node:util';

/**
 * A reader that has seen enough (`antequem … | head`) is no failure: nothing more is said, and the exit code already
 * set stands.
 */
export function endQuietlyOnClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      process.exit();
    });
  }
}

/** The answer of a command. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** One JSON document for people to read. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

/** One line of NDJSON. */
export function printJsonLine(value: unknown): void {
  print(JSON.stringify(value));
}

/** What is not the answer: progress, what happened on the way, what to do next. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

export type Tone = 'good' | 'bad' | 'open';

const COLOURS = { good: 'green', bad: 'red', open: 'yellow' } as const;

/** Text in colour, where standard output is a terminal that wants colours (NO_COLOR, FORCE_COLOR). */
export function toned(tone: Tone, text: string): string {
  return styleText(COLOURS[tone], text, { stream: process.stdout });
}

/** `1 entry`, `12,345 entries`. */
export function counted(count: number, one: string, many: string): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}

/** One argument as a POSIX shell reads it back. */
export function quoted(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}
