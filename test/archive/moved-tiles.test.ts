import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Receipts } from '../../src/anchor/receipts.ts';
import { ArchivedBlocks } from '../../src/archive/archived-blocks.ts';
import { ArchivedTiles } from '../../src/archive/archived-tiles.ts';
import { Bucket } from '../../src/archive/bucket.ts';
import { moveBlocks } from '../../src/archive/moved-blocks.ts';
import { moveTiles } from '../../src/archive/moved-tiles.ts';
import { type ObjectStore, ObjectStores } from '../../src/archive/object-stores.ts';
import { publishArchive } from '../../src/archive/publishing.ts';
import { shownRounds } from '../../src/archive/shown-rounds.ts';
import { verifyPublished } from '../../src/archive/verification.ts';
import type { Audit } from '../../src/audit/checks/verdict.ts';
import { AuditState } from '../../src/audit/database/state.ts';
import { toHex } from '../../src/core/bytes.ts';
import { consistencyRanges, inclusionRanges } from '../../src/core/merkle.ts';
import type { Archives } from '../../src/log/archived-tile.ts';
import { EntryReader } from '../../src/log/entries.ts';
import type { Log } from '../../src/log/log.ts';
import { ReadReplica } from '../../src/log/read-replica.ts';
import { TileStore } from '../../src/log/tilestore.ts';
import { auditDatabase } from '../support/audit.ts';
import { type Instance, ORIGIN, openInstance } from '../support/instance.ts';
import { objectStoreMissing, type TestStore, testStore } from '../support/object-store.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

const when = test.skipIf(objectStoreMissing !== null);
const ENTRIES = 700;
const TILES = 2;
const PLACES = [0, 7, 255, 256, 300, 511, 512, 699];

let store: TestStore;
let database: TestDatabase;
let one: Instance;
let log: Log;
let names = 0;
let open: Bucket;
let closed: Bucket;

beforeAll(async () => {
  if (objectStoreMissing === null) store = await testStore();
});
afterAll(() => store?.stop());
beforeEach(async () => {
  if (objectStoreMissing !== null) return;
  database = await testDatabase();
  one = await openInstance(database.url);
  [open, closed] = [
    new Bucket(await store.bucket(`open-${names}`)),
    new Bucket(await store.bucket(`closed-${names++}`)),
  ];
  log = await one.makeLog('demo');
  await one.append(log, ...Array.from({ length: ENTRIES }, (_, i) => `entry ${i} of a log that is archived`));
  await one.closeRound();
  return async () => {
    await one.end();
    await database.drop();
  };
});

const later = (): number => Date.now() + 1_000;
const archivesOf = (): Archives => ({ blocks: new ArchivedBlocks([closed]), tiles: new ArchivedTiles([open]) });
const away = async (): Promise<Bucket> =>
  new Bucket({ ...(await store.bucket(`away-${names++}`)), endpoint: 'http://127.0.0.1:9' });
const signal = new AbortController().signal;
const lock = (): null => null;
const REPAIR = { lock, now: Date.now };

async function publish(to: ObjectStore = open, from = 0): Promise<number> {
  const { database, trees, registry, publisher } = one;
  const { tiles, entries } = readers(archivesOf());
  const how = { publishRounds: false, lock, signal, anchors: async () => [], chains: async () => [] };
  const parts = { database, store: to, tiles, entries, trees, registry, checkpoints: publisher };
  return publishArchive({ ...parts, ...how }, from, later(), async () => {});
}
const move = (to: ObjectStore = open, before = later()): Promise<number> =>
  moveTiles({ database: one.database, store: to, lock, signal }, before);
const moveContents = (): Promise<number> =>
  moveBlocks({ database: one.database, store: closed, random: one.effects.random, lock, signal }, later());

/** Readers that remember nothing. */
function readers(archives: Archives): { tiles: TileStore; entries: EntryReader; receipts: Receipts } {
  const tiles = new TileStore(one.database, archives);
  const entries = new EntryReader(one.database, archives.blocks, tiles);
  const { database, publisher, trees } = one;
  return {
    tiles,
    entries,
    receipts: new Receipts({ database, entries, tiles, publisher, trees, anchors: async () => [] }),
  };
}

