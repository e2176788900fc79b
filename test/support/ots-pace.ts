import type { Pace } from '../../src/ots/pace.ts';

/** Waits that no test has to wait for. */
export const FAST: Pace = {
  timeout: 10_000,
  lease: 500,
  retry: { first: 20, most: 50 },
  upgrade: { first: 10, most: 30 },
  lookup: 1_000,
  confirm: 10,
  watch: 10,
};
