import { readdirSync } from 'node:fs';
import pg from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { migrate } from '../../src/store/migrate.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

const files = readdirSync(new URL('../../src/store/migrations/', import.meta.url)).sort();

let server: TestDatabase;
let client: pg.Client;

beforeEach(async () => {
  server = await testDatabase({ empty: true });
  client = new pg.Client({ connectionString: server.url });
  await client.connect();
});

afterEach(async () => {
  await client.end();
  await server.drop();
});

const run = async (): Promise<string[]> =>
  (await client.query<{ name: string }>('SELECT name FROM migrations ORDER BY name')).rows.map(({ name }) => name);

test('are numbered without gap', () => {
  expect(files.length).toBeGreaterThan(2);
  for (const [i, file] of files.entries())
    expect(file).toMatch(new RegExp(`^${String(i + 1).padStart(4, '0')}_[a-z-]+\\.sql$`));
});

test('run once, however often they are started', async () => {
  await migrate(server.url);
  const tables = 'SELECT count(*) FROM pg_class';
  const before = (await client.query(tables)).rows;
  await migrate(server.url);
  expect(await run()).toEqual(files);
  expect((await client.query(tables)).rows).toEqual(before);
});

test('started by five processes at once they run once', async () => {
  await Promise.all(Array.from({ length: 5 }, () => migrate(server.url)));
  expect(await run()).toEqual(files);
});

test('a database of a newer release is refused and left alone', async () => {
  await migrate(server.url);
  await client.query(`INSERT INTO migrations (name) VALUES ('0999_from-the-future.sql')`);
  await expect(migrate(server.url)).rejects.toMatchObject({
    code: 'schema-newer',
    message: expect.stringContaining('0999_from-the-future.sql'),
  });
  expect(await run()).toEqual([...files, '0999_from-the-future.sql']);
});

test('one that fails leaves nothing behind, and the next start runs it', async () => {
  await client.query('CREATE TABLE checkpoints (in_the_way integer)');
  await expect(migrate(server.url)).rejects.toMatchObject({ code: '42P07' });
  expect(await run()).toEqual([]);
  expect((await client.query(`SELECT to_regclass('logs') AS logs`)).rows).toEqual([{ logs: null }]);
  await client.query('DROP TABLE checkpoints');
  await migrate(server.url);
  expect(await run()).toEqual(files);
});
