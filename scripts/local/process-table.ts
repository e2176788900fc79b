import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** A process as no other can be it: ids are reused, an id together with a start is not. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Opaque; equal for one and the same process only. */
  readonly started: string;
}

/** What the system tells about a process that runs (one that ended and waits to be reaped does not). */
export interface ProcessFacts extends ProcessIdentity {
  readonly parent: number;
  readonly command: readonly string[];
}

function readProc(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

// Start times on Linux count from boot: after a reboot the same pair could come again.
const bootId = readProc('/proc/sys/kernel/random/boot_id')?.trim() ?? '';

function linuxStat(pid: number): { parent: number; started: string } | null {
  const stat = readProc(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // The name before the last parenthesis may itself hold blanks and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, parent, started] = [fields[0], fields[1], fields[19]];
  if (state === undefined || parent === undefined || started === undefined || /[ZXx]/.test(state)) return null;
  return { parent: Number(parent), started: `${bootId}/${started}` };
}

function psFacts(pid: number): ProcessFacts | null {
  const { status, stdout } = spawnSync('ps', ['-ww', '-o', 'ppid=,stat=,lstart=,command=', '-p', String(pid)], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
  });
  const match = status === 0 ? /^\s*(\d+)\s+(\S+)\s+(\S+\s+\S+\s+\S+\s+\S+\s+\S+)\s+(.*)$/m.exec(stdout) : null;
  if (match === null || match[2]?.startsWith('Z')) return null;
  return { pid, parent: Number(match[1]), started: match[3] ?? '', command: (match[4] ?? '').trim().split(/\s+/) };
}

/** The facts of a running process; null when there is none of this id, or nothing may be known about it. */
export function findProcess(pid: number): ProcessFacts | null {
  if (!Number.isSafeInteger(pid) || pid <= 0) return null;
  if (process.platform !== 'linux') return psFacts(pid);
  const stat = linuxStat(pid);
  const command = stat === null ? null : readProc(`/proc/${pid}/cmdline`);
  if (stat === null || command === null) return null;
  return { pid, ...stat, command: command.replace(/\0+$/, '').split('\0') };
}

export function isRunning(identity: ProcessIdentity): boolean {
  return findProcess(identity.pid)?.started === identity.started;
}

/**
 * As `isRunning`, cheap enough to be asked several times a second. Where there is no /proc it takes a process that was
 * given the same id for the one meant.
 */
export function isProbablyRunning(identity: ProcessIdentity): boolean {
  if (process.platform === 'linux') return linuxStat(identity.pid)?.started === identity.started;
  return hasProcess(identity.pid);
}

/** How often a process went to sleep and woke up again; null where the system does not tell. */
export function wakeUps(pid: number): number | null {
  const count = /^voluntary_ctxt_switches:\s*(\d+)$/m.exec(readProc(`/proc/${pid}/status`) ?? '')?.[1];
  return count === undefined ? null : Number(count);
}

function hasProcess(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** @returns whether the signal was delivered; a process that is gone by now is no error. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
