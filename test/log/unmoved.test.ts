// A database that the last release with a row for each entry made. Every later release must start on it.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { hasUnpacked, packLeaves } from '../../src/anchor/unpacked.ts';
import { readConfig } from '../../src/config.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { hasUnmoved, moveEntries } from '../../src/log/unmoved.ts';
import { openFoundation, realEffects } from '../../src/start/foundation.ts';
import { openDatabase } from '../../src/store/database.ts';
import { migrate } from '../../src/store/migrate.ts';
import { auditDatabase } from '../support/audit.ts';
import { draft, drafts, ORIGIN, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { recompute } from '../support/recompute.ts';
import { expectAsBefore, logOf, ROWS_SAID, ROWS_SQL } from '../support/rows-fixture.ts';

let server: TestDatabase;

beforeEach(async () => {
  server = await testDatabase({ empty: true });
  await asClient((client) => client.query(ROWS_SQL));
});

afterEach(() => server.drop());

async function asClient<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function move(onProgress: (moved: number) => void = () => {}): Promise<string[]> {
  await migrate(server.url);
  const database = openDatabase(server.url);
  const damage: string[] = [];
  try {
    await moveEntries(database, {
      onProgress: ({ moved }) => onProgress(moved),
      onDamage: (says) => damage.push(says),
    });
    expect(await hasUnmoved(database)).toBe(false);
    await packLeaves(database, ({ packed }) => onProgress(packed), 1);
    expect(await hasUnpacked(database)).toBe(false);
  } finally {
    await database.end();
  }
  return damage;
}

test('is started on by the service, with all that it was', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'antequem-rows-'));
  await writeFile(join(folder, 'seed'), '07'.repeat(32));
  const config = readConfig({ DATABASE_URL: server.url, ORIGIN, LOG_SEED_FILE: join(folder, 'seed'), ROLES: 'api' });
  const progress: number[] = [];
  const foundation = await openFoundation(config, realEffects, { onMoving: ({ moved }) => progress.push(moved) });
  await foundation.close();
  await rm(folder, { recursive: true });
  const total = Object.values(ROWS_SAID.heads).reduce((sum, { size }) => sum + size, 0);
  expect(progress.at(-1)).toBe(total);
  await expectAsBefore(server.url);
});

test('goes on: events are known, requests answered again, what was erased is gone, digests are found', async () => {
  expect(await move()).toEqual([]);
  const one = await openInstance(server.url);
  try {
    const [demo, plain] = [await logOf(one, 'demo'), await logOf(one, 'plain')];
    const events = Array.from({ length: 12 }, (_, i) => ({
      ...draft(`event ${i}`),
      event: sha256(utf8(`id ${i}`)).slice(0, 16),
    }));
    expect((await one.appender.appendEvents(plain, { drafts: events, idempotency: null })).fresh).toEqual([10, 11]);
    expect(await one.entries.read(demo, 7)).toMatchObject({ secret: null, payloadSize: null });
    expect(await one.entries.locate(draft('demo 7').digest, null, 10)).toEqual([]);
    expect(await one.entries.locate(draft('paid 100 to Alice').digest, null, 10)).toMatchObject([{ index: 57 }]);
    await one.appender.append(demo, { drafts: drafts(300, 'later'), idempotency: null });
    await recompute(one.database, demo);
    expect(await one.closeRound()).not.toBeNull();
    expect((await auditDatabase(server.url)).findings).toEqual([]);
    const { rows } = await one.database.query(
      `SELECT relname FROM pg_class WHERE relname ~ 'entries|stretches|segments'`,
    );
    expect(rows.map(({ relname }) => relname)).not.toContain('entries_000001');
  } finally {
    await one.end();
  }
});

describe('moved', () => {
  test('and broken off after each step, it goes on from there', async () => {
    for (let step = 1; ; step++) {
      let steps = 0;
      try {
        await move(() => {
          if (++steps === step) throw new Error('broken off');
        });
        expect(step).toBeGreaterThan(3);
        break;
      } catch (error) {
        if (!(error instanceof Error) || error.message !== 'broken off') throw error;
      }
    }
    await expectAsBefore(server.url);
  });

  test('by several processes at once, it is moved once', async () => {
    await Promise.all([move(), move(), move()]);
    await expectAsBefore(server.url);
  });

  test('with a damaged entry and a missing one, it says so, and the audit finds both', async () => {
    await asClient(async (client) => {
      await client.query('SET session_replication_role = replica');
      await client.query(
        `UPDATE entries SET payload = 'paid 900 to Mallory' WHERE index = 57 AND log = (SELECT id FROM logs WHERE name = 'demo')`,
      );
      await client.query(`DELETE FROM entries WHERE index = 12 AND log = (SELECT id FROM logs WHERE name = 'plain')`);
    });
    expect(await move()).toEqual([
      expect.stringContaining('the payload of entry 57 of demo'),
      expect.stringContaining('entry 12 of plain is missing'),
    ]);
    expect((await auditDatabase(server.url)).findings).toMatchObject([
      { code: 'entry-altered', log: 'demo', index: 57 },
      { code: 'entry-missing', log: 'plain', index: 12 },
    ]);
  });
});

test('a process of the release before is refused by the database', async () => {
  await migrate(server.url);
  await asClient(async (client) => {
    for (const statement of [
      'INSERT INTO entries (segment, log, index) VALUES (1, 1, 1)',
      'SELECT payload FROM entries',
      'SELECT segment FROM stretches',
    ]) {
      await expect(client.query(statement)).rejects.toMatchObject({ code: '42P01' });
    }
  });
});
