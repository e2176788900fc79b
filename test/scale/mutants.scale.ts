// Sampled mutants of the core, the verifier and the codecs of OpenTimestamps: do the tests of a module notice that it is
// another? MUTANTS (500) says how many, MUTANTS_SEED which, MUTANTS_FROM (0) how many of these an earlier run tried,
// MUTANTS_MINUTES (60) for how long at most.

import { type ChildProcess, fork } from 'node:child_process';
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LEFT_TO_CI } from '../support/left-to-ci.ts';
import { type Mutant, mutantsOf, parses } from './mutation.ts';

const root = resolve(import.meta.dirname, '../..');
const COUNT = Number(process.env.MUTANTS ?? 500);
const SEED = Number(process.env.MUTANTS_SEED ?? Math.floor(Math.random() * 2 ** 31));
const FROM = Number(process.env.MUTANTS_FROM ?? 0);
const LIMIT_MS = Number(process.env.MUTANTS_MINUTES ?? 60) * 60_000;
/** What an endless loop is given. */
const PATIENCE_MS = 120_000;
/** Test files that run for a mutant: of the nearest to its module the fast ones, and the others if it survives those. */
const FILES_A_MUTANT = 12;
const FAST_MS = 3_000;
const SLOWEST_MS = 120_000;

const MODULES = ['src/core/*.ts', 'src/verify/*.ts', 'src/ots/*.ts'];
/** The codecs of OpenTimestamps; the rest of src/ots talks to calendars and the database. */
const PURE = /^src\/(core|ots|verify)\//;
const TESTS = [
  'test/core/*.test.ts',
  'test/bitcoin/*.test.ts',
  'test/verify/*.test.ts',
  'test/ots/*.test.ts',
  'test/fuzz/*.test.ts',
];
/** What is left to CI takes too long for each mutant, and so do tests that start a database, a chain or a browser. */
const SLOW = /^(scripts\/local|src\/(store|start|main|api)|test\/support\/(postgres|chain|service|anvil))/;

const copy = mkdtempSync(join(tmpdir(), 'antequem-mutants-'));
beforeAll(() => {
  const skipped = new Set(['node_modules', '.git', '.antequem', 'dist', 'artifacts', 'cache']);
  cpSync(root, copy, { recursive: true, filter: (from) => !skipped.has(relative(root, from).split('/')[0] ?? '') });
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
});
afterAll(() => {
  runner?.kill('SIGKILL');
  rmSync(copy, { recursive: true, force: true });
});

/** mulberry32: numbers from 0 to 1. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The modules that a file loads, by way of others too: how many steps away each is. */
function reachedFrom(file: string): Map<string, number> {
  const reached = new Map([[file, 0]]);
  for (const [from, steps] of reached) {
    for (const [, to = ''] of readFileSync(join(root, from), 'utf8').matchAll(/(?:from|import\()\s*'(\.[^']+\.ts)'/g)) {
      const path = join(dirname(from), to);
      if (!reached.has(path)) reached.set(path, steps + 1);
    }
  }
  return reached;
}

let runner: ChildProcess | null = null;
/** Files of the copy that were written since tests ran last. */
const changed = new Set<string>();

function write(module: string, source: string): void {
  writeFileSync(join(copy, module), source);
  changed.add(module);
}

/** Whether all these test files of the copy pass. */
async function passes(tests: readonly string[]): Promise<boolean> {
  const process = runner ?? fork(join(import.meta.dirname, 'mutation-runner.ts'), [copy], { stdio: 'ignore' });
  runner = process;
  const { promise, resolve: settle } = Promise.withResolvers<boolean>();
  const late = setTimeout(() => void process.kill('SIGKILL'), PATIENCE_MS);
  const onMessage = (passed: unknown): void => settle(passed === true);
  // A mutant may end the process that runs it, or keep it in an endless loop.
  const onExit = (): void => {
    runner = null;
    settle(false);
  };
  process.once('message', onMessage).once('exit', onExit);
  process.send({ changed: [...changed], tests });
  changed.clear();
  const passed = await promise;
  clearTimeout(late);
  process.off('message', onMessage).off('exit', onExit);
  return passed;
}

test(
  'sampled mutants, and those that no test of their module notices',
  async () => {
    const modules = MODULES.flatMap((pattern) => globSync(pattern, { cwd: root }))
      .filter((module) => [...reachedFrom(module).keys()].every((path) => PURE.test(path)))
      .sort();
    const tests = TESTS.flatMap((pattern) => globSync(pattern, { cwd: root }))
      .filter((file) => !LEFT_TO_CI.includes(file))
      .sort();
    const reached = tests
      .map((file) => ({ file, modules: reachedFrom(file) }))
      .filter(({ modules }) => ![...modules.keys()].some((path) => SLOW.test(path)));
    /** Those that load it, the nearest first. */
    const testsOf = (module: string): string[] =>
      reached
        .filter(({ modules }) => modules.has(module))
        .sort((a, b) => (a.modules.get(module) ?? 0) - (b.modules.get(module) ?? 0) || a.modules.size - b.modules.size)
        .slice(0, FILES_A_MUTANT)
        .map(({ file }) => file);

    const all: (Mutant & { readonly module: string })[] = modules.flatMap((module) =>
      mutantsOf(readFileSync(join(root, module), 'utf8')).map((mutant) => ({ ...mutant, module })),
    );
    const next = random(SEED);
    const order = all.map((mutant) => ({ mutant, at: next() })).sort((a, b) => a.at - b.at);
    const end = performance.now() + LIMIT_MS;
    console.log(`${all.length} mutants of ${modules.length} modules; MUTANTS_SEED=${SEED}`);

    /** Milliseconds that test files take; null: as it is it does not pass, and nothing follows from a failure. */
    const durations = new Map<string, number | null>();
    const untested = new Set<string>();
    const survivors: string[] = [];
    let tried = 0;
    for (const { mutant } of order) {
      const { module, source } = mutant;
      if (tried === COUNT || performance.now() > end) break;
      const [fast, slow]: [string[], string[]] = [[], []];
      for (const file of testsOf(module)) {
        const begin = performance.now();
        if (!durations.has(file)) durations.set(file, (await passes([file])) ? performance.now() - begin : null);
        const duration = durations.get(file) ?? Number.POSITIVE_INFINITY;
        if (duration < SLOWEST_MS) (duration < FAST_MS ? fast : slow).push(file);
      }
      if (fast.length + slow.length === 0) untested.add(module);
      if (untested.has(module) || !parses(mutant) || ++tried <= FROM) continue;
      const original = readFileSync(join(root, module), 'utf8');
      write(module, source);
      if ((await passes(fast)) && (await passes(slow))) {
        survivors.push(`${module}:${mutant.line}  ${mutant.says}`);
        console.log(`survived ${survivors.length}/${tried}: ${survivors.at(-1)}`);
      }
      write(module, original);
    }
    const failing = [...durations].filter(([, duration]) => duration === null).map(([file]) => file);
    console.log(`${tried - FROM} mutants tried, ${survivors.length} survived; seed ${SEED}`);
    if (failing.length > 0) console.log(`tests that fail in the copy without a mutant: ${failing.join(' ')}`);
    if (untested.size > 0) console.log(`modules without a test of their own: ${[...untested].join(' ')}`);
    console.log(survivors.sort().join('\n'));
    expect(tried).toBeGreaterThan(FROM);
    expect(survivors.length / (tried - FROM)).toBeLessThan(0.5);
  },
  LIMIT_MS + 600_000,
);
