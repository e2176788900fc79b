// Sampled mutants of the core, the verifier and the codecs of OpenTimestamps: do the tests of a module notice that it is
// another? MUTANTS (500) says how many, MUTANTS_SEED which, MUTANTS_MINUTES (60) for how long at most.

import { spawnSync } from 'node:child_process';
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LEFT_TO_CI } from '../support/left-to-ci.ts';
import { type Mutant, mutantsOf, parses } from './mutation.ts';

const root = resolve(import.meta.dirname, '../..');
const COUNT = Number(process.env.MUTANTS ?? 500);
const SEED = Number(process.env.MUTANTS_SEED ?? Math.floor(Math.random() * 2 ** 31));
const LIMIT_MS = Number(process.env.MUTANTS_MINUTES ?? 60) * 60_000;
/** What an endless loop is given. */
const PATIENCE_MS = 120_000;
/** Test files that run for a mutant: the nearest to its module. */
const FILES_A_MUTANT = 4;

const MODULES = ['src/core/*.ts', 'src/verify/*.ts', 'src/ots/*.ts'];
/** The codecs of OpenTimestamps; the rest of src/ots talks to calendars and the database. */
const PURE = /^src\/(core|ots|verify)\//;
const TESTS = ['test/core/*.test.ts', 'test/verify/*.test.ts', 'test/ots/*.test.ts', 'test/fuzz/*.test.ts'];
/** What is left to CI takes too long for each mutant, and so do tests that start a database, a chain or a browser. */
const SLOW = /^(scripts\/local|src\/(store|start|main|api)|test\/support\/(postgres|chain|service|anvil))/;

const copy = mkdtempSync(join(tmpdir(), 'antequem-mutants-'));
beforeAll(() => {
  const skipped = new Set(['node_modules', '.git', '.antequem', 'dist', 'artifacts', 'cache']);
  cpSync(root, copy, { recursive: true, filter: (from) => !skipped.has(relative(root, from).split('/')[0] ?? '') });
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  writeFileSync(
    join(copy, 'vitest.config.ts'),
    `export default { test: { include: ['test/**/*.test.ts'], reporters: ['dot'], bail: 1, maxWorkers: 1, testTimeout: 60_000 } };`,
  );
});
afterAll(() => rmSync(copy, { recursive: true, force: true }));

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

function passes(tests: readonly string[]): boolean {
  const { status } = spawnSync(join(root, 'node_modules/.bin/vitest'), ['run', ...tests], {
    cwd: copy,
    timeout: PATIENCE_MS,
    killSignal: 'SIGKILL',
    stdio: 'ignore',
  });
  return status === 0;
}

test('sampled mutants, and those that no test of their module notices', () => {
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

  const sound = new Map<string, boolean>();
  const survivors: string[] = [];
  let tried = 0;
  for (const { mutant } of order) {
    const { module, source } = mutant;
    if (tried === COUNT || performance.now() > end) break;
    const own = testsOf(module);
    // As it is it must pass, else nothing follows from a failure.
    if (!sound.has(module)) sound.set(module, own.length > 0 && passes(own));
    if (sound.get(module) !== true || !parses(mutant)) continue;
    tried++;
    const file = join(copy, module);
    const original = readFileSync(file, 'utf8');
    writeFileSync(file, source);
    if (passes(own)) {
      survivors.push(`${module}:${mutant.line}  ${mutant.says}`);
      console.log(`survived ${survivors.length}/${tried}: ${survivors.at(-1)}`);
    }
    writeFileSync(file, original);
  }
  const unsound = [...sound].filter(([, is]) => !is).map(([module]) => module);
  console.log(
    `${tried} mutants tried, ${survivors.length} survived; seed ${SEED}${unsound.length === 0 ? '' : `; without a test of its own that passes: ${unsound.join(' ')}`}`,
  );
  console.log(survivors.sort().join('\n'));
  expect(tried).toBeGreaterThan(0);
  expect(survivors.length / tried).toBeLessThan(0.5);
});
