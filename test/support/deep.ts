/** Whether tests may take hours: `npm run test:scale` runs these files in full, every other run does a part of each. */
export const DEEP: boolean = process.env.TEST_DEEP === 'true';

export const DEEP_FILES: readonly string[] = [
  'test/anchor/evm-worker.test.ts',
  'test/e2e/verification.test.ts',
  'test/faults/processes.test.ts',
  'test/faults/redis-misfortunes.test.ts',
  'test/local/supervision.test.ts',
  'test/verify/flips.test.ts',
];
