import { afterAll, beforeAll, expect, test } from 'vitest';
import { Bucket } from '../../src/archive/bucket.ts';
import { ObjectStores } from '../../src/archive/object-stores.ts';
import { recordPass } from '../../src/archive/passes.ts';
import { renewRounds } from '../../src/archive/published-rounds.ts';
import { type PublishingOptions, publishArchive } from '../../src/archive/publishing.ts';
import { shownRounds } from '../../src/archive/shown-rounds.ts';
import { verifyPublished } from '../../src/archive/verification.ts';
import { auditRemote } from '../../src/audit/remote/audit.ts';
import { composeReceipt } from '../../src/audit/remote/receipt.ts';
import type { AuditSource } from '../../src/audit/remote/source.ts';
import { MirrorState } from '../../src/audit/remote/state.ts';
import { fromHex } from '../../src/core/bytes.ts';
import { formatVerifierKey, parseVerifierKey } from '../../src/core/note.ts';
import type { Anchor } from '../../src/core/receipt.ts';
import type { Log } from '../../src/log/log.ts';
import { type Instance, ORIGIN, openInstance } from '../support/instance.ts';
import { objectStoreMissing, type TestStore, testStore } from '../support/object-store.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

const when = test.skipIf(objectStoreMissing !== null);

let store: TestStore;
let database: TestDatabase;
let one: Instance;
let log: Log;

beforeAll(async () => {
  if (objectStoreMissing !== null) return;
  [store, database] = await Promise.all([testStore(), testDatabase()]);
  one = await openInstance(database.url);
  log = await one.makeLog('demo');
  await one.append(log, ...Array.from({ length: 300 }, (_, i) => `entry ${i}`));
  await one.closeRound();
  await one.append(log, ...Array.from({ length: 250 }, (_, i) => `then ${i}`));
  await one.closeRound();
  await one.append(log, 'the last');
  await one.closeRound();
});
afterAll(async () => {
  await one?.end();
  await database?.drop();
  await store?.stop();
});

const sourceOf = (bucket: Bucket): AuditSource => ({
  describe: () => bucket.describe(),
  read: (path, most) => bucket.get(path, most),
  close: () => {},
});

function options(bucket: Bucket, publishRounds: boolean): PublishingOptions {
  const { database, tiles, entries, trees, registry, publisher } = one;
  return {
    database,
    store: bucket,
    tiles,
    entries,
    trees,
    registry,
    checkpoints: publisher,
    anchors: async () => [],
    chains: async () => [],
    publishRounds,
    lock: () => null,
    signal: new AbortController().signal,
  };
}

const audit = (bucket: Bucket, keys: readonly string[] = [], source = sourceOf(bucket)) =>
  auditRemote({
    source,
    keeper: null,
    state: new MirrorState(null),
    verifiers: keys.map(parseVerifierKey),
    nodes: [],
    bitcoin: [],
    senders: [],
    fromBlock: 0,
    against: null,
    onProgress: () => {},
    clock: () => performance.now(),
  });

async function namesIn(bucket: Bucket): Promise<string[]> {
  const names: string[] = [];
  for await (const name of bucket.list('')) names.push(name);
  return names;
}

const keyOf = async (of: Log = log): Promise<string> => {
  const { rows } = await one.database.query<{ public_key: Uint8Array }>(
    'SELECT public_key FROM log_keys WHERE log = $1',
    [of.id],
  );
  return formatVerifierKey(of.origin, new Uint8Array(rows[0]?.public_key ?? []));
};

