import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Account } from './database-home.ts';

/** What the keeper starts, and what it removes once that has ended. */
export interface KeptServer {
  readonly command: string;
  readonly args: readonly string[];
  readonly runAs: Account | null;
  /** Folders, removed with all that is in them. */
  readonly removeAtEnd: readonly string[];
}

/** A process that holds a server as long as this one lives: it sees the end of its input, whatever ended us. */
export interface Keeper {
  readonly pid: number | undefined;
  /** Settles when the keeper has ended: after the server, unless it was killed itself. */
  readonly ended: Promise<void>;
  /** Lets go: the keeper stops the server and ends, within 6 s. */
  release(): void;
  kill(): void;
}

/** What local servers need of the environment, and nothing that could steer them. */
export function plainEnvironment(): Record<string, string> {
  return { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' };
}

/** In a session of its own, so that neither a terminal's Ctrl-C nor a signal to our process group reaches the server. */
export function startKeeper(server: KeptServer, logFile: string): Keeper {
  const log = openSync(logFile, 'w', 0o600);
  const script = fileURLToPath(new URL('keeper-process.ts', import.meta.url));
  const child = spawn(process.execPath, [script, JSON.stringify(server)], {
    stdio: ['pipe', log, log],
    detached: true,
    cwd: '/',
    env: plainEnvironment(),
  });
  closeSync(log);
  // Writing end of a pipe whose reader was killed: its end is told by `ended`.
  child.stdin?.on('error', () => {});
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  return {
    pid: child.pid,
    ended,
    release: () => void child.stdin?.end(),
    kill: () => void child.kill('SIGKILL'),
  };
}
