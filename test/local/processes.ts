import { execFileSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProcess, isRunning, type ProcessFacts } from '../../scripts/local/process-table.ts';

/** The process and all that descends from it, by the process table. */
export function family(root: number): ProcessFacts[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n');
  const pairs = lines.map((line) => line.trim().split(/\s+/).map(Number));
  const pids = [root];
  for (const pid of pids) pids.push(...pairs.filter(([, parent]) => parent === pid).map(([child = 0]) => child));
  return pids.map(findProcess).filter((facts) => facts !== null);
}

/** The one member whose command line matches. */
export function member(processes: readonly ProcessFacts[], command: RegExp): ProcessFacts {
  const found = processes.find((facts) => command.test(facts.command.join(' ')));
  if (found === undefined) throw new Error(`no process ${command} among ${JSON.stringify(processes, null, 1)}`);
  return found;
}

/** Waits for all of them to end. @returns those that run when the time is over */
export async function survivors(processes: readonly ProcessFacts[], withinMs: number): Promise<ProcessFacts[]> {
  const until = performance.now() + withinMs;
  let left = processes.filter(isRunning);
  while (left.length > 0 && performance.now() < until) {
    await sleep(50);
    left = left.filter(isRunning);
  }
  return left;
}
