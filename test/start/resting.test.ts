import { beforeEach, describe, expect, it } from 'vitest';
import { RestingWork } from '../../src/start/resting.ts';

describe('work that rests while entries are appended', () => {
  let now = 0;
  let slept: number[] = [];
  let commits = new Int32Array(new SharedArrayBuffer(4));
  let resting = new RestingWork(commits, { now: () => now, sleep: async () => {} });

  beforeEach(() => {
    now = 0;
    slept = [];
    commits = new Int32Array(new SharedArrayBuffer(4));
    const sleep = async (milliseconds: number): Promise<void> => {
      slept.push(milliseconds);
      now += milliseconds;
    };
    resting = new RestingWork(commits, { now: () => now, sleep });
  });

  const piece = (milliseconds: number, appended: number) => async (): Promise<number> => {
    now += milliseconds;
    Atomics.add(commits, 0, appended);
    return milliseconds;
  };

  it('goes on without a pause while nothing is', async () => {
    expect(await resting.work(piece(10, 0))).toBe(10);
    expect(await resting.work(piece(20, 0))).toBe(20);
    expect(slept).toEqual([]);
  });

  it('rests twice as long as a piece took during which something was, and no longer', async () => {
    await resting.work(piece(10, 3));
    await resting.work(piece(5, 0));
    await resting.work(piece(5, 0));
    expect(slept).toEqual([20]);
  });

  it('rests after a piece that failed', async () => {
    const failing = resting.work(async () => {
      await piece(7, 1)();
      throw new Error('no such entry');
    });
    await expect(failing).rejects.toThrow('no such entry');
    await resting.work(piece(1, 0));
    expect(slept).toEqual([14]);
  });

  it('does not wait for a time that has passed by itself', async () => {
    await resting.work(piece(10, 1));
    now += 100;
    await resting.work(piece(1, 0));
    expect(slept).toEqual([]);
  });

  it('rests for each of two pieces that were done side by side', async () => {
    const side = Promise.withResolvers<void>();
    const first = resting.work(() => side.promise);
    await resting.work(piece(10, 1));
    side.resolve();
    await first;
    await resting.work(piece(1, 0));
    expect(slept).toEqual([40]);
  });
});
