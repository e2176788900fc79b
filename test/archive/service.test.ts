import { afterAll, beforeAll, expect, test } from 'vitest';
import { Bucket } from '../../src/archive/bucket.ts';
import { readPasses } from '../../src/archive/passes.ts';
import type { ArchiveConfig } from '../../src/config/archive.ts';
import { run } from '../cli/command.ts';
import { KEYS, objectStoreMissing, type TestStore, testStore } from '../support/object-store.ts';
import { testService } from '../support/service.ts';

const when = test.skipIf(objectStoreMissing !== null);
const DAY_MS = 86_400_000;
let store: TestStore;

beforeAll(async () => {
  if (objectStoreMissing === null) store = await testStore();
});
afterAll(() => store?.stop());

when('a service archives by itself; the store away, old payloads answer 503 and everything else goes on', async () => {
  const [open, closed] = [await store.bucket('service-public'), await store.bucket('service-private')];
  const archive: ArchiveConfig = {
    publicBuckets: [open],
    privateBuckets: [closed],
    after: DAY_MS,
    publishRounds: false,
    retention: null,
  };
  let ahead = 0;
  await using service = await testService({
    config: { roles: ['api', 'worker'], archive, reconcileInterval: 200 },
    ahead: () => ahead,
  });
  const { database } = service.foundation;
  await service.send('PUT', '/v1/logs/demo');
  const lines = Array.from({ length: 600 }, (_, i) => `line ${i}`).join('\n');
  const appended = await service.send('POST', '/v1/logs/demo/entries?split=lines', { body: lines });
  expect(appended.status).toBe(201);
  await service.closeRound();
  const receipt = await service.send('GET', '/v1/logs/demo/entries/7/receipt');
  const bundle = await service.send('GET', '/logs/demo/tile/entries/000');

  // Entries grow old: first they are published, and after 11 days their blocks are moved. A block that is published after it
  // was moved would be remembered.
  ahead = 5 * DAY_MS;
  const last = await service.send('GET', '/logs/demo/tile/entries/001');
  const shown = (name: string): Promise<Uint8Array | null> => new Bucket(open).get(name, 1 << 20);
  const patience = { timeout: 30_000, interval: 100 };
  await expect.poll(() => shown('logs/demo/tile/entries/001'), patience).toEqual(new Uint8Array(last.bytes));
  expect(await shown('logs/demo/tile/entries/000')).toEqual(new Uint8Array(bundle.bytes));
  const archived = async (): Promise<number> => (await database.query('SELECT FROM archived_blocks')).rowCount ?? 0;
  expect(await archived()).toBe(0);
  ahead = 40 * DAY_MS;
  await expect.poll(archived, patience).toBe(2);
  const left = async (): Promise<number> =>
    (await database.query('SELECT FROM tiles WHERE hashes IS NOT NULL')).rowCount ?? 0;
  await expect.poll(left, patience).toBe(0);
  await expect
    .poll(
      async () => (await readPasses(database)).map(({ problem, passedAt }) => [problem, passedAt !== null]),
      patience,
    )
    .toEqual([
      [null, true],
      [null, true],
    ]);
  ahead = 0;
  const payload = await service.send('GET', '/v1/logs/demo/entries/7/payload');
  expect([payload.status, payload.text]).toEqual([200, 'line 7']);
  const again = await service.send('GET', '/v1/logs/demo/entries/7/receipt');
  expect(again.at('entry')).toEqual(receipt.at('entry'));
  const exported = await service.send('GET', '/v1/logs/demo/export?receipts=false');
  expect(exported.text).toContain('"line 3"');

  const env = {
    DATABASE_URL: service.config.databaseUrl,
    ARCHIVE_URL: 's3://service-public',
    ARCHIVE_PRIVATE_URL: 's3://service-private',
    AWS_ENDPOINT_URL_S3: store.endpoint,
    AWS_ACCESS_KEY_ID: KEYS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: KEYS.secretAccessKey,
  };
  const [status, verified] = await Promise.all([
    run(['archive', 'status'], { env }),
    run(['archive', 'verify', '--json'], { env }),
  ]);
  expect([status.code, status.stdout]).toEqual([0, expect.stringContaining('private: up to date')]);
  expect(status.stdout).toContain('tiles in the public archive alone: 2');
  expect(verified.code).toBe(0);
  expect(JSON.parse(verified.stdout)).toMatchObject({ public: { faulty: 0 }, private: { objects: 4, faulty: 0 } });

  await store.down();
  const away = await Promise.all([
    service.send('GET', '/v1/logs/demo/entries/300/payload'),
    service.send('GET', '/v1/logs/demo/entries/300/receipt'),
    service.send('DELETE', '/v1/logs/demo/entries/301/payload'),
  ]);
  expect(new Set(away.map(({ status, code }) => `${status} ${code}`))).toEqual(new Set(['503 archive-unavailable']));
  const fresh = await service.send('GET', '/v1/logs/demo/entries/580/payload');
  expect([fresh.status, fresh.text]).toEqual([200, 'line 580']);
  expect((await service.send('GET', '/v1/logs/demo/entries/580/receipt')).status).toBe(200);
  expect((await service.send('GET', '/v1/logs/demo/proofs/consistency?from=512&to=600')).status).toBe(200);
  // What was read lately is remembered.
  expect((await service.send('GET', '/v1/logs/demo/entries/8/payload')).text).toBe('line 8');
  expect((await service.send('POST', '/v1/logs/demo/entries', { body: 'one more' })).status).toBe(201);
  await expect
    .poll(async () => (await service.send('GET', '/readyz')).text, { timeout: 30_000, interval: 200 })
    .toContain('archive is not up to date (archive-unavailable)');
  expect((await service.send('GET', '/readyz')).status).toBe(200);
  expect((await service.send('GET', '/metrics')).text).toMatch(
    /antequem_archive_failing_seconds\{archive="private"\} \d/,
  );
});
