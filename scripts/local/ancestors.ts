import { basename } from 'node:path';
import { findProcess, isProbablyRunning, type ProcessFacts } from './process-table.ts';

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
export function launcherAncestors(parent: number): ProcessFacts[] {
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

/** Calls `onGone` once when one of the ancestors has ended. Returns what ends the watch. */
export function watchAncestors(onGone: (gone: ProcessFacts) => void, everyMs = 500): () => void {
  const parent = process.ppid;
  const chain = launcherAncestors(parent);
  const timer = setInterval(() => {
    const gone = chain.find((facts) => !isProbablyRunning(facts) || (facts.pid === parent && process.ppid !== parent));
    if (gone === undefined) return;
    clearInterval(timer);
    onGone(gone);
  }, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}
