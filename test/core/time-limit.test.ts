import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { within } from '../../src/core/time-limit.ts';

const never = new Promise<string>(() => {});

test('a result or an error in time is passed on', async () => {
  expect(await within(60_000, Promise.resolve('done'), () => null)).toBe('done');
  await expect(within(60_000, Promise.reject(new Error('broken')), () => null)).rejects.toThrow('broken');
});

test('work that takes longer is abandoned, with a value or an error', async () => {
  expect(await within(1, never, () => null)).toBeNull();
  const late = (): never => {
    throw new Error('too slow');
  };
  await expect(within(1, never, late)).rejects.toThrow('too slow');
});

test('a late failure is not an unhandled rejection', async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', note);
  const work = Promise.withResolvers<string>();
  expect(await within(1, work.promise, () => 'late')).toBe('late');
  work.reject(new Error('too late'));
  await sleep(10);
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});
