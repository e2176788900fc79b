import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

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

/** Long: twenty may be starting on one machine. */
const START_LIMIT_MS = 120_000;
const STOP_LIMIT_MS = 3_000;

/**
 * Starts a TypeScript file as a process that ends with this one, however that ends.
 * @param what names it in errors
 * @throws Error if it ends or says nothing in time
 */
export async function startChild(
  what: string,
  [file, ...args]: readonly [string, ...string[]],
  env: Readonly<Record<string, string>> = {},
): Promise<Child> {
  // Old libraries use what Node deprecates, which is no news to whoever reads the terminal.
  const child = spawn(process.execPath, ['--no-deprecation', file, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
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
    const deadline = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
    await ended;
    clearTimeout(deadline);
  };
  const lines = createInterface({ input: child.stdout });
  const timeout = AbortSignal.timeout(START_LIMIT_MS);
  const line = await Promise.race([
    once(lines, 'line', { signal: timeout }).then(
      ([text]) => String(text),
      () => null,
    ),
    ended.then(() => null),
  ]);
  if (line === null || child.pid === undefined) {
    await stop();
    throw new Error(`${what} did not start:\n${complaint}`);
  }
  return { says: JSON.parse(line), pid: child.pid, ended, stop };
}