/** All that is told of the log, in hex. */
async function told(archives: Archives): Promise<unknown> {
  const { tiles, entries, receipts } = readers(archives);
  const hashes = async (of: Promise<Uint8Array[]>): Promise<string[]> => (await of).map(toHex);
  const listed = await readers(archives).entries.list(log, 0, ENTRIES);
  return {
    receipts: await Promise.all(PLACES.map((index) => readers(archives).receipts.compose(log, index))),
    again: await Promise.all(PLACES.map((index) => receipts.compose(log, index))),
    inclusion: await Promise.all(
      PLACES.map((index) => hashes(tiles.ranges(log, inclusionRanges(index, ENTRIES), ENTRIES))),
    ),
    consistency: await Promise.all(
      PLACES.slice(1).map((from) => hashes(tiles.ranges(log, consistencyRanges(from, ENTRIES), ENTRIES))),
    ),
    tiles: (await Promise.all([0, 1, 2].map((index) => tiles.tile(log, 0, index, ENTRIES)))).map(toHex),
    part: toHex(await tiles.tile(log, 0, 1, 300)),
    bundles: (await Promise.all([0, 1].map((index) => entries.bundle(log, index, 256)))).map(toHex),
    leaves: listed.map(({ leafHash }) => toHex(leafHash)).join(),
    entry: toHex((await readers(archives).entries.read(log, 300))?.leafHash ?? new Uint8Array(0)),
  };
}

async function kept(): Promise<boolean[]> {
  const { rows } = await one.database.query<{ kept: boolean }>(
    'SELECT hashes IS NOT NULL AS kept FROM tiles WHERE log = $1 ORDER BY index',
    [log.id],
  );
  return rows.map(({ kept: here }) => here);
}

async function found(options: Parameters<typeof auditDatabase>[1] = {}): Promise<string[]> {
  const archives = archivesOf();
  const { findings } = await auditDatabase(database.url, {
    archive: archives.blocks,
    tiles: archives.tiles,
    ...options,
  });
  return findings.map(({ code }) => code);
}

async function namesIn(bucket: Bucket): Promise<string[]> {
  const all: string[] = [];
  for await (const name of bucket.list('')) all.push(name);
  return all;
}

when('old tiles leave the database, and all is told as before, wherever the entries are', async () => {
  const before = await told(archivesOf());
  expect(await move()).toBe(0);
  await publish();
  expect(await move(open, Date.now() - 3_600_000)).toBe(0);
  expect(await move()).toBe(TILES);
  expect(await move()).toBe(0);
  expect(await kept()).toEqual([false, false]);
  // What is at hand needs no archive.
  expect(await told({ blocks: null, tiles: null })).toEqual(before);
  expect(await found({ tiles: null })).toEqual([]);
  expect(await found()).toEqual([]);
  expect(await moveContents()).toBe(TILES);
  expect(await told(archivesOf())).toEqual(before);
  expect(await told({ ...archivesOf(), tiles: null })).toEqual(before);
  expect(await found()).toEqual([]);
  expect(await verifyPublished(one.database, [open])).toMatchObject({ faulty: 0 });

  await one.append(log, ...Array.from({ length: 100 }, (_, i) => `more ${i}`));
  await one.closeRound();
  expect(await publish(open, 1)).toBe(2);
  expect(await move()).toBe(1);
  expect(await found()).toEqual([]);
});

when('a tile stays as long as its newest entry is young, and so do those of _system', async () => {
  const mixed = await one.makeLog('mixed');
  await one.append(mixed, ...Array.from({ length: 300 }, (_, i) => `old ${i}`));
  const past = Date.now() + 1;
  while (Date.now() <= past);
  await one.append(mixed, ...Array.from({ length: 300 }, (_, i) => `young ${i}`));
  // Each is an entry of _system.
  await Promise.all(Array.from({ length: 256 }, (_, i) => one.makeLog(`empty-${i}`)));
  await one.closeRound();
  await publish();
  expect(await move(open, past)).toBe(TILES + 1);
  expect(await move(open, past)).toBe(0);
  const { rows } = await one.database.query<{ name: string; index: number }>(
    `SELECT name, index FROM tiles t JOIN logs l ON l.id = t.log WHERE hashes IS NULL ORDER BY name, index`,
  );
  expect(rows).toEqual([
    { name: 'demo', index: 0 },
    { name: 'demo', index: 1 },
    { name: 'mixed', index: 0 },
  ]);
});

