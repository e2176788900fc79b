import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { Receipts } from '../../src/anchor/receipts.ts';
import { RoundTrees } from '../../src/anchor/roundtrees.ts';
import { createApp } from '../../src/api/app.ts';
import { listen } from '../../src/api/server.ts';
import { KINDS } from '../../src/kinds.ts';
import { Appender } from '../../src/log/appender.ts';
import { EntryReader } from '../../src/log/entries.ts';
import { ReceiptKeys } from '../../src/log/receipt-keys.ts';
import { RootSigning } from '../../src/log/root-signing.ts';
import { TileStore } from '../../src/log/tilestore.ts';
import { Operation } from '../../src/metrics/operation.ts';
import { openFoundation, realEffects } from '../../src/start/foundation.ts';
import { openLineHashing } from '../../src/start/line-hashing.ts';
import { openReadings } from '../../src/start/readings.ts';
import { openVerifications } from '../../src/start/verifications.ts';
import { Notifications } from '../../src/store/notifications.ts';
import { draft } from '../support/instance.ts';
import { testDatabase } from '../support/postgres.ts';
import { testConfig, testService } from '../support/service.ts';

it('what does not fit in the queue is refused at once and leaves the rest alone', async () => {
  const test = await testDatabase();
  const folder = await mkdtemp(join(tmpdir(), 'antequem-overload-'));
  const config = await testConfig(test.url, folder);
  const foundation = await openFoundation(config, realEffects);
  const { database, registry, publisher } = foundation;
  const appender = new Appender(database, realEffects, { maxQueuedBytes: 128 << 10 });
  const entries = new EntryReader(database);
  const tiles = new TileStore(database);
  const trees = new RoundTrees(database);
  const anchors = async (): Promise<[]> => [];
  const notifications = Notifications.listen(test.url);
  const app = createApp(
    {
      ...foundation,
      replica: null,
      checkpoints: publisher,
      appender,
      entries,
      tiles,
      trees,
      receipts: new Receipts({ database, entries, tiles, publisher, trees, anchors }),
      roots: new RootSigning({ registry, publisher, tiles, rollback: foundation.guard.rollback }),
      receiptKeys: new ReceiptKeys(database, registry, () => 0),
      readings: openReadings(config).readings,
      hashing: openLineHashing({ random: () => new Uint8Array(0) }),
      notifications,
      anchors,
      anchorStates: async () => new Map(),
      storedRound: async () => null,
      auditedChains: async () => [],
      quota: null,
      outside: { get: () => Promise.reject(new Error('nothing is asked')) },
      calendars: null,
      ownCalendar: null,
      calendar: null,
      now: Date.now,
      open: true,
      roundInterval: 60_000,
      finalityDelay: 0,
      operation: new Operation({
        database,
        kinds: KINDS,
        queue: {
          depth: async () => null,
          health: async () => ({ problem: null, notices: [] }),
          nextRun: async () => null,
        },
        roundInterval: 60_000,
        guard: foundation.guard,
        time: { now: Date.now },
        notices: () => [],
        stopping: new AbortController().signal,
      }),
      metricsToken: null,
      stopping: new AbortController().signal,
      logger: pino({ level: 'silent' }),
    },
    openVerifications(config),
  );
  const server = await listen(app, { host: '127.0.0.1', port: 0 });
  const { log } = await registry.create('busy', { blinded: true });
  const append = (bytes: number): Promise<Response> =>
    fetch(`${server.url}/v1/logs/busy/entries`, { method: 'POST', body: new Uint8Array(bytes) });

  // As long as somebody else holds the log's row nothing is committed.
  const holder = await database.connect();
  await holder.query('BEGIN');
  await holder.query('SELECT 1 FROM logs WHERE id = $1 FOR UPDATE', [log.id]);
  const waiting = [append(30_000), append(30_000)];
  await sleep(300);
  const refused = await append(30_000);
  expect(refused.status).toBe(503);
  expect(refused.headers.get('retry-after')).toBe('3');
  expect(await refused.json()).toMatchObject({ code: 'overloaded' });
  waiting.push(append(1_000));
  await sleep(100);
  await holder.query('ROLLBACK');
  holder.release();
  expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([201, 201, 201]);
  expect((await registry.head(log)).size).toBe(3);
  expect((await append(30_000)).status).toBe(201);

  await server.close();
  await notifications.close();
  await database.end();
  await test.drop();
  await rm(folder, { recursive: true });
});

it('an append finds a connection while everything else has taken all that there are', async () => {
  await using service = await testService({ config: { databaseConnections: 4 } });
  await service.send('PUT', '/v1/logs/busy');
  const { database, registry, appender } = service.foundation;
  const log = await registry.find('busy');
  if (log === null) throw new Error('the log is missing');
  const taken = await Promise.all(Array.from({ length: 4 }, () => database.connect()));
  let waits = true;
  const reads = database.query('SELECT 1').then(() => {
    waits = false;
  });
  const { index } = await appender.append(log, { drafts: [draft('in between')], idempotency: null });
  expect([index, waits]).toEqual([0, true]);
  for (const client of taken) client.release();
  await reads;
});
