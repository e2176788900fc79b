import type { Reporter, TestCase, TestModule } from 'vitest/node';
import { LEFT_TO_CI } from './left-to-ci.ts';

/** Ends a run with what was skipped and why, and the counts in one plain line. In CI a skipped test is a failed run. */
export default class Summary implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const count = (state: string): number => tests.filter((each) => each.result().state === state).length;
    const skipped = tests.filter((each) => each.result().state === 'skipped');
    for (const each of skipped) console.log(`skipped: ${each.fullName}: ${reasonOf(each)}`);
    if (process.env.CI !== 'true')
      console.log(`left to CI, which has the time (CI=true npm test): ${LEFT_TO_CI.join(', ')}`);
    console.log(`${count('passed')} passed, ${count('failed')} failed, ${skipped.length} skipped`);
    if (process.env.CI === 'true' && skipped.length > 0) {
      console.error('In CI nothing may be skipped: install what the tests above lack.');
      process.exitCode = 1;
    }
  }
}

function reasonOf(test: TestCase): string {
  const result = test.result();
  return (result.state === 'skipped' ? result.note : undefined) ?? 'no reason given';
}
