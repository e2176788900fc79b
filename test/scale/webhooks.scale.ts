// Workers that are killed while rounds close: every event still reaches its receiver.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { openDatabase } from '../../src/store/database.ts';
import { Webhooks } from '../../src/webhooks/webhooks.ts';
import { closeRounds } from '../support/anchoring.ts';
import { testDatabase } from '../support/postgres.ts';
import { openReceiver } from '../support/receiver.ts';
import { type ServiceChild, startServiceChild } from '../support/service-child.ts';

const ROUNDS = 200;

test('kill -9 of workers loses no event', { timeout: 300_000 }, async () => {
  const ground = await testDatabase();
  const database = openDatabase(ground.url);
  const folder = await mkdtemp(join(tmpdir(), 'antequem-webhooks-'));
  await writeFile(join(folder, 'seed'), '07'.repeat(32));
  const environment = {
    DATABASE_URL: ground.url,
    ORIGIN: 'log.test',
    LOG_SEED_FILE: join(folder, 'seed'),
    ROLES: 'worker',
    WEBHOOK_ALLOW_PRIVATE: 'true',
  };
  await using receiver = await openReceiver();
  // Slow enough for a kill to hit attempts under way.
  receiver.answer = (_, response) => void sleep(30).then(() => response.writeHead(204).end());
  const random = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length));
  const webhooks = new Webhooks({ database, now: Date.now, random, allowPrivate: true });
  const { id } = await webhooks.create({ url: receiver.url, events: ['round.closed'] });
  let worker: ServiceChild | null = null;
  let kills = 0;
  try {
    for (let closed = 0; closed < ROUNDS; closed += 20) {
      worker = await startServiceChild(environment);
      await closeRounds(database, 20);
      await sleep(200 + Math.random() * 400);
      await worker.kill();
      kills++;
    }
    worker = await startServiceChild(environment);
    // Claims of those that were killed last half a minute.
    for (let i = 0; (await webhooks.read(id)).deliveries.delivered < ROUNDS; i++) {
      expect(i).toBeLessThan(900);
      await sleep(200);
    }
    const numbers = new Set(receiver.received.map(({ data }) => data.number));
    console.log(`${kills} kills, ${ROUNDS} events, ${receiver.received.length} attempts reached the receiver`);
    expect(numbers.size).toBe(ROUNDS);
    expect(receiver.received.length).toBeGreaterThanOrEqual(ROUNDS);
  } finally {
    await worker?.stop();
    await database.end();
    await ground.drop();
    await rm(folder, { recursive: true });
  }
});
