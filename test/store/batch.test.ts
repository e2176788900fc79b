import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Batch } from '../../src/store/batch.ts';

/** A batch that notes what went together, and answers when it is told to. */
function slow(limit = 100) {
  const asked: number[][] = [];
  const open: (() => void)[] = [];
  const batch = new Batch<number, string>(async (questions) => {
    asked.push([...questions]);
    await new Promise<void>((resolve) => open.push(resolve));
    if (questions.includes(13)) throw new Error('unlucky');
    return questions.map((question) => `answer to ${question}`);
  }, limit);
  return { batch, asked, next: () => open.shift()?.() };
}

test('what one turn asks goes together, and each is told its own answer', async () => {
  const { batch, asked, next } = slow();
  const answers = Promise.all([1, 2, 3].map((question) => batch.get(question)));
  await sleep(5);
  next();
  expect(await answers).toEqual(['answer to 1', 'answer to 2', 'answer to 3']);
  expect(asked.flat()).toEqual([1, 2, 3]);
});

test('what comes while all lanes are taken waits, is asked after it came, and goes at once then', async () => {
  const { batch, asked, next } = slow(2);
  const first = [1, 2, 3].map(async (question) => {
    const answer = batch.get(question);
    await sleep(2);
    return answer;
  });
  await sleep(5);
  const before = asked.length;
  const late = [7, 8, 9].map((question) => batch.get(question));
  await sleep(5);
  expect(asked.length).toBeLessThanOrEqual(3);
  expect(asked.slice(0, before).flat()).not.toContain(7);
  for (let i = 0; i < 8; i++) {
    next();
    await sleep(2);
  }
  expect(await Promise.all([...first, ...late])).toHaveLength(6);
  expect(asked.flat().toSorted((a, b) => a - b)).toEqual([1, 2, 3, 7, 8, 9]);
  expect(Math.max(...asked.map(({ length }) => length))).toBe(2);
});

test('a failure is told to all that went together, and what comes after is asked again', async () => {
  const { batch, next } = slow();
  const failed = Promise.allSettled([12, 13].map((question) => batch.get(question)));
  await sleep(5);
  next();
  next();
  expect((await failed).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  const again = batch.get(14);
  await sleep(5);
  next();
  expect(await again).toBe('answer to 14');
});
