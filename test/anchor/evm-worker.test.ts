import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { requestRound } from '../../src/anchor/jobs.ts';
import { startWorker } from '../../src/anchor/worker.ts';
import { openQueue, type Queue } from '../../src/queue/queue.ts';
import { type AnchorGround, anchorGround, minedAnchors, SENDER, silent, statuses } from '../support/anchoring.ts';
import { DEEP } from '../support/deep.ts';
import { ORIGIN } from '../support/instance.ts';
import { QUEUE_GROUNDS, type QueueGround } from '../support/queues.ts';

let ground: AnchorGround;
let queueGround: QueueGround;
let processes: { queue: Queue; stop(): Promise<void> }[] = [];

/** What one process does. `rounds`: how many it closes at every look. */
async function startProcess(
  rounds: () => number = () => 0,
  intervals: { roundInterval?: number; reconcileInterval?: number } = {},
): Promise<Queue> {
  const queue = await openQueue({
    origin: ORIGIN,
    databaseUrl: queueGround.databaseUrl,
    logger: silent,
    ...redisOf(queueGround),
  });
  const worker = await startWorker({
    database: ground.database,
    queue,
    targets: [ground.target()],
    closeRound: async () => {
      const count = rounds();
      return count === 0 ? null : ground.close(count);
    },
    roundInterval: 500,
    reconcileInterval: 1_000,
    ...intervals,
    now: Date.now,
    logger: silent,
  });
  const stop = async (): Promise<void> => {
    await worker.stop();
    await queue.close();
  };
  processes.push({ queue, stop });
  return queue;
}

function redisOf({ redisUrl }: QueueGround): { redisUrl?: string } {
  return redisUrl === undefined ? {} : { redisUrl };
}

/** As long as it takes: how fast this is depends on the machine. */
async function untilFinal(count: number): Promise<void> {
  while ((await statuses(ground.database)).finalized !== count) await pause(50);
  expect(await statuses(ground.database)).toEqual({ finalized: count });
}

/** Ends a test that hangs; far more than a slow machine needs. */
const HANG_MS = DEEP ? 900_000 : 300_000;

async function expectOnce(count: number): Promise<void> {
  const mined = await minedAnchors(ground);
  expect(mined.size).toBe(count);
  expect([...mined.values()].every((times) => times === 1)).toBe(true);
  expect(await ground.chain.provider.getTransactionCount(SENDER)).toBe(count);
}

describe.each(QUEUE_GROUNDS)('with the queue on $name', { timeout: HANG_MS }, ({ name, open }) => {
  beforeEach(async () => {
    [ground, queueGround] = await Promise.all([anchorGround(), open()]);
  });
  afterEach(async () => {
    await Promise.all(processes.map((process) => process.stop()));
    processes = [];
    await Promise.all([ground.stop(), queueGround.stop()]);
  });

  test('rounds are closed on a schedule and anchored', async () => {
    let left = 3;
    await startProcess(() => (left-- > 0 ? 1 : 0), { reconcileInterval: 60_000 });
    await untilFinal(3);
    await expectOnce(3);
  });

  test('a round is closed when asked for', async () => {
    let looks = 0;
    let due = 0;
    const queue = await startProcess(
      () => {
        looks += 1;
        const count = due;
        due = 0;
        return count;
      },
      { roundInterval: 60_000, reconcileInterval: 60_000 },
    );
    // One at the start, and one by the schedule that begins with it.
    while (looks < 2) await pause(10);
    due = 1;
    await requestRound(queue);
    await untilFinal(1);
    // Not by a schedule of a minute.
    expect(looks).toBeGreaterThanOrEqual(3);
  });

  test('two processes at once: one transaction a round, no nonce gap', async () => {
    await ground.close(200);
    await Promise.all([startProcess(), startProcess()]);
    await untilFinal(200);
    await expectOnce(200);
  });

  test('the queue loses everything in the middle: every round is anchored all the same', async () => {
    await ground.close(240);
    await startProcess();
    while (((await statuses(ground.database)).finalized ?? 0) < 1) await pause(10);
    await queueGround.flush();
    expect((await statuses(ground.database)).finalized).toBeLessThan(240);
    await ground.close(20);
    await untilFinal(260);
    await expectOnce(260);
  });

  const many = !DEEP ? 60 : name === 'PostgreSQL' ? 1_000 : 200;
  test(`${many} rounds on a chain started anew are anchored again`, async () => {
    await ground.close(many);
    await startProcess(undefined, { reconcileInterval: 5_000 });
    const start = performance.now();
    await untilFinal(many);
    const first = performance.now() - start;
    await ground.chain.down();
    await pause(500);
    await ground.chain.up();
    const restarted = performance.now();
    while ((await statuses(ground.database)).finalized === many) await pause(20);
    const noticed = performance.now() - restarted;
    await untilFinal(many);
    const again = performance.now() - restarted;
    const seconds = (ms: number): string => (ms / 1_000).toFixed(1);
    console.log(
      `${name}: ${many} rounds anchored in ${seconds(first)} s; after a restart noticed in ${seconds(noticed)} s, anchored again in ${seconds(again)} s`,
    );
    await expectOnce(many);
  });
});
