import { styleText } from 'node:util';

/**
 * A reader that closes the pipe early (`antequem … | head`) is not an error: output stops, and the exit code already set
 * is kept.
 */
export function endQuietlyOnClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      process.exit();
    });
  }
}

/** Prints the answer of a command. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Prints one indented JSON document. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}

/** Prints one line of NDJSON. */
export function printJsonLine(value: unknown): void {
  print(JSON.stringify(value));
}

/** Prints to standard error: progress, warnings, the next step. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

export type Tone = 'good' | 'bad' | 'open';

const COLOURS = { good: 'green', bad: 'red', open: 'yellow' } as const;

/** Colors the text if standard output is a terminal with colors (NO_COLOR, FORCE_COLOR). */
export function toned(tone: Tone, text: string): string {
  return styleText(COLOURS[tone], text, { stream: process.stdout });
}

/** `1 entry`, `12,345 entries`. */
export function counted(count: number, one: string, many: string): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}

/** Quotes one argument for a POSIX shell. */
export function quoted(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
}
