import { setFlagsFromString } from 'node:v8';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { WorkThread } from '../../src/api/thread.ts';

const MB = 2 ** 20;
/** Makes objects for a while, and tells what room there is for new ones. */
const BUSY = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort } from 'node:worker_threads';
    import { getHeapSpaceStatistics } from 'node:v8';
    parentPort.on('message', ({ id }) => {
      let kept = [];
      for (let i = 0; i < 20_000_000; i++) {
        if (kept.length === 100_000) kept = [];
        kept.push({ i });
      }
      const bytes = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space').space_size;
      parentPort.postMessage({ id, answer: bytes });
    });`)}`,
);

test('a thread has its own limit of new objects, whatever that of the process is', async () => {
  setFlagsFromString('--max-semi-space-size=16');
  const thread = new WorkThread({
    ...{ file: BUSY, data: null, parse: (answer) => z.number().parse(answer), what: 'a count' },
    ...{ atOnce: 1, mostWaiting: 1, heapMb: 64 },
  });
  try {
    expect(await thread.ask(null)).toBeLessThanOrEqual(8 * MB);
  } finally {
    await thread.close();
  }
});