when('the bucket is a static log: tiles, bundles and checkpoint of a round, and roots without leaves', async () => {
  const bucket = new Bucket(await store.bucket('open'));
  const steps: number[] = [];
  const publish = (from: number, before: number): Promise<number> =>
    publishArchive(options(bucket, false), from, before, async (round) => void steps.push(round));
  const [{ closed_at: second = 0 } = {}] = (
    await one.database.query<{ closed_at: number }>('SELECT closed_at FROM rounds WHERE number = 2')
  ).rows;
  expect(await publish(0, second)).toBe(2);
  const published = (): Promise<string[]> =>
    namesIn(bucket).then((names) => names.filter((name) => name.startsWith('logs/demo/')));
  expect(await published()).toEqual([
    'logs/demo/checkpoint',
    'logs/demo/tile/0/000',
    'logs/demo/tile/0/001',
    'logs/demo/tile/0/002.p/38',
    'logs/demo/tile/1/000.p/2',
    'logs/demo/tile/entries/000',
    'logs/demo/tile/entries/001',
    'logs/demo/tile/entries/002.p/38',
  ]);
  expect(await publish(2, Date.now() + 1_000)).toBe(3);
  expect(await publish(3, Date.now() + 1_000)).toBe(3);
  expect(await published()).toContain('logs/demo/tile/0/002.p/39');
  expect(steps).toEqual([2, 3]);
  const names = await namesIn(bucket);
  expect(names.filter((name) => name.startsWith('v1/'))).toEqual([]);
  expect(names.filter((name) => name.startsWith('rounds/'))).toEqual(['rounds/001', 'rounds/002', 'rounds/003']);
  const round = Buffer.from((await bucket.get('rounds/002', 100_000)) ?? []).toString();
  expect(JSON.parse(round)).toMatchObject({ format: 'antequem-round/v1', number: 2 });
  expect(round).not.toContain('leaves');
  await recordPass(one.database, 'public', 3, Date.now());
  expect(await verifyPublished(one.database, [bucket])).toMatchObject({ faulty: 0 });
  // What is published while it is verified is no fault.
  await one.database.query('UPDATE archive_logs SET published = published - 1');
  expect(await verifyPublished(one.database, [bucket])).toMatchObject({ faulty: 0 });
  const { findings, result } = await audit(bucket, [await keyOf()]);
  expect(findings).toEqual([]);
  expect(result).toMatchObject({ entries: 551, rounds: null, links: 3 });
  const good = await Promise.all([2, 3].map((number) => bucket.get(`rounds/00${number}`, 100_000)));
  const altered = { ...JSON.parse(Buffer.from(good[0] ?? []).toString()), closedAt: '2020-01-01T00:00:00.000Z' };
  await bucket.put('rounds/002', Buffer.from(JSON.stringify(altered)));
  expect((await audit(bucket, [await keyOf()])).findings).toMatchObject([{ code: 'link-broken', round: 2 }]);
  await bucket.remove('rounds/002');
  expect((await audit(bucket, [await keyOf()])).findings).toMatchObject([{ code: 'round-missing', round: 2 }]);
  await bucket.put('rounds/002', good[1] ?? new Uint8Array(0));
  expect((await audit(bucket, [await keyOf()])).findings).toMatchObject([{ code: 'round-broken', round: 2 }]);
});

when('with the leaves of rounds it is a mirror: audited wholly, and receipts come out of it', async () => {
  const bucket = new Bucket({ ...(await store.bucket('whole')), prefix: 'of/it' });
  await one.database.query('DELETE FROM archive_logs');
  expect(await publishArchive(options(bucket, true), 0, Date.now() + 1_000, async () => {})).toBe(3);
  const { findings, result } = await audit(bucket);
  expect(findings).toEqual([]);
  expect(result).toMatchObject({ rounds: 2, incomplete: null });
  const goOn = (origin = ORIGIN, buckets = [bucket]): Promise<number> => shownRounds(one.database, buckets, origin, 3);
  expect(await goOn()).toBe(3);
  await expect(goOn('log.example.org/another')).rejects.toMatchObject({ code: 'archive-conflict' });
  const receipt = await one.receipts.compose(log, 299);
  const { digest, nonce } = receipt.entry;
  const composed = await composeReceipt(sourceOf(bucket), 'demo', 299, {
    digest: fromHex(digest),
    nonce: fromHex(nonce),
  });
  expect(composed.entry).toEqual(receipt.entry);
  expect(composed).toMatchObject({ round: { number: 1 } });
});

when('a round is written again as its anchors become final, and others come in turn', async () => {
  const bucket = new Bucket(await store.bucket('anchored'));
  await one.database.query('DELETE FROM archive_logs; DELETE FROM archive_open_rounds');
  await one.database.query(
    `INSERT INTO targets (name, kind, chain, ephemeral, first_round, created_at)
     VALUES ('authority', 'rfc3161', 'rfc3161:0', false, 1, 0)`,
  );
  await one.database.query(
    `INSERT INTO anchors (target, kind, round, created_at, updated_at)
     SELECT 'authority', 'rfc3161', number, 0, 0 FROM rounds WHERE number < 3`,
  );
  let shown: Anchor[] = [];
  const sources = { ...options(bucket, false), anchors: async () => shown };
  await publishArchive(sources, 0, Date.now() + 1_000, async () => {});
  const rounds = async (): Promise<string[]> => {
    const read = await Promise.all([1, 2].map((number) => bucket.get(`rounds/00${number}`, 100_000)));
    return read.map((bytes) => Buffer.from(bytes ?? []).toString());
  };
  const before = await rounds();
  expect(await renewRounds(sources, 0)).toBe(0);
  expect(await renewRounds(sources, 0, 1)).toBe(1);
  expect(await renewRounds(sources, 1, 1)).toBe(0);
  expect(await rounds()).toEqual(before);
  // The newest does not wait for its turn.
  shown = [{ type: 'opentimestamps', status: 'pending', timestamp: 'AAAA', blocks: [] }];
  expect(await renewRounds(sources, 1, 1)).toBe(0);
  expect((await rounds()).map((text) => text.includes('AAAA'))).toEqual([false, true]);
  shown = [{ type: 'opentimestamps', status: 'pending', timestamp: 'BBBB', blocks: [] }];
  await one.database.query(
    `UPDATE anchors SET status = 'finalized', submitted_at = 1, block_time = 1, finalized_at = 1 WHERE round = 1`,
  );
  await renewRounds(sources, 0);
  expect((await rounds()).map((text) => text.includes('BBBB'))).toEqual([true, true]);
  const open = await one.database.query('SELECT number FROM archive_open_rounds');
  expect(open.rows).toEqual([{ number: 2 }]);
  await one.database.query('DELETE FROM archive_open_rounds');
});

