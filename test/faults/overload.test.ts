import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { expect, test } from 'vitest';
import { ORIGIN } from '../support/instance.ts';
import { testDatabase } from '../support/postgres.ts';
import { startServiceChild } from '../support/service-child.ts';

const SECONDS = 4;
const CLIENTS = 120;
const BODY = new Uint8Array(1 << 20);

test('far more than can be taken, for a log whose commit hangs: refused with Retry-After, memory stays flat, other logs go on', async () => {
  const database = await testDatabase();
  const folder = await mkdtemp(join(tmpdir(), 'antequem-overload-'));
  const LOG_SEED_FILE = join(folder, 'seed');
  await writeFile(LOG_SEED_FILE, '07'.repeat(32));
  const service = await startServiceChild({
    DATABASE_URL: database.url,
    ORIGIN,
    LOG_SEED_FILE,
    PORT: '0',
    ROLES: 'api',
  });
  const holder = new pg.Client({ connectionString: database.url });
  await holder.connect();
  for (const log of ['stuck', 'free']) await fetch(`${service.url}/v1/logs/${log}`, { method: 'PUT' });
  await holder.query('BEGIN');
  await holder.query(`SELECT 1 FROM logs WHERE name = 'stuck' FOR UPDATE`);

  const answers = new Map<string, number>();
  let retryable = 0;
  let over = false;
  const send = async (log: string, body: Uint8Array<ArrayBuffer>): Promise<string> => {
    try {
      const response = await fetch(`${service.url}/v1/logs/${log}/entries`, { method: 'POST', body });
      await response.arrayBuffer();
      if (response.status === 503 && response.headers.get('retry-after') !== null) retryable++;
      return String(response.status);
    } catch {
      return 'cut';
    }
  };
  const clients = Array.from({ length: CLIENTS }, async () => {
    while (!over) {
      const outcome = await send('stuck', BODY);
      answers.set(outcome, (answers.get(outcome) ?? 0) + 1);
      await sleep(250);
    }
  });
  let free = 0;
  const other = (async () => {
    while (!over) {
      // Refused as well while all is full of bodies; taken as soon as one is done.
      if ((await send('free', new Uint8Array(100))) === '201') free++;
      await sleep(20);
    }
  })();

  const memory: number[] = [];
  for (let i = 0; i < SECONDS * 4; i++) {
    await sleep(250);
    memory.push(Math.round((await service.memory()) / 2 ** 20));
  }
  over = true;
  await holder.query('ROLLBACK');
  await holder.end();
  await Promise.all([...clients, other]);

  const half = memory.length / 2;
  const [early, late] = [Math.max(...memory.slice(0, half)), Math.max(...memory.slice(half))];
  console.log(
    `${CLIENTS} clients with 1 MiB each for ${SECONDS} s: at most ${early} MB, then ${late} MB; answers ${JSON.stringify(Object.fromEntries(answers))}; ` +
      `${free} entries of another log taken meanwhile`,
  );
  expect(answers.get('503')).toBeGreaterThan(CLIENTS);
  expect(retryable).toBeGreaterThanOrEqual(answers.get('503') ?? 0);
  expect(Math.max(early, late)).toBeLessThan(700);
  expect(late).toBeLessThan(early + 100);
  expect(free).toBeGreaterThan(0);
  // What waited was taken once the lock was gone, and all is as before.
  expect(await send('stuck', new Uint8Array(10))).toBe('201');
  await service.stop();
  await database.drop();
  await rm(folder, { recursive: true });
});
