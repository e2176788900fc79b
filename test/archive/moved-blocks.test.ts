import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { ArchivedBlocks, objectName } from '../../src/archive/archived-blocks.ts';
import { Bucket, type ObjectLock } from '../../src/archive/bucket.ts';
import { deleteLeftovers, type MovingOptions, moveBlocks } from '../../src/archive/moved-blocks.ts';
import { ObjectStores } from '../../src/archive/object-stores.ts';
import { verifyBlocks } from '../../src/archive/verification.ts';
import { toHex } from '../../src/core/bytes.ts';
import { AntequemError } from '../../src/core/errors.ts';
import { rewriteBlocks } from '../../src/log/blocks/block-rewrite.ts';
import { EntryReader } from '../../src/log/entries.ts';
import { eraseEntry } from '../../src/log/erase.ts';
import type { Log } from '../../src/log/log.ts';
import { copiesLockedUntil } from '../../src/log/recall.ts';
import { setRetention } from '../../src/log/retention.ts';
import { lookForDue } from '../../src/log/retention-run.ts';
import { auditDatabase } from '../support/audit.ts';
import { asAdministrator } from '../support/history.ts';
import { type Instance, openInstance } from '../support/instance.ts';
import { objectStoreMissing, type TestStore, testStore } from '../support/object-store.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

const when = test.skipIf(objectStoreMissing !== null);
const ENTRIES = 600;
const REPAIR = { lock: () => null, now: Date.now };
const text = (i: number): string => `entry ${i} of a log that is archived, with some text that repeats`;

let store: TestStore;
let database: TestDatabase;
let one: Instance;
let buckets = 0;
let bucket: Bucket;
let log: Log;
let options: MovingOptions;

beforeAll(async () => {
  if (objectStoreMissing !== null) return;
  [store, database] = await Promise.all([testStore(), testDatabase()]);
  one = await openInstance(database.url);
});
afterAll(async () => {
  await one?.end();
  await database?.drop();
  await store?.stop();
});

beforeEach(async () => {
  if (objectStoreMissing !== null) return;
  bucket = new Bucket(await store.bucket(`private-${buckets++}`));
  log = await one.makeLog(`log-${buckets}`);
  await one.append(log, ...Array.from({ length: ENTRIES }, (_, i) => text(i)));
  const { random } = one.effects;
  options = { database: one.database, store: bucket, random, lock: () => null, signal: new AbortController().signal };
});

const move = (): Promise<number> => moveBlocks(options, Date.now() + 1);
const payloadOf = async (from: EntryReader, index: number): Promise<string> => {
  const payload = await from.payload(log, index);
  return payload instanceof Uint8Array ? Buffer.from(payload).toString() : String(payload);
};
const reader = (): EntryReader => new EntryReader(one.database, new ArchivedBlocks([bucket]));

async function archivedObjects(): Promise<{ first: number; name: string; key: Buffer }[]> {
  const { rows } = await one.database.query<{ first: number; object: Buffer; key: Buffer }>(
    'SELECT first, object, key FROM archived_blocks WHERE log = $1 ORDER BY first',
    [log.id],
  );
  return rows.map(({ first, object, key }) => ({ first, name: objectName(object), key }));
}

const leftovers = async (): Promise<number> =>
  (await one.database.query('SELECT FROM archive_leftovers')).rowCount ?? 0;

async function audited(): Promise<unknown> {
  const { findings } = await auditDatabase(database.url, { archive: new ArchivedBlocks([bucket]) });
  return findings.filter((finding) => finding.log === log.name);
}

