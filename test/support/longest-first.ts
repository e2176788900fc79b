import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take half a minute or more, the longest first: begun late, one of them would run alone at the end. */
const LONGEST: readonly string[] = [
  'test/local/supervision.test.ts',
  'test/audit/attacks.test.ts',
  'test/anchor/evm-target.test.ts',
  'test/faults/postgres.test.ts',
  'test/contracts/artifact.test.ts',
  'test/anchor/evm-worker.test.ts',
  'test/faults/redis-misfortunes.test.ts',
  'test/faults/database-misfortunes.test.ts',
  'test/verify/evm-proof.test.ts',
  'test/e2e/road.test.ts',
  'test/audit/database/audit.test.ts',
  'test/anchor/new-kind.test.ts',
  'test/package/packed.test.ts',
  'test/anchor/ots-faults.test.ts',
  'test/witness/witnesses.test.ts',
  'test/e2e/verification.test.ts',
  'test/queue/queue.test.ts',
  'test/cli/follow.test.ts',
  'test/web/service.test.ts',
  'test/faults/clocks.test.ts',
  'test/anchor/evm-faults.test.ts',
  'test/web/verifier.test.ts',
  'test/faults/processes.test.ts',
];

/** The files known to take long first, then the others as Vitest orders them. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const at = LONGEST.findIndex((name) => moduleId.endsWith(`/${name}`));
      return at < 0 ? LONGEST.length : at;
    };
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b));
  }
}
