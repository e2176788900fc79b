import { expect, it } from 'vitest';
import { PROBLEM_STATUS } from '../../src/core/problem-codes.ts';
import { documentedProblems } from '../support/problems.ts';

it('docs/problems.md lists every problem with its status, and no other', async () => {
  expect(await documentedProblems()).toEqual(new Map<string, number>(Object.entries(PROBLEM_STATUS)));
});
