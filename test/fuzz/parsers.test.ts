import { afterAll, expect, test } from 'vitest';
import { describeOutcome, fuzz, HEAD } from './fuzzing.ts';
import { PARSERS } from './parsers.ts';

const COUNT = 10_000;
/** Only ends a run that hangs. */
const LIMIT_MS = 600_000;
const lines: string[] = [];

test.each(PARSERS)('$name: 10,000 inputs, each taken or refused with a code', { timeout: LIMIT_MS }, (parser) => {
  const outcome = fuzz(parser, COUNT, 7);
  lines.push(describeOutcome(parser, outcome));
  expect(outcome.taken + outcome.refused).toBe(COUNT);
  expect(outcome.taken).toBeGreaterThan(20);
  expect(outcome.refused).toBeGreaterThan(200);
  expect(outcome.growth).toBeLessThan(8 << 20);
});

afterAll(() => console.log([HEAD, ...lines].join('\n')));
