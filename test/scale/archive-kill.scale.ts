// A process that archives is killed (SIGKILL) at each of its steps, one after the other, until one comes to the end.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ArchivedBlocks, objectName } from '../../src/archive/archived-blocks.ts';
import { ArchivedTiles } from '../../src/archive/archived-tiles.ts';
import { Bucket } from '../../src/archive/bucket.ts';
import { deleteLeftovers } from '../../src/archive/moved-blocks.ts';
import { verifyBlocks, verifyPublished } from '../../src/archive/verification.ts';
import { EntryReader } from '../../src/log/entries.ts';
import { TileStore } from '../../src/log/tilestore.ts';
import { auditDatabase } from '../support/audit.ts';
import { type Instance, openInstance } from '../support/instance.ts';
import { type TestStore, testStore } from '../support/object-store.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

const PROCESS = fileURLToPath(new URL('../support/archive-process.ts', import.meta.url));
const ENTRIES = 600;
let store: TestStore;
let database: TestDatabase;
let one: Instance;

beforeAll(async () => {
  [store, database] = await Promise.all([testStore(), testDatabase()]);
  one = await openInstance(database.url);
});
afterAll(async () => {
  await one?.end();
  await database?.drop();
  await store?.stop();
});

test('killed at every step, nothing is lost, nothing is left behind, and the next one goes on', async () => {
  const addresses = [await store.bucket('kill-public'), await store.bucket('kill-private')] as const;
  const [open, closed] = [new Bucket(addresses[0]), new Bucket(addresses[1])];
  const log = await one.makeLog('demo');
  await one.append(log, ...Array.from({ length: ENTRIES }, (_, i) => `entry ${i}`));
  await one.closeRound();
  const archives = { blocks: new ArchivedBlocks([closed]), tiles: new ArchivedTiles([open]) };
  const reader = new EntryReader(one.database, archives.blocks);
  const hashes = await one.tiles.tile(log, 0, 0, ENTRIES);
  let kills = 0;
  for (let most = 0; ; most++) {
    const ran = spawnSync(process.execPath, [PROCESS, database.url, JSON.stringify(addresses), String(most)], {
      encoding: 'utf8',
    });
    const payloads = await reader.payloads(log, 0, ENTRIES);
    expect(payloads.map((payload) => Buffer.from(payload ?? []).toString())).toEqual(
      Array.from({ length: ENTRIES }, (_, i) => `entry ${i}`),
    );
    expect(await new TileStore(one.database, archives).tile(log, 0, 0, ENTRIES)).toEqual(hashes);
    if (ran.stdout.includes('done')) break;
    expect(ran.signal).toBe('SIGKILL');
    kills++;
  }
  console.log(`killed ${kills} times`);
  expect(kills).toBeGreaterThan(20);
  await one.database.query("UPDATE archive_leftovers SET since = '-infinity'");
  expect(await deleteLeftovers(one.database, closed)).toBe(0);
  const { rows } = await one.database.query<{ object: Uint8Array }>(
    'SELECT object FROM archived_blocks UNION ALL SELECT object FROM archived_commitments',
  );
  const names: string[] = [];
  for await (const name of closed.list('')) names.push(name);
  expect(names).toEqual(rows.map(({ object }) => objectName(object)).sort());
  expect(await verifyBlocks(one.database, [closed])).toMatchObject({ objects: 4, faulty: 0 });
  expect(await verifyPublished(one.database, [open])).toMatchObject({ faulty: 0 });
  const moved = await one.database.query('SELECT FROM tiles WHERE hashes IS NULL');
  expect(moved.rowCount).toBe(2);
  const { findings } = await auditDatabase(database.url, { archive: archives.blocks, tiles: archives.tiles });
  expect(findings).toEqual([]);
});