when('old blocks of complete tiles leave the database, and everything reads as before', async () => {
  const before = await one.receipts.compose(log, 3);
  const bundle = await one.entries.bundle(log, 1, 256);
  expect(await moveBlocks(options, Date.now() - 3_600_000)).toBe(0);
  expect(await move()).toBe(2);
  expect(await move()).toBe(0);
  expect(await leftovers()).toBe(0);
  const { rows } = await one.database.query<{ first: number; kept: boolean }>(
    'SELECT first, content IS NOT NULL AS kept FROM blocks WHERE log = $1 ORDER BY first',
    [log.id],
  );
  expect(rows).toEqual([
    { first: 0, kept: false },
    { first: 256, kept: false },
    { first: 512, kept: true },
  ]);
  const cold = reader();
  expect(await payloadOf(cold, 300)).toBe(text(300));
  expect((await cold.payloads(log, 250, 520)).map((payload) => Buffer.from(payload ?? []).toString())).toEqual(
    Array.from({ length: 270 }, (_, i) => text(250 + i)),
  );
  expect(Buffer.from(await cold.bundle(log, 1, 256)).equals(bundle)).toBe(true);
  const chained = await cold.chained(log, 3);
  expect(toHex(chained?.entry.secret?.nonce ?? new Uint8Array(0))).toBe(before.entry.nonce);
  const digest = chained?.entry.secret?.digest ?? new Uint8Array(32);
  expect(await cold.locate(digest, null, 10)).toMatchObject([{ log: log.origin, index: 3 }]);
  expect(await cold.held(log, [digest])).toEqual(new Set([toHex(digest)]));
  // What is stored there shows nothing.
  for (const { name } of await archivedObjects()) {
    const object = Buffer.from((await bucket.get(name, 1 << 20)) ?? []);
    expect(object.length).toBeGreaterThan(1_000);
    expect(object.includes('archived')).toBe(false);
  }
  expect(await audited()).toEqual([]);
  await rewriteBlocks(one.database, { onProgress: () => {}, onWaiting: () => {} });
  expect(await payloadOf(reader(), 0)).toBe(text(0));
  await expect(one.database.query('DELETE FROM archived_blocks')).rejects.toMatchObject({ code: '23001' });
});

when('without the archive old payloads fail alone', async () => {
  await move();
  await expect(one.entries.payload(log, 1)).rejects.toMatchObject({ code: 'archive-missing' });
  const away = new Bucket({
    ...(await store.bucket(`away-${buckets}`)),
    endpoint: 'http://127.0.0.1:9',
  });
  const cold = new EntryReader(one.database, new ArchivedBlocks([away]));
  const [old, fresh] = await Promise.allSettled([cold.payload(log, 1), payloadOf(cold, 599)]);
  expect(old).toMatchObject({ status: 'rejected', reason: { code: 'archive-unavailable' } });
  expect(fresh).toMatchObject({ status: 'fulfilled', value: text(599) });
  await one.append(log, 'one more');
  expect(await cold.receivedAt(log, 1)).toEqual(await one.entries.receivedAt(log, 1));
  await expect(
    eraseEntry(one.database, one.registry.system, one.sequencing, log, 1, one.holds, new ArchivedBlocks([away])),
  ).rejects.toMatchObject({ code: 'archive-unavailable' });
});

when('an erased entry takes the key of its block along, and the copy goes', async () => {
  await move();
  const [old] = await archivedObjects();
  const erase = (): Promise<boolean> =>
    eraseEntry(one.database, one.registry.system, one.sequencing, log, 7, one.holds, new ArchivedBlocks([bucket]));
  expect(await erase()).toBe(true);
  expect((await archivedObjects()).map(({ first }) => first)).toEqual([256]);
  expect(await reader().payload(log, 7)).toBe('absent');
  expect(await payloadOf(reader(), 8)).toBe(text(8));
  await one.database.query("UPDATE archive_leftovers SET since = '-infinity'");
  expect(await deleteLeftovers(one.database, bucket)).toBe(0);
  expect(await bucket.get(old?.name ?? '', 1 << 20)).toBeNull();
  // What an older release leaves behind that recalls a block without knowing of commitments.
  await one.database.query(
    `INSERT INTO archived_commitments (log, first, object, key, object_hash, length)
     VALUES ($1, 0, substring(sha256('') FOR 16), sha256(''), sha256(''), 1)`,
    [log.id],
  );
  expect(await move()).toBe(1);
  const [again] = await archivedObjects();
  expect(again?.name).not.toBe(old?.name);
  expect(again?.key.equals(old?.key ?? Buffer.alloc(0))).toBe(false);
  expect(await reader().payload(log, 7)).toBe('absent');
  expect(await payloadOf(reader(), 8)).toBe(text(8));
  expect(await erase()).toBe(false);
  expect(await audited()).toEqual([]);
});