when('a log that ends with a tile is appended to without it', async () => {
  const even = await one.makeLog('even');
  await one.append(even, ...Array.from({ length: 256 }, (_, i) => `even ${i}`));
  await one.closeRound();
  await publish();
  expect(await move()).toBe(TILES + 1);
  const again = await openInstance(database.url);
  await again.append(even, ...Array.from({ length: 300 }, (_, i) => `odd ${i}`));
  await again.closeRound();
  const { entry } = await again.receipts.compose(even, 256);
  expect(entry.index).toBe(256);
  await again.end();
  expect(await found()).toEqual([]);
});

when('without the archive what needs an old tile fails alone', async () => {
  await publish();
  await move();
  await moveContents();
  const gone = await away();
  const none = readers({ blocks: new ArchivedBlocks([gone]), tiles: new ArchivedTiles([gone]) });
  await expect(none.tiles.tile(log, 0, 0, ENTRIES)).rejects.toMatchObject({ code: 'archive-unavailable' });
  await expect(none.receipts.compose(log, 7)).rejects.toMatchObject({ code: 'archive-unavailable' });
  await expect(readers({ blocks: null, tiles: null }).tiles.tile(log, 0, 0, 256)).rejects.toMatchObject({
    code: 'archive-missing',
  });
  // A process that starts now: everything but that goes on.
  const again = await openInstance(database.url);
  await again.append(log, 'one more');
  await again.closeRound();
  expect((await again.receipts.compose(log, ENTRIES)).entry.index).toBe(ENTRIES);
  expect((await again.receipts.compose(log, 512)).inclusion.treeSize).toBe(ENTRIES);
  expect(toHex(await again.tiles.tile(log, 0, 2, ENTRIES))).toHaveLength(64 * (ENTRIES - 512));
  const middle = await again.tiles.ranges(log, consistencyRanges(512, ENTRIES), ENTRIES);
  expect(middle.length).toBeGreaterThan(0);
  await again.end();
});

when('a replica of the database is not to blame for an archive that does not answer', async () => {
  await publish();
  await move();
  await moveContents();
  const gone = await away();
  const database = new Proxy(one.database, {
    get: (target, name) => {
      if (name !== 'query') return Reflect.get(target, name, target);
      return (query: { text: string; values: unknown[] }) =>
        target.query(query.text.replace('pg_is_in_recovery()', 'true'), query.values);
    },
  });
  const archives = { blocks: new ArchivedBlocks([gone]), tiles: new ArchivedTiles([gone]) };
  const replica = new ReadReplica(database, () => 0, archives);
  expect(await replica.read(log, ENTRIES, ({ tiles }) => tiles.tile(log, 0, 0, ENTRIES))).toBeNull();
  expect(await replica.read(log, ENTRIES, ({ tiles }) => tiles.tile(log, 0, 2, ENTRIES))).not.toBeNull();
});

when('tiles that were cut, exchanged or lost are never told: they are made of the entries', async () => {
  const before = await told(archivesOf());
  await publish();
  await move();
  await moveContents();
  const [a, b] = ['logs/demo/tile/0/000', 'logs/demo/tile/0/001'];
  const [good, other] = [await open.get(a, 8_192), await open.get(b, 8_192)];
  if (good === null || other === null) throw new Error('nothing was published');
  const flipped = Uint8Array.from(good, (byte, i) => (i === 100 ? byte ^ 1 : byte));
  for (const bad of [good.subarray(0, 4_096), new Uint8Array(0), flipped, other, null]) {
    if (bad === null) await open.remove(a);
    else await open.put(a, bad);
    const alone = new TileStore(one.database, { ...archivesOf(), blocks: null });
    await expect(alone.tile(log, 0, 0, ENTRIES)).rejects.toMatchObject({ code: 'archive-damaged' });
    expect(await told(archivesOf())).toEqual(before);
    expect(await found()).toEqual([]);
    const { faults } = await verifyPublished(one.database, [open]);
    expect(faults).toMatchObject([{ object: `${open.describe()}/${a}`, code: 'archive-damaged' }]);
  }
  expect(await verifyPublished(one.database, [open], REPAIR)).toMatchObject({ faulty: 1, repaired: 0 });
  const repaired = await verifyPublished(one.database, [open], REPAIR, new ArchivedBlocks([closed]));
  expect(repaired).toMatchObject({ faulty: 1, repaired: 1 });
  expect(await open.get(a, 8_192)).toEqual(good);
});

