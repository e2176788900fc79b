import { afterAll, expect, test } from 'vitest';
import { describeOutcome, fuzz, HEAD } from '../fuzz/fuzzing.ts';
import { PARSERS } from '../fuzz/parsers.ts';

const COUNT = 1_000_000;
const lines: string[] = [];

test.each(PARSERS)('$name: 1,000,000 inputs, each taken or refused with a code', (parser) => {
  const outcome = fuzz(parser, COUNT, 20_261_123);
  lines.push(describeOutcome(parser, outcome));
  expect(outcome.taken + outcome.refused).toBe(COUNT);
  expect(outcome.growth).toBeLessThan(8 << 20);
});

afterAll(() => console.log([HEAD, ...lines].join('\n')));
