import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { within } from '../../src/core/time-limit.ts';

const never = new Promise<string>(() => {});

test('what comes in time is the outcome, a failure too', async () => {
  expect(await within(60_000, Promise.resolve('done'), () => null)).toBe('done');
  await expect(within(60_000, Promise.reject(new Error('broken')), () => null)).rejects.toThrow('broken');
});

test('what takes longer is given up, by a value or by an error', async () => {
  expect(await within(1, never, () => null)).toBeNull();
  const late = (): never => {
    throw new Error('too slow');
  };
  await expect(within(1, never, late)).rejects.toThrow('too slow');
});

test('a failure that comes too late is no unhandled rejection', async () => {
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
