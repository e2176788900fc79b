import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { startPostgres } from '../../scripts/local/postgres.ts';
import { locatePackage, postgresBinaries } from '../../scripts/local/postgres-binaries.ts';
import { findProcess } from '../../scripts/local/process-table.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'antequem-postgres-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function ask(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<{ value: unknown }>(sql)).rows.map((row) => row.value);
  } finally {
    await client.end();
  }
}

it('is durable, listens on a private socket alone, and takes its folders along when disposable', async () => {
  const dataDir = temporaryFolder();
  const server = await startPostgres({ dataDir, disposable: true });
  const settings = "'fsync', 'synchronous_commit', 'full_page_writes', 'listen_addresses', 'data_directory'";
  const values = await ask(
    server.url,
    `SELECT setting AS value FROM pg_settings WHERE name IN (${settings}) ORDER BY name`,
  );
  expect(values).toEqual([expect.any(String), 'on', 'on', '', 'on']);
  expect(statSync(server.socketDir).mode & 0o777).toBe(0o700);
  expect(Buffer.byteLength(server.socketDir)).toBeLessThan(90);
  expect(findProcess(server.pid)?.command.join(' ')).toContain(`-D ${values[0]}`);
  await server.stop();
  expect(findProcess(server.pid)).toBeNull();
  expect([dataDir, server.socketDir, String(values[0])].filter((path) => existsSync(path))).toEqual([]);
});

it('stops the server that an earlier start left running, and has its data', async () => {
  const dataDir = temporaryFolder();
  const first = await startPostgres({ dataDir });
  await ask(first.url, 'CREATE TABLE kept AS SELECT 7 AS value');
  const second = await startPostgres({ dataDir, disposable: true });
  await first.ended;
  expect(findProcess(first.pid)).toBeNull();
  expect(await ask(second.url, 'SELECT value FROM kept')).toEqual([7]);
  await second.stop();
});

it('starts over a postmaster.pid whose process id now is that of something else', async () => {
  const dataDir = temporaryFolder();
  const first = await startPostgres({ dataDir });
  const [data] = await ask(first.url, "SELECT current_setting('data_directory') AS value");
  await first.stop();
  // A child of this very process, so that PostgreSQL itself would take it for a live server.
  writeFileSync(
    join(String(data), 'postmaster.pid'),
    `${process.pid}\n${data}\n1700000000\n5432\n/tmp\n\n\nready   \n`,
  );
  const second = await startPostgres({ dataDir, disposable: true });
  expect(await ask(second.url, 'SELECT 1 AS value')).toEqual([1]);
  await second.stop();
});

it('ends what it began when told to while starting', async () => {
  const dataDir = temporaryFolder();
  await (await startPostgres({ dataDir })).stop();
  const abort = new AbortController();
  const starting = startPostgres({ dataDir, disposable: true, signal: abort.signal });
  setTimeout(() => abort.abort(), 20);
  await expect(starting).rejects.toThrow(/abort/i);
  expect(existsSync(dataDir)).toBe(false);
});

it('makes the links that npm ci --ignore-scripts leaves out, or a copy that has them', () => {
  const folder = temporaryFolder();
  const found = locatePackage();
  const bare = { ...found, native: join(folder, 'native') };
  cpSync(found.native, bare.native, { recursive: true, verbatimSymlinks: true });
  execFileSync('find', [bare.native, '-type', 'l', '-delete']);
  expect(() => execFileSync(join(bare.native, 'bin', 'postgres'), ['--version'], { stdio: 'pipe' })).toThrow();

  const copied = postgresBinaries(join(folder, 'copies'), true, bare);
  expect(copied.postgres.startsWith(join(folder, 'copies'))).toBe(true);
  expect(execFileSync(copied.postgres, ['--version'], { encoding: 'utf8' })).toContain(` ${copied.majorVersion}.`);
  expect(statSync(copied.postgres).mode & 0o777).toBe(0o755);

  const mended = postgresBinaries(join(folder, 'unused'), false, bare);
  expect(execFileSync(mended.initdb, ['--version'], { encoding: 'utf8' })).toContain(` ${mended.majorVersion}.`);
  expect(existsSync(join(folder, 'unused'))).toBe(false);
});

it('gives each test file a migrated database of its own', async () => {
  const [one, two, empty] = await Promise.all([testDatabase(), testDatabase(), testDatabase({ empty: true })]);
  await ask(one.url, 'CREATE TABLE only_here (n int)');
  const tables = 'SELECT count(*)::int AS value FROM pg_tables WHERE schemaname = current_schema()';
  const count = async ({ url }: TestDatabase) => Number((await ask(url, tables))[0]);
  const [inOne, inTwo, inEmpty] = [await count(one), await count(two), await count(empty)];
  expect(inOne).toBe(inTwo + 1);
  expect(inTwo).toBeGreaterThan(0);
  expect(inEmpty).toBe(0);
  const open = new pg.Client({ connectionString: one.url });
  open.on('error', () => {});
  await open.connect();
  await Promise.all([one.drop(), two.drop(), empty.drop()]);
  await expect(ask(one.url, tables)).rejects.toThrow(/does not exist/);
});
