import { readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AntequemError } from '../../src/core/errors.ts';
import { findProcess, isRunning, type ProcessIdentity, signalProcess } from './process-table.ts';

/** Fast, then immediate, which loses nothing committed: the next start replays the log. Milliseconds to wait for each. */
export const STOP_SIGNALS = [
  ['SIGINT', 3_500],
  ['SIGQUIT', 1_500],
  ['SIGKILL', 2_000],
] as const;

/** What a server writes about itself into `postmaster.pid`. */
export interface Postmaster {
  readonly pid: number;
  readonly socketDir: string;
  readonly ready: boolean;
}

export function readPostmaster(data: string): Postmaster | null {
  let lines: string[];
  try {
    lines = readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n');
  } catch {
    return null;
  }
  const pid = Number(lines[0]);
  if (!Number.isSafeInteger(pid) || pid <= 0) return null;
  return { pid, socketDir: lines[4] ?? '', ready: lines[7]?.trim() === 'ready' };
}

/** The id may meanwhile be that of anything: only a process that was started on this data is its server. */
function serverOf(data: string, pid: number): ProcessIdentity | null {
  const facts = findProcess(pid);
  // Joined, since ps does not tell where one argument ends.
  return facts?.command.join(' ').includes(`/postgres -D ${data} `) ? facts : null;
}

/** Removes the folder of a server's socket, if its name is one that such folders have. */
export function removeSocketFolder(folder: string): void {
  if (/^antequem-[A-Za-z0-9]{6}$/.test(basename(folder))) rmSync(folder, { recursive: true, force: true });
}

/**
 * Stops the server that still runs on this data, if one does, and removes what a killed one left: its socket, and its
 * `postmaster.pid`, which the next server would believe if its process id is in use again.
 * @throws AntequemError `postgres-stuck`
 */
export async function stopPostmaster(data: string): Promise<void> {
  const postmaster = readPostmaster(data);
  const server = postmaster === null ? null : serverOf(data, postmaster.pid);
  if (server !== null) {
    for (const [signal, patience] of STOP_SIGNALS) {
      signalProcess(server.pid, signal);
      const until = performance.now() + patience;
      while (isRunning(server) && performance.now() < until) await sleep(20);
      if (!isRunning(server)) break;
    }
    if (isRunning(server)) {
      throw new AntequemError('postgres-stuck', `PostgreSQL, process ${server.pid} on ${data}, does not end: kill it.`);
    }
  }
  if (postmaster === null) return;
  if (readPostmaster(data)?.pid === postmaster.pid) rmSync(join(data, 'postmaster.pid'), { force: true });
  removeSocketFolder(postmaster.socketDir);
}
