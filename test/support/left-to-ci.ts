/**
 * What `npm test` leaves to CI (`CI=true npm test` runs it all): faults and kills by the dozen, each byte and bit changed.
 * With them it would take ten minutes on two cores instead of five.
 */
export const LEFT_TO_CI: readonly string[] = [
  'test/anchor/evm-faults.test.ts',
  'test/anchor/evm-target.test.ts',
  'test/anchor/evm-worker.test.ts',
  'test/anchor/new-kind.test.ts',
  'test/anchor/ots-faults.test.ts',
  'test/audit/database/audit.test.ts',
  'test/cli/append.test.ts',
  'test/cli/follow.test.ts',
  'test/cli/upgrade-ots.test.ts',
  'test/contracts/artifact.test.ts',
  'test/contracts/existed-before.test.ts',
  'test/evm/evidence.test.ts',
  'test/faults/append-table.test.ts',
  'test/faults/database-misfortunes.test.ts',
  'test/faults/clocks.test.ts',
  'test/faults/kill.test.ts',
  'test/faults/postgres.test.ts',
  'test/faults/processes.test.ts',
  'test/faults/redis-misfortunes.test.ts',
  'test/fuzz/parsers.test.ts',
  'test/local/starts.test.ts',
  'test/local/supervision.test.ts',
  'test/audit/remote/command.test.ts',
  'test/queue/queue.test.ts',
  'test/verify/evm-proof.test.ts',
  'test/verify/flips.test.ts',
];
