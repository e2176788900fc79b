// Runs test files again and again in one process: starting vitest for each mutant would take longer than its tests. Started by
// fork; argument: the folder of the tree. A message to it is {changed: files, tests: files}, its answer whether all passed.

import { resolve } from 'node:path';
import { createVitest } from 'vitest/node';
import { z } from 'zod';

const Work = z.object({ changed: z.array(z.string()), tests: z.array(z.string()) });

const root = resolve(process.argv[2] ?? '.');
const vitest = await createVitest({
  root,
  config: false,
  watch: false,
  reporters: [],
  include: ['test/**/*.test.ts'],
  maxWorkers: 1,
  testTimeout: 60_000,
});
await vitest.standalone();
const project = vitest.getRootProject();

/** Vitest tells of all errors since it started. */
let errors = 0;

/** One after the other, up to the first that fails. */
async function passes({ changed, tests }: z.output<typeof Work>): Promise<boolean> {
  for (const file of changed) vitest.invalidateFile(resolve(root, file));
  for (const test of tests) {
    const file = resolve(root, test);
    const specification = project.createSpecification(file);
    const { testModules, unhandledErrors } = await vitest.runTestSpecifications([specification]);
    const before = errors;
    errors = unhandledErrors.length;
    const passed = testModules.find(({ moduleId }) => moduleId === file)?.state() === 'passed';
    if (!passed || errors > before) return false;
  }
  return true;
}

process.on('message', async (message) => {
  process.send?.(await passes(Work.parse(message)));
});
process.on('disconnect', () => process.exit(0));