when('retention erases a whole block without its object: the key goes, the commitments stay', async () => {
  const aged = await one.makeLog(`aged-${buckets}`);
  await one.append(aged, ...Array.from({ length: 300 }, (_, i) => `old ${i}`));
  const past = Date.now() + 1;
  while (Date.now() <= past);
  await one.append(aged, ...Array.from({ length: 300 }, (_, i) => `young ${i}`));
  const bundles = await Promise.all([0, 1].map((index) => one.entries.bundle(aged, index, 256)));
  const digests = await Promise.all([0, 100, 255].map((i) => one.entries.chained(aged, i)));
  await move();
  const objectsOf = async (table: string): Promise<string[]> => {
    const text = `SELECT object FROM ${table} WHERE log = $1 ORDER BY first`;
    const { rows } = await one.database.query<{ object: Buffer }>(text, [aged.id]);
    return rows.map(({ object }) => objectName(object));
  };
  const [gone = '', recalled = ''] = await objectsOf('archived_blocks');
  const [bare = ''] = await objectsOf('archived_commitments');

  const now = Date.now();
  const { registry, sequencing, database: db, holds } = one;
  await setRetention({ database: db, system: registry.system, sequencing }, aged, now - past);
  const look = (archive: ArchivedBlocks) =>
    lookForDue({
      ...one,
      sequencing: { ...sequencing, effects: { ...one.effects, now: () => now } },
      archive,
      interval: 0,
      stopping: new AbortController().signal,
    });
  // The range covers the second block in part: its object has to be fetched.
  const away = new ArchivedBlocks([
    new Bucket({ ...(await store.bucket(`none-${buckets}`)), endpoint: 'http://127.0.0.1:9' }),
  ]);
  expect(await look(away)).toMatchObject({ erased: 256, problem: expect.stringContaining('archive') });
  expect(await look(new ArchivedBlocks([bucket]))).toMatchObject({ erased: 44, problem: null });
  const cold = reader();
  expect([await cold.payload(aged, 0), await cold.payload(aged, 299)]).toEqual(['absent', 'absent']);
  expect(await cold.payload(aged, 300)).toEqual(Buffer.from('young 0'));
  expect(await Promise.all([0, 1].map((index) => cold.bundle(aged, index, 256)))).toEqual(bundles);
  const secrets = digests.flatMap((each) => each?.entry.secret?.digest ?? []);
  expect(secrets).toHaveLength(3);
  for (const digest of secrets) expect(await cold.locate(digest, null, 10)).toEqual([]);
  expect(await eraseEntry(db, registry.system, sequencing, aged, 0, holds, away)).toBe(false);

  expect(await objectsOf('archived_blocks')).toEqual([]);
  expect(await objectsOf('archived_commitments')).toEqual([bare]);
  await expect(db.query('DELETE FROM archived_commitments')).rejects.toMatchObject({ code: '23001' });
  await db.query("UPDATE archive_leftovers SET since = '-infinity'");
  expect(await deleteLeftovers(db, bucket)).toBe(0);
  const left = await Promise.all([gone, recalled, bare].map((name) => bucket.get(name, 1 << 20)));
  expect(left.map((object) => object !== null)).toEqual([false, false, true]);
  await setRetention({ database: db, system: registry.system, sequencing }, aged, null);
  const { findings } = await auditDatabase(database.url, { archive: new ArchivedBlocks([bucket]) });
  expect(findings.filter((finding) => finding.log === aged.name)).toEqual([]);
});

