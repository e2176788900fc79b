import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configDefaults, defineConfig } from 'vitest/config';
import { LEFT_TO_CI } from './test/support/left-to-ci.ts';
import { LongestFirst } from './test/support/longest-first.ts';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...(process.env.CI === 'true' ? [] : LEFT_TO_CI)],
    globalSetup: ['test/support/global-setup.ts'],
    reporters: ['default', './test/support/summary.ts'],
    // Hundreds of processes are started; each compiles the same sources.
    env: { NODE_COMPILE_CACHE: join(tmpdir(), 'antequem-compile-cache') },
    // Much of the time goes by waiting for processes, chains and clocks.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // What is waited for comes when a busy machine gets to it.
    expect: { poll: { timeout: 120_000 } },
  },
});