when('an altered entry is named by the audit although its tile is archived', async () => {
  await publish();
  await move();
  await one.database.query('ALTER TABLE blocks DISABLE TRIGGER USER');
  await one.database.query('UPDATE blocks SET received_at = received_at - 1000 WHERE log = $1 AND first = 256', [
    log.id,
  ]);
  const archives = archivesOf();
  const { findings } = await auditDatabase(database.url, { archive: archives.blocks, tiles: archives.tiles });
  expect(findings[0]).toMatchObject({ log: 'demo', index: 256 });
  expect(await found({ tiles: null })).toContain('tile-differs');
  // What is told of it comes out of the archive.
  await expect(new TileStore(one.database).tile(log, 0, 1, ENTRIES)).rejects.toMatchObject({ code: 'log-damaged' });
  expect(await new TileStore(one.database, archivesOf()).tile(log, 0, 1, ENTRIES)).toHaveLength(8_192);
});

when('another last leaf hash in the place of that of an archived tile is found, and so is none', async () => {
  await publish();
  await move();
  await one.database.query('ALTER TABLE tiles DISABLE TRIGGER USER');
  await one.database.query('UPDATE tiles SET last_leaf = sha256(last_leaf) WHERE index = 1');
  const { findings } = await auditDatabase(database.url);
  expect(findings).toMatchObject([{ code: 'tile-differs', log: 'demo', index: 511 }]);
  await expect(new EntryReader(one.database).bundle(log, 1, 256)).resolves.toHaveLength(256 * 75);
  await one.database.query('ALTER TABLE tiles DROP CONSTRAINT tiles_archived');
  await one.database.query('UPDATE tiles SET last_leaf = NULL WHERE index = 1');
  expect(await found()).toEqual(['tile-missing']);
});

when('a public bucket that is emptied, or another one, gets everything again', async () => {
  await publish();
  const all = await namesIn(open);
  await move();
  await moveContents();
  for (const name of all) await open.remove(name);
  const published = await shownRounds(one.database, [open], ORIGIN, 1);
  expect(published).toBe(0);
  await publish();
  expect(await namesIn(open)).toEqual(all);
  expect(await verifyPublished(one.database, [open])).toMatchObject({ faulty: 0 });
  const second = new Bucket(await store.bucket(`second-${names++}`));
  const both = new ObjectStores([open, second]);
  expect(await shownRounds(one.database, [open, second], ORIGIN, 1)).toBe(0);
  await publish(both);
  expect(await namesIn(second)).toEqual(all);
  await open.remove('logs/demo/tile/0/000');
  const archives = { blocks: null, tiles: new ArchivedTiles([open, second]) };
  expect(await new TileStore(one.database, archives).tile(log, 0, 0, ENTRIES)).toHaveLength(8_192);
});

when('moving that fails at any request loses nothing and goes on', async () => {
  const before = await told(archivesOf());
  await publish();
  let left = 0;
  const step = (): void => {
    if (left-- <= 0) throw new Error('killed');
  };
  const failing = new Proxy(open, {
    get: (target, name) => {
      if (name !== 'putNew') return Reflect.get(target, name, target);
      return async (...given: Parameters<Bucket['putNew']>) => {
        step();
        return target.putNew(...given);
      };
    },
  });
  for (let most = 0; ; most++) {
    left = most;
    const done = await move(failing).catch(() => null);
    expect(await told(archivesOf())).toEqual(before);
    if (done !== null) break;
    expect(await kept()).toEqual([true, true]);
  }
  expect(await kept()).toEqual([false, false]);
});

