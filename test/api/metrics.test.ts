import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KINDS } from '../../src/kinds.ts';
import { Cached } from '../../src/metrics/operation.ts';
import { readState } from '../../src/metrics/state.ts';
import { DatabaseProxy } from '../support/database-proxy.ts';
import { openInstance } from '../support/instance.ts';
import { testDatabase } from '../support/postgres.ts';
import { type TestService, testService } from '../support/service.ts';

const found = spawnSync('promtool', ['--version']).status === 0;
const noPromtool = found || process.env.CI === 'true' ? null : 'promtool is not installed (apt-get install prometheus)';
if (noPromtool !== null) console.warn(`Tests with promtool are skipped: ${noPromtool}`);
const skipped = noPromtool === null ? '' : ` (skipped: ${noPromtool})`;

const TOKEN = 'a-token-that-opens-metrics';

/** The value of a metric; labels as they are printed. */
function metricOf(text: string, metric: string): number | null {
  const line = text.split('\n').find((each) => each.startsWith(`${metric} `));
  return line === undefined ? null : Number(line.slice(metric.length + 1));
}

describe('/metrics', () => {
  const proxy = new DatabaseProxy();
  let service: TestService;
  let folder: string;
  let admin: string;
  beforeAll(async () => {
    await proxy.listen();
    folder = await mkdtemp(join(tmpdir(), 'antequem-metrics-'));
    const metricsTokenFile = join(folder, 'token');
    await writeFile(metricsTokenFile, `${TOKEN}\n`);
    service = await testService({
      open: false,
      via: (url) => proxy.via(url),
      config: { operation: { rateLimit: null, metricsTokenFile, drainDelay: 0, webhookAllowPrivate: false } },
    });
    admin = (await service.key(['admin'])).token;
    await service.send('PUT', '/v1/logs/demo', { token: admin });
    const body = 'a\nb\nc';
    await service.send('POST', '/v1/logs/demo/entries?split=lines', { token: admin, body });
    await service.foundation.database.query(
      `INSERT INTO targets (name, chain, contract, mode, ephemeral, first_round, created_at)
       VALUES ('main', 'eip155:1', '0x' || repeat('ab', 20), 'anchor', false, 1, 0)`,
    );
    await service.foundation.database.query(
      `INSERT INTO evm_accounts (chain, address, target, created_at, balance, balance_low, balance_at)
       VALUES ('eip155:1', '0x' || repeat('cd', 20), 'main', 0, 1500000000000000000, true, 0)`,
    );
  });
  afterAll(async () => {
    await service[Symbol.asyncDispose]();
    await proxy.cut();
    await rm(folder, { recursive: true });
  });

  it('are for the token and for admins', async () => {
    const { token: reader } = await service.key(['read', 'append']);
    const { token: some } = await service.key(['admin'], ['demo']);
    const status = async (token?: string): Promise<number> =>
      (await service.send('GET', '/metrics', token === undefined ? {} : { token })).status;
    expect(await status()).toBe(401);
    expect(await status(`${TOKEN}x`)).toBe(401);
    expect(await status(reader)).toBe(403);
    expect(await status(some)).toBe(403);
    expect(await status(admin)).toBe(200);
    expect(await status(TOKEN)).toBe(200);
    // And the token is for nothing else.
    expect((await service.send('GET', '/v1/logs', { token: TOKEN })).status).toBe(401);
  });

  it('tell what happened here and where the service stands', async () => {
    const { text, headers } = await service.send('GET', '/metrics', { token: TOKEN });
    expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(metricOf(text, 'antequem_committed_entries_total')).toBe(3);
    expect(metricOf(text, 'antequem_commit_seconds_count')).toBe(1);
    expect(metricOf(text, 'antequem_http_requests_total{status="4xx"}')).toBeGreaterThanOrEqual(4);
    expect(metricOf(text, 'antequem_database_up')).toBe(1);
    expect(metricOf(text, 'antequem_unanchored_entries')).toBe(3);
    expect(metricOf(text, 'antequem_unanchored_oldest_seconds')).toBeGreaterThan(0);
    expect(metricOf(text, 'antequem_target_stopped{target="main"}')).toBe(0);
    const account = `target="main",chain="eip155:1",address="0x${'cd'.repeat(20)}"`;
    expect(metricOf(text, `antequem_balance_coins{${account}}`)).toBe(1.5);
    expect(metricOf(text, `antequem_balance_low{${account}}`)).toBe(1);
    expect(metricOf(text, 'antequem_queue_jobs{lane="webhooks",state="waiting"}')).toBe(0);
    expect(metricOf(text, 'process_resident_memory_bytes')).toBeGreaterThan(1e6);
    expect(text).not.toContain(TOKEN);
  });

  it('are still there without the database, for the token', async () => {
    await proxy.cut();
    const { status, text } = await service.send('GET', '/metrics', { token: TOKEN });
    await proxy.listen();
    expect(status).toBe(200);
    expect(metricOf(text, 'process_cpu_seconds_total')).toBeGreaterThan(0);
  });

  it.skipIf(noPromtool !== null)(`are what promtool takes for metrics${skipped}`, async () => {
    const { text } = await service.send('GET', '/metrics', { token: TOKEN });
    const checked = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
    const ours = checked.stderr.split('\n').filter((line) => line.startsWith('antequem_'));
    expect(ours).toEqual([]);
  });
});

