import { expect, test } from 'vitest';
import { contains, united } from '../../src/core/index-ranges.ts';

test.each([
  ['none', []],
  ['one', [[3, 7]]],
  [
    'some, one of a single index',
    [
      [0, 2],
      [4, 5],
      [9, 12],
      [20, 40],
    ],
  ],
  [
    'two that touched',
    [
      [5, 8],
      [8, 11],
      [13, 14],
    ],
  ],
] as const)('an index is in a range or not: %s', (_, given) => {
  const ranges = united(given);
  for (let index = 0; index < 45; index++) {
    const expected = given.some(([begin, end]) => index >= begin && index < end);
    expect(contains(ranges, index), `index ${index}`).toBe(expected);
  }
});