when('objects that were cut, exchanged, put back or lost are never taken for what they were', async () => {
  await move();
  const [first, second] = await archivedObjects();
  const [a = '', b = ''] = [first?.name, second?.name];
  const [good, other] = [await bucket.get(a, 1 << 20), await bucket.get(b, 1 << 20)];
  if (good === null || other === null) throw new Error('nothing was archived');
  const flipped = Uint8Array.from(good, (byte, i) => (i === 100 ? byte ^ 1 : byte));
  for (const bad of [good.subarray(0, 100), new Uint8Array(0), flipped, other]) {
    await bucket.put(a, bad);
    await expect(reader().payload(log, 1)).rejects.toMatchObject({ code: 'archive-damaged' });
    expect(await payloadOf(reader(), 300)).toBe(text(300));
  }
  expect(await audited()).toMatchObject([{ code: 'block-damaged' }]);
  await bucket.remove(a);
  await expect(reader().payload(log, 1)).rejects.toMatchObject({ code: 'archive-damaged' });
  await bucket.put(a, good);
  expect(await payloadOf(reader(), 1)).toBe(text(1));
  expect(await audited()).toEqual([]);
});

when('an erased entry of a locked block: the copy stays, without a key, and it is said until when', async () => {
  const locked = new Bucket(await store.bucket(`locked-${buckets}`, true));
  const until = Date.now() + 3_600_000;
  await moveBlocks({ ...options, store: locked, lock: () => ({ mode: 'COMPLIANCE', until }) }, Date.now() + 1);
  const { database, registry, sequencing, holds } = one;
  expect(await copiesLockedUntil(database, log, 7, Date.now())).toBeNull();
  await eraseEntry(database, registry.system, sequencing, log, 7, holds, new ArchivedBlocks([locked]));
  expect(await copiesLockedUntil(database, log, 7, Date.now())).toBe(until);
  expect(await copiesLockedUntil(database, log, 300, Date.now())).toBeNull();
  expect(await copiesLockedUntil(database, log, 7, until)).toBeNull();
  await database.query("UPDATE archive_leftovers SET since = '-infinity'");
  // With the commitments, which are locked like the rest.
  expect(await deleteLeftovers(database, locked)).toBe(2);
  await database.query('DELETE FROM archive_leftovers');
});

when('a second bucket stands in for the first, and repairs it', async () => {
  const second = new Bucket(await store.bucket(`second-${buckets}`));
  const both = [bucket, second];
  await moveBlocks({ ...options, store: new ObjectStores(both) }, Date.now() + 1);
  const [a = '', b = ''] = (await archivedObjects()).map(({ name }) => name);
  await bucket.remove(a);
  await second.put(b, new Uint8Array(100));
  const reads = new EntryReader(one.database, new ArchivedBlocks(both));
  expect([await payloadOf(reads, 1), await payloadOf(reads, 300)]).toEqual([text(1), text(300)]);
  const mine = (of: readonly { object: string }[]): string[] =>
    of
      .map(({ object }) => object)
      .filter((object) => object.endsWith(a) || object.endsWith(b))
      .sort();
  expect(mine((await verifyBlocks(one.database, both)).faults)).toEqual([
    `${bucket.describe()}/${a}`,
    `${second.describe()}/${b}`,
  ]);
  await verifyBlocks(one.database, both, REPAIR);
  expect(mine((await verifyBlocks(one.database, both)).faults)).toEqual([]);
  expect(await second.get(b, 1 << 20)).toEqual(await bucket.get(b, 1 << 20));
});

