import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { AntequemError } from '../../src/core/errors.ts';

/** A process that says what it offers as one JSON line, and lives as long as its input is open. */
export interface Child {
  /** What its first line says. */
  readonly says: unknown;
  /** Process id, for those who must see that nothing is left. */
  readonly pid: number;
  /** Settles when the process has ended, for whatever reason. */
  readonly ended: Promise<void>;
  /** Ends the process and waits for that. May be called again. */
  stop(): Promise<void>;
}

export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** How long its first line may take; by default two minutes, since twenty may be starting on one machine. */
  readonly startLimitMs?: number;
  /** How long it may take to end before it is killed. */
  readonly stopLimitMs?: number;
  /** Gives up waiting for it to start, and ends it. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Starts a TypeScript file as a process that ends with this one, however that ends: its input is then at its end. It has
 * a session of its own, so that a terminal's Ctrl-C and a signal to our group reach this process alone, which stops it
 * in its turn.
 * @param what names it in errors
 * @throws AntequemError `not-started`, with what it wrote to its standard error, if it ends or says nothing in time
 */
export async function startChild(
  what: string,
  [file, ...args]: readonly [string, ...string[]],
  { env = {}, startLimitMs = 120_000, stopLimitMs = 3_000, signal }: ChildOptions = {},
): Promise<Child> {
  // Old libraries use what Node deprecates, which is no news for the reader of the terminal.
  const child = spawn(process.execPath, ['--no-deprecation', join(import.meta.dirname, file), ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
    env: { ...process.env, ...env },
  });
  // Written to only by its end; that the child is gone already is no news then.
  child.stdin.on('error', () => {});
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-4_000);
  });
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.once('error', (error) => {
      complaint += error.message;
      resolve();
    });
  });
  const stop = async (): Promise<void> => {
    child.stdin.end();
    const deadline = setTimeout(() => child.kill('SIGKILL'), stopLimitMs);
    await ended;
    clearTimeout(deadline);
  };
  const lines = createInterface({ input: child.stdout });
  const limit = AbortSignal.timeout(startLimitMs);
  const line = await Promise.race([
    once(lines, 'line', { signal: signal === undefined ? limit : AbortSignal.any([signal, limit]) }).then(
      ([text]) => String(text),
      () => null,
    ),
    ended.then(() => null),
  ]);
  if (line === null || child.pid === undefined) {
    await stop();
    signal?.throwIfAborted();
    throw new AntequemError('not-started', `${what} did not start:\n${complaint.trim()}`);
  }
  return { says: JSON.parse(line), pid: child.pid, ended, stop };
}

/** To be called by such a process: what to do once the process that started it has ended or lets go of it. */
export function onParentGone(end: () => void): void {
  process.stdin.once('end', end).once('error', end).resume();
}
