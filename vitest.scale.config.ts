import { defineConfig } from 'vitest/config';
import { DEEP_FILES } from './test/support/deep.ts';

/** What takes too long for every run: ten million entries, a thousand kills. One file at a time, the machine to itself. */
export default defineConfig({
  test: {
    include: ['test/scale/**/*.scale.ts', ...DEEP_FILES],
    env: { TEST_DEEP: 'true' },
    globalSetup: ['test/support/global-setup.ts'],
    reporters: ['default'],
    fileParallelism: false,
    testTimeout: 3_600_000,
    hookTimeout: 600_000,
  },
});
