// A file of 2 GB in the page: hashed as it is read, with next to nothing in memory and a bar that moves.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { bundlePage } from '../../src/pages/bundle.ts';
import { browserMissing, openWatched, testBrowser } from '../support/browser.ts';

const SIZE = 2 * 1024 ** 3;
const MOST_GROWTH = 64 << 20;

const usage = z.object({ usedSize: z.number(), embedderHeapUsedSize: z.number(), backingStorageSize: z.number() });
const workerAnswer = z.object({ id: z.literal(1), result: usage });

test.skipIf(browserMissing !== null)('a 2 GB file hashes in the page', { timeout: 900_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'antequem-page-'));
  const big = join(folder, 'big.bin');
  // Sparse, but for a mark at either end and in the middle.
  const file = await open(big, 'w');
  await file.truncate(SIZE);
  for (const position of [0, SIZE / 2, SIZE - 8]) await file.write(Buffer.from('antequem'), 0, 8, position);
  await file.close();
  const verifier = join(folder, 'verify.html');
  await writeFile(verifier, await bundlePage('verify'));
  const browser = await testBrowser();
  try {
    const { page, complaints } = await openWatched(browser);
    await page.goto(pathToFileURL(verifier).href);
    const memory = await watchMemory(page);
    const before = await memory.bytes();

    const began = performance.now();
    await page.getByLabel('Choose or drop the file').setInputFiles(big);
    const bar = page.getByRole('progressbar', { name: 'Hashing the file' });
    const seen = new Set<number>();
    let most = 0;
    await bar.waitFor();
    while ((await bar.count()) > 0) {
      seen.add(Number(await bar.getAttribute('value', { timeout: 1_000 }).catch(() => 0)));
      most = Math.max(most, await memory.bytes());
      await sleep(200);
    }
    const seconds = (performance.now() - began) / 1_000;
    const growth = most - before;
    console.log(
      `2 GB in ${seconds.toFixed(1)} s, ${seen.size} positions of the bar; heap and array buffers of page and worker grew by ${(growth / 2 ** 20).toFixed(1)} MB`,
    );
    expect(memory.workers).toBeGreaterThan(0);
    expect(seen.size).toBeGreaterThan(5);
    expect(growth).toBeLessThan(MOST_GROWTH);

    // Right down to the last byte: a receipt of another digest is refuted with the one the page found.
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(big)) hash.update(chunk);
    await expect(page.getByText(hash.digest('hex')).waitFor({ timeout: 5_000 })).resolves.toBeUndefined();
    expect(complaints).toEqual([]);
  } finally {
    await browser.close();
    await rm(folder, { recursive: true });
  }
});

interface MemoryWatch {
  /** Heap and array buffers of the page and all of its workers. */
  bytes(): Promise<number>;
  /** How many workers have answered. */
  readonly workers: number;
}

/** Asks the page and its workers for their memory, over the browser's debugging protocol. */
async function watchMemory(page: Page): Promise<MemoryWatch> {
  const session = await page.context().newCDPSession(page);
  const workers = new Set<string>();
  const answered = new Set<string>();
  const waiting = new Map<string, (bytes: number) => void>();
  session.on('Target.attachedToTarget', ({ sessionId }) => workers.add(sessionId));
  session.on('Target.detachedFromTarget', ({ sessionId }) => {
    workers.delete(sessionId);
    waiting.get(sessionId)?.(0);
  });
  session.on('Target.receivedMessageFromTarget', ({ sessionId, message }) => {
    const parsed = workerAnswer.safeParse(JSON.parse(message));
    if (!parsed.success) return;
    answered.add(sessionId);
    waiting.get(sessionId)?.(sum(parsed.data.result));
  });
  await session.send('Target.setAutoAttach', { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
  const ofWorker = async (sessionId: string): Promise<number> => {
    const answer = new Promise<number>((resolve) => waiting.set(sessionId, resolve));
    const message = JSON.stringify({ id: 1, method: 'Runtime.getHeapUsage' });
    await session.send('Target.sendMessageToTarget', { sessionId, message }).catch(() => waiting.get(sessionId)?.(0));
    return answer;
  };
  return {
    get workers() {
      return answered.size;
    },
    async bytes() {
      const own = sum(usage.parse(await session.send('Runtime.getHeapUsage')));
      return (await Promise.all([...workers].map(ofWorker))).reduce((a, b) => a + b, own);
    },
  };
}

function sum({ usedSize, embedderHeapUsedSize, backingStorageSize }: z.infer<typeof usage>): number {
  return usedSize + embedderHeapUsedSize + backingStorageSize;
}
