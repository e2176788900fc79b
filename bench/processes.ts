import { readdirSync, readFileSync } from 'node:fs';

const TICK_MS = 10;

/** What a process holds in memory now, in bytes. Linux alone, as all of this file. */
export function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1_024;
}

/** The time of a core that a process and its children took so far, those that ended included, in milliseconds. */
export function cpuOfFamily(pid: number): number {
  let ticks = 0;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const fields = statOf(name);
    if (Number(name) === pid) ticks += sum(fields.slice(11, 15));
    else if (Number(fields[1]) === pid) ticks += sum(fields.slice(11, 13));
  }
  return ticks * TICK_MS;
}

/** What stands behind the name of a process, which may hold spaces: state, parent, … */
function statOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  } catch {
    // It ended meanwhile.
    return [];
  }
}

function sum(numbers: readonly string[]): number {
  return numbers.reduce((total, each) => total + Number(each), 0);
}