when('what is written again is locked as it was', async () => {
  const both = [
    new Bucket(await store.bucket(`one-${buckets}`, true)),
    new Bucket(await store.bucket(`two-${buckets}`, true)),
  ];
  const [first, second] = both;
  const until = Date.now() + 3_600_000;
  const lock = (): ObjectLock => ({ mode: 'GOVERNANCE', until });
  await moveBlocks({ ...options, store: new ObjectStores(both), lock }, Date.now() + 1);
  const [a = '', b = ''] = (await archivedObjects()).map(({ name }) => name);
  for (const name of [a, b]) await second?.put(name, new Uint8Array(100));
  // The lock of what lies behind the second name has ended.
  await asAdministrator(database.url, async (client) => {
    await client.query("SET session_replication_role = 'replica'");
    await client.query('UPDATE archived_blocks SET locked_until = 1 WHERE log = $1 AND first > 0', [log.id]);
  });
  const written = new Map<string, ObjectLock | null | undefined>();
  const watched = new Proxy(second ?? bucket, {
    get: (target, name) => {
      if (name !== 'putCurrent') return Reflect.get(target, name, target).bind(target);
      return (...given: Parameters<Bucket['putCurrent']>) => {
        written.set(given[0], given[2]);
        return target.putCurrent(...given);
      };
    },
  });
  await verifyBlocks(one.database, [first ?? bucket, watched], {
    ...REPAIR,
    lock: () => ({ ...lock(), until: until + 1 }),
  });
  expect([written.get(a), written.get(b)]).toEqual([lock(), null]);
  expect(await second?.get(b, 1 << 20)).toEqual(await first?.get(b, 1 << 20));
  expect(await second?.remove(a)).toBe('locked');
});

when('an object that is deleted while it is compared is no fault, and is not written again', async () => {
  const second = new Bucket(await store.bucket(`second-${buckets}`));
  const both = new ObjectStores([bucket, second]);
  await moveBlocks({ ...options, store: both }, Date.now() + 1);
  const { database, registry, sequencing, holds } = one;
  const [{ name = '' } = {}] = await archivedObjects();
  const erasing = new Proxy(bucket, {
    get: (target, key) => {
      if (key !== 'get') return Reflect.get(target, key, target).bind(target);
      return async (object: string, most: number) => {
        if (object !== name) return target.get(object, most);
        await eraseEntry(database, registry.system, sequencing, log, 7, holds, new ArchivedBlocks([bucket]));
        await bucket.remove(object);
        return target.get(object, most);
      };
    },
  });
  const { faults } = await verifyBlocks(database, [erasing, second], REPAIR);
  expect(faults.filter(({ object }) => object.endsWith(name))).toEqual([]);
  expect(await bucket.get(name, 1 << 20)).toBeNull();
  // What is left of it is archived again.
  expect(await moveBlocks({ ...options, store: both }, Date.now() + 1)).toBe(1);
});

when('moving that fails or ends at any request loses nothing and goes on', async () => {
  const writes: Promise<unknown>[] = [];
  for (let most = 0; ; most++) {
    let asked = 0;
    const failing = new Proxy(bucket, {
      get: (target, name) => {
        if (name !== 'putNew') return Reflect.get(target, name, target);
        return async (...given: Parameters<Bucket['putNew']>) => {
          if (asked++ === most) throw new Error('killed');
          const write = target.putNew(...given);
          writes.push(write);
          return write;
        };
      },
    });
    const done = await moveBlocks({ ...options, store: failing }, Date.now() + 1).catch(() => null);
    expect((await reader().payloads(log, 0, ENTRIES)).length).toBe(ENTRIES);
    if (done !== null) break;
  }
  expect((await archivedObjects()).map(({ first }) => first)).toEqual([0, 256]);
  // What was written in vain goes once all writes have ended; nothing else does.
  await Promise.allSettled(writes);
  expect(await leftovers()).toBeGreaterThan(0);
  await one.database.query("UPDATE archive_leftovers SET since = '-infinity'");
  expect(await deleteLeftovers(one.database, bucket)).toBe(0);
  const names: string[] = [];
  for await (const name of bucket.list('blocks/')) names.push(name);
  const beside = await one.database.query<{ object: Buffer }>(
    'SELECT object FROM archived_commitments WHERE log = $1',
    [log.id],
  );
  const known = [
    ...(await archivedObjects()).map(({ name }) => name),
    ...beside.rows.map(({ object }) => objectName(object)),
  ];
  expect(known).toHaveLength(4);
  expect(names).toEqual(known.sort());
  expect(await audited()).toEqual([]);
});