describe('entries that no final anchor covers', () => {
  it('are counted from the newest round that is final with some target', async () => {
    const ground = await testDatabase();
    const instance = await openInstance(ground.url);
    const { database } = instance;
    const open = async (): Promise<[number, boolean]> => {
      const { unanchored } = await readState(KINDS, database, Date.now());
      return [unanchored.entries, unanchored.oldest !== null];
    };
    try {
      expect(await open()).toEqual([0, false]);
      const [a, b] = [await instance.makeLog('a'), await instance.makeLog('b')];
      await instance.append(a, '1', '2');
      await instance.append(b, '3');
      expect(await open()).toEqual([3, true]);
      await instance.closeRound();
      await instance.append(a, '4');
      await instance.closeRound();
      expect(await open()).toEqual([4, true]);
      for (const name of ['main', 'side']) {
        await database.query(
          `INSERT INTO targets (name, chain, contract, mode, ephemeral, first_round, created_at)
           VALUES ($1, 'eip155:1', '0x' || repeat('ab', 20), 'anchor', false, 1, 0)`,
          [name],
        );
        await database.query(
          'INSERT INTO anchors (target, round, created_at, updated_at) SELECT $1, number, 0, 0 FROM rounds',
          [name],
        );
      }
      expect(await open()).toEqual([4, true]);
      const finalize = (round: number, target: string): Promise<unknown> =>
        database.query(
          `UPDATE anchors SET status = 'finalized', transaction = sha256(''), block_number = 1, block_hash = sha256(''),
                  block_time = 1, finalized_at = 1 WHERE round = $1 AND target = $2`,
          [round, target],
        );
      await finalize(1, 'main');
      expect(await open()).toEqual([1, true]);
      await finalize(2, 'main');
      expect(await open()).toEqual([0, false]);
      await instance.append(b, '5', '6');
      expect(await open()).toEqual([2, true]);
    } finally {
      await instance.end();
      await ground.drop();
    }
  });
});

describe('entries that are in no round', () => {
  it('are as old as the oldest of any log but `_system`', async () => {
    const ground = await testDatabase();
    const instance = await openInstance(ground.url);
    const since = async () => (await readState(KINDS, instance.database, Date.now())).unroundedSince;
    try {
      expect(await since()).toBeNull();
      const [a, b] = [await instance.makeLog('a'), await instance.makeLog('b')];
      const before = Date.now();
      await instance.append(a, '1');
      const first = await since();
      expect(first).toBeGreaterThanOrEqual(before);
      await instance.append(a, '2');
      await instance.append(b, '3');
      expect(await since()).toBe(first);
      await instance.closeRound();
      expect(await since()).toBeNull();
      await instance.append(b, '4');
      expect(await since()).toBeGreaterThanOrEqual(first ?? Number.POSITIVE_INFINITY);
    } finally {
      await instance.end();
      await ground.drop();
    }
  });
});

describe('a value that is asked for often', () => {
  it('is read once, shared by those who wait, and read again when it is old', async () => {
    let reads = 0;
    let clock = 0;
    const cached = new Cached(async () => ++reads, { kept: 100, patience: 1_000, clock: () => clock });
    expect(await Promise.all([cached.get(), cached.get(), cached.get()])).toEqual([1, 1, 1]);
    clock = 99;
    expect(await cached.get()).toBe(1);
    clock = 100;
    expect(await cached.get()).toBe(2);
  });

  it('is null where it hangs or fails, and is not asked for twice meanwhile', async () => {
    let reads = 0;
    const { promise, resolve } = Promise.withResolvers<number>();
    const cached = new Cached(() => (reads++ === 0 ? promise : Promise.reject(new Error('no'))), {
      kept: 0,
      patience: 20,
    });
    expect(await Promise.all([cached.get(), cached.get()])).toEqual([null, null]);
    expect(reads).toBe(1);
    resolve(7);
    expect(await cached.get()).toBe(7);
    expect(await cached.get()).toBeNull();
  });
});