when('the database lets hashes go only with an object on record, and nothing else of a tile', async () => {
  const refused = (work: string): Promise<void> =>
    expect(one.database.query(work)).rejects.toMatchObject({ code: expect.stringMatching(/^(23001|23514)$/) });
  const empty = 'UPDATE tiles SET hashes = NULL, last_leaf = substring(hashes FROM 8161)';
  await refused(empty);
  await publish();
  for (const work of [
    'UPDATE tiles SET hashes = NULL',
    'UPDATE tiles SET hashes = NULL, last_leaf = sha256(hashes)',
    `${empty}, root = sha256(root)`,
    `${empty}, level = 1`,
    `${empty}, index = index + 7`,
    'UPDATE tiles SET last_leaf = substring(hashes FROM 8161)',
    `UPDATE tiles SET hashes = set_byte(hashes, 0, 0)`,
  ])
    await refused(work);
  const { rows } = await one.database.query<{ index: number; hashes: Buffer }>('SELECT index, hashes FROM tiles');
  await move();
  const [first] = rows;
  await expect(
    one.database.query('UPDATE tiles SET hashes = $1, last_leaf = NULL WHERE index = $2', [
      first?.hashes,
      first?.index,
    ]),
  ).rejects.toMatchObject({ code: '23001' });
  await refused('UPDATE tiles SET last_leaf = sha256(last_leaf)');
  await refused('DELETE FROM tiles');
});

when('a damaged tile stays where it is', async () => {
  await publish();
  await one.database.query('ALTER TABLE tiles DISABLE TRIGGER USER');
  await one.database.query('UPDATE tiles SET hashes = set_byte(hashes, 9, 255 - get_byte(hashes, 9)) WHERE index = 1');
  await one.database.query('ALTER TABLE tiles ENABLE TRIGGER USER');
  await expect(move()).rejects.toMatchObject({ code: 'log-damaged' });
  expect(await kept()).toEqual([true, true]);
});

when.each([300, 512])(
  'an audit goes on from %i entries although their last tile left the database since',
  async (size) => {
    const quiet = await one.makeLog(`of-${size}`);
    await one.append(quiet, ...Array.from({ length: size }, (_, i) => `entry ${i}`));
    const folder = await mkdtemp(join(tmpdir(), 'antequem-state-'));
    const resumed = async (): Promise<Audit> => {
      const state = await AuditState.open(join(folder, 'state'), ORIGIN);
      const { blocks: archive, tiles } = archivesOf();
      return auditDatabase(database.url, { state, archive, tiles });
    };
    expect((await resumed()).findings).toEqual([]);
    await one.append(quiet, ...Array.from({ length: ENTRIES - size }, (_, i) => `later entry ${i}`));
    await one.closeRound();
    await publish();
    await move();
    await moveContents();
    const again = await resumed();
    expect(again.findings).toEqual([]);
    expect(again.verdict.claims.map(({ code }) => code)).toContain('resumed');
    await one.database.query('ALTER TABLE tiles DISABLE TRIGGER USER');
    await one.database.query('UPDATE tiles SET root = sha256(root) WHERE log = $1 AND index = 1', [quiet.id]);
    expect((await resumed()).findings.map(({ code }) => code)).toContain('log-rewritten');
    await rm(folder, { recursive: true });
  },
);

when.each([
  ['here', 'log-damaged'],
  ['in the archive', 'archive-conflict'],
])('a log with a tile that is damaged %s holds up no other', async (where, code) => {
  const other = await one.makeLog('other');
  await one.append(other, ...Array.from({ length: 300 }, (_, i) => `entry ${i} of another log`));
  await one.closeRound();
  await publish();
  if (where === 'here') {
    await one.database.query('ALTER TABLE tiles DISABLE TRIGGER USER');
    await one.database.query(
      'UPDATE tiles SET hashes = set_byte(hashes, 9, 255 - get_byte(hashes, 9)) WHERE log = $1',
      [log.id],
    );
    await one.database.query('ALTER TABLE tiles ENABLE TRIGGER USER');
  } else {
    await open.put('logs/demo/tile/0/000', new Uint8Array(8_192));
  }
  await expect(move()).rejects.toMatchObject({ code });
  const { rows } = await one.database.query<{ name: string; moved: boolean }>(
    `SELECT l.name, bool_or(hashes IS NULL) AS moved FROM tiles t JOIN logs l ON l.id = t.log
     WHERE t.level = 0 AND l.name IN ('demo', 'other') GROUP BY l.name ORDER BY l.name`,
  );
  expect(rows).toEqual([
    { name: 'demo', moved: false },
    { name: 'other', moved: true },
  ]);
});
