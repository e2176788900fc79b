import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { hasCode } from '../../src/core/errors.ts';

/** A process as no other can be it: ids are reused, an id together with a start is not. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Opaque; equal for one and the same process only. */
  readonly started: string;
}

/** What the system tells about a process that runs (one that ended and waits to be reaped does not). */
export interface ProcessFacts extends ProcessIdentity {
  readonly parent: number;
  /** Of processes: what a terminal signals together. */
  readonly group: number;
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

function linuxStat(pid: number): { parent: number; group: number; started: string } | null {
  const stat = readProc(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // The name before the last parenthesis may itself hold blanks and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state = '', parent = '', group = ''] = fields;
  const started = fields[19];
  if (started === undefined || /[ZXx]/.test(state)) return null;
  return { parent: Number(parent), group: Number(group), started: `${bootId}/${started}` };
}

function psFacts(pid: number): ProcessFacts | null {
  const { status, stdout } = spawnSync('ps', ['-ww', '-o', 'ppid=,pgid=,stat=,lstart=,command=', '-p', String(pid)], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
  });
  const match = status === 0 ? /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(\S+\s+\S+\s+\S+\s+\S+\s+\S+)\s+(.*)$/m.exec(stdout) : null;
  if (match === null) return null;
  const [, parent, group, state = '', started = '', command = ''] = match;
  if (state.startsWith('Z')) return null;
  return { pid, parent: Number(parent), group: Number(group), started, command: command.trim().split(/\s+/) };
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

/** @returns whether the signal was delivered; a process that is gone by now is no error. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/** Whether any process has this id. */
export function hasProcess(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, 'EPERM');
  }
}

const SHELLS = /^-?(sh|dash|bash|ash|zsh|ksh|fish)$/;

/**
 * The processes that started this one in its own process group, such as npm and npx. A KILL ends them without a word to
 * their children. What lies outside of the group is a terminal's or a supervisor's, which sends signals of its own.
 * Shells do not count: one may end while what it started in the background goes on.
 */
function ancestorsInGroup(): ProcessFacts[] {
  const self = findProcess(process.pid);
  const ancestors: ProcessFacts[] = [];
  for (
    let next = self && findProcess(self.parent);
    next && next.group === self?.group;
    next = findProcess(next.parent)
  ) {
    if (!SHELLS.test(basename(next.command[0] ?? ''))) ancestors.push(next);
  }
  return ancestors;
}

/** Calls `onGone` once, when one of the processes that started this one has ended. */
export function watchAncestors(onGone: (gone: ProcessFacts) => void, everyMs = 500): void {
  const ancestors = ancestorsInGroup();
  const timer = setInterval(() => {
    const gone = ancestors.find(({ pid }) => !hasProcess(pid));
    if (gone === undefined) return;
    clearInterval(timer);
    onGone(gone);
  }, everyMs);
  timer.unref();
}
