import { basename } from 'node:path';
import { findProcess, hasProcess, type ProcessFacts } from './process-table.ts';

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
