import { basename } from 'node:path';
import { findProcess, isProbablyRunning, type ProcessFacts, wakeUps } from './process-table.ts';

const RUNNERS = /^(npm|npx|pnpm|yarn)(-cli|\.js|\.cjs|\.mjs|$)/;
const SHELLS = /^-?(sh|dash|bash|ash|zsh|ksh|fish)$/;

const wordName = (word: string | undefined): string => basename((word ?? '').split(' ')[0] ?? '');

/** npm renames itself (`npm start`); before that it is node with a script npm-cli.js. */
function isRunner(facts: ProcessFacts): boolean {
  return facts.command.slice(0, 2).some((word) => RUNNERS.test(wordName(word)));
}

function isShell(facts: ProcessFacts): boolean {
  return SHELLS.test(wordName(facts.command[0]));
}

/**
 * The processes whose end is the end of this one. They are npm and npx and the shells these put in between, which KILL
 * removes without a word to their children; or, started without them, the parent. A shell that a person or a script
 * works in is none of them: it may end while what it started in the background goes on, and a closed terminal tells
 * by HUP.
 */
function launcherAncestors(parent: number): ProcessFacts[] {
  const chain: ProcessFacts[] = [];
  let shells: ProcessFacts[] = [];
  for (let facts = findProcess(parent); facts !== null; facts = findProcess(facts.parent)) {
    if (isRunner(facts)) {
      chain.push(...shells, facts);
      shells = [];
    } else if (isShell(facts) && facts.command.includes('-c')) {
      shells.push(facts);
    } else {
      if (chain.length === 0 && shells.length === 0 && !isShell(facts)) chain.push(facts);
      break;
    }
    if (chain.length + shells.length > 32) break;
  }
  return chain;
}

/**
 * Calls `onGone` once when one of the ancestors has ended, or was told to. npm passes INT on to the shell below it and
 * lives on; that shell waits for its command, which never hears of it. All there is to see is that a shell which waits
 * woke up (Linux tells). Returns what ends the watch.
 */
export function watchAncestors(onGone: (gone: ProcessFacts) => void, everyMs = 500): () => void {
  const parent = process.ppid;
  const chain = launcherAncestors(parent);
  const shells = chain.filter(isShell);
  const countWakeUps = (): (number | null)[] => shells.map(({ pid }) => wakeUps(pid));
  let wokenBefore = countWakeUps();
  let lookedAt = { monotonic: performance.now(), wall: Date.now() };
  const timer = setInterval(() => {
    const ended = chain.find((facts) => !isProbablyRunning(facts) || (facts.pid === parent && process.ppid !== parent));
    const woken = countWakeUps();
    const now = { monotonic: performance.now(), wall: Date.now() };
    // Stopped and continued, or a machine put to sleep, wakes everybody up: that is seen by the time that is missing.
    const slept = Math.max(now.monotonic - lookedAt.monotonic, now.wall - lookedAt.wall) > 3 * everyMs;
    const told = slept ? undefined : shells.find((_, i) => woken[i] !== wokenBefore[i]);
    wokenBefore = woken;
    lookedAt = now;
    const gone = ended ?? told;
    if (gone === undefined) return;
    clearInterval(timer);
    onGone(gone);
  }, everyMs);
  timer.unref();
  const onContinue = (): void => {
    lookedAt = { monotonic: Number.NEGATIVE_INFINITY, wall: 0 };
  };
  process.on('SIGCONT', onContinue);
  return () => {
    clearInterval(timer);
    process.off('SIGCONT', onContinue);
  };
}