when('objects of a process that was held up may be deleted as leftovers: it does not rely on them', async () => {
  const held = new Proxy(bucket, {
    get: (target, name) => {
      if (name !== 'putNew') return Reflect.get(target, name, target);
      return async (...given: Parameters<Bucket['putNew']>) => {
        await target.putNew(...given);
        await one.database.query("UPDATE archive_leftovers SET since = '-infinity'");
        await deleteLeftovers(one.database, bucket);
      };
    },
  });
  expect(await moveBlocks({ ...options, store: held }, Date.now() + 1)).toBe(0);
  expect((await reader().payloads(log, 0, ENTRIES)).length).toBe(ENTRIES);
  expect(await move()).toBe(2);
  expect(await payloadOf(reader(), 1)).toBe(text(1));
});

when('a log with a damaged block holds up no other', async () => {
  const other = log;
  const { rows } = await one.database.query<{ content: Buffer }>(
    `SELECT content FROM blocks b JOIN logs l ON l.id = b.log WHERE l.name = $1 AND first = 0`,
    [other.name],
  );
  const behind = await one.makeLog(`behind-${other.name}`);
  await one.append(behind, ...Array.from({ length: ENTRIES }, (_, i) => text(i)));
  const put = (content: Buffer | undefined): Promise<void> =>
    asAdministrator(database.url, async (client) => {
      await client.query("SET session_replication_role = 'replica'");
      await client.query('UPDATE blocks SET content = $1 WHERE log = $2 AND first = 0', [content, other.id]);
    });
  await put(Buffer.from('not a block'));
  await expect(move()).rejects.toMatchObject({ code: 'log-damaged', message: expect.stringContaining(other.name) });
  const archived = async (): Promise<string[]> => {
    const found = await one.database.query<{ name: string }>(
      'SELECT DISTINCT name FROM archived_blocks JOIN logs l ON l.id = log WHERE log = ANY ($1::int[]) ORDER BY name',
      [[other.id, behind.id]],
    );
    return found.rows.map(({ name }) => name);
  };
  expect(await archived()).toEqual([behind.name]);
  await put(rows[0]?.content);
  expect(await move()).toBe(2);
  expect(await archived()).toEqual([behind.name, other.name]);
});

when('an object that the store refuses to delete holds up no other', async () => {
  const [bad, good] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)];
  for (const object of [bad, good]) {
    await bucket.put(objectName(object), object);
    await one.database.query("INSERT INTO archive_leftovers (object, since) VALUES ($1, '-infinity')", [object]);
  }
  const refusing = new Proxy(bucket, {
    get: (target, name) => {
      if (name !== 'remove') return Reflect.get(target, name, target);
      return async (object: string) => {
        if (object === objectName(bad)) throw new AntequemError('archive-refused', 'no');
        return target.remove(object);
      };
    },
  });
  await expect(deleteLeftovers(one.database, refusing)).rejects.toMatchObject({ code: 'archive-refused' });
  expect(await bucket.get(objectName(good), 100)).toBeNull();
  await one.database.query("UPDATE archive_leftovers SET since = '-infinity'");
  expect(await deleteLeftovers(one.database, bucket)).toBe(0);
  expect(await bucket.get(objectName(bad), 100)).toBeNull();
});