when('it goes on where it was when a request fails, and never replaces what differs', async () => {
  const bucket = new Bucket(await store.bucket('torn'));
  await one.database.query('DELETE FROM archive_logs');
  let left = 0;
  const failing = new Proxy(bucket, {
    get: (target, name) => {
      if (name !== 'putNew' && name !== 'putCurrent') return Reflect.get(target, name, target).bind(target);
      return (...given: Parameters<Bucket['putNew']>): Promise<unknown> => {
        if (left-- <= 0) return Promise.reject(new Error('killed'));
        return target[name](...given);
      };
    },
  });
  let done: number | null = null;
  for (let most = 0; done === null; most += 3) {
    left = most;
    done = await publishArchive(options(failing, true), 0, Date.now() + 1_000, async () => {}).catch(() => null);
  }
  expect(done).toBe(3);
  expect((await audit(bucket)).findings).toEqual([]);
  await one.database.query('DELETE FROM archive_logs');
  await bucket.put('logs/demo/tile/0/000', new Uint8Array(32));
  await expect(publishArchive(options(bucket, true), 0, Date.now() + 1_000, async () => {})).rejects.toMatchObject({
    code: 'archive-conflict',
  });
});

when('a bucket that was named since gets everything; one with rounds that the database lost gets nothing', async () => {
  const bucket = new Bucket(await store.bucket('first'));
  await one.database.query('DELETE FROM archive_logs');
  await publishArchive(options(bucket, false), 0, Date.now() + 1_000, async () => {});
  const goOn = (...buckets: Bucket[]): Promise<number> => shownRounds(one.database, buckets, ORIGIN, 3);
  const round = await bucket.get('rounds/003', 100_000);
  await bucket.put('rounds/003', Buffer.from(JSON.stringify({ root: '00'.repeat(32) })));
  await expect(goOn(bucket)).rejects.toMatchObject({ code: 'archive-conflict' });
  await bucket.put('rounds/003', round ?? new Uint8Array(0));
  const later = new Bucket(await store.bucket('later'));
  expect(await goOn(bucket, later)).toBe(0);
  expect(await publishArchive(options(later, false), 0, Date.now() + 1_000, async () => {})).toBe(3);
  expect(await namesIn(later)).toEqual(await namesIn(bucket));
  expect(await goOn(bucket, later)).toBe(3);
});

when(
  'who has read a checkpoint reads on by it while the log grows; partial tiles go once theirs is whole',
  async () => {
    const bucket = new Bucket(await store.bucket('grows'));
    const second = new Bucket(await store.bucket('grows-too'));
    await one.database.query('DELETE FROM archive_logs');
    const grows = await one.makeLog('grows');
    let from = 0;
    const grow = async (count: number): Promise<void> => {
      await one.append(grows, ...Array.from({ length: count }, (_, i) => `entry ${i}`));
      await one.closeRound();
      const both = { ...options(bucket, false), store: new ObjectStores([bucket, second]) };
      from = await publishArchive(both, from, Date.now() + 1_000, async () => {});
    };
    const partial = async (): Promise<string[]> => {
      const names = await namesIn(bucket);
      expect(await namesIn(second)).toEqual(names);
      return names.filter((name) => name.startsWith('logs/grows/') && name.includes('.p/'));
    };
    const path = 'logs/grows/checkpoint';
    await grow(300);
    const read = await bucket.get(path, 10_000);
    const source = sourceOf(bucket);
    const early: AuditSource = {
      ...source,
      read: async (name, most) => (name === path ? read : source.read(name, most)),
    };
    for (const count of [10, 60, 200, 300]) {
      await grow(count);
      expect((await audit(bucket, [await keyOf(grows)], early)).findings).toEqual([]);
    }
    expect(await partial()).toEqual([
      'logs/grows/tile/0/003.p/102',
      'logs/grows/tile/1/000.p/1',
      'logs/grows/tile/1/000.p/2',
      'logs/grows/tile/1/000.p/3',
      'logs/grows/tile/entries/003.p/102',
    ]);
  },
);
