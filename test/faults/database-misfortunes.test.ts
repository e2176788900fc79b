// The table of misfortunes of the database, on real servers: answers, readiness, and whether what was answered is there.
// A full disk and restarts under load are in postgres.test.ts.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { finished, start } from '../cli/command.ts';
import { DebianPostgres, debianPostgresMissing } from '../support/debian-postgres.ts';
import { ORIGIN } from '../support/instance.ts';
import { Sufferer, tableOf } from '../support/misfortune.ts';
import { pgbouncer } from '../support/pgbouncer.ts';

const rows: string[][] = [['misfortune', 'append', '/readyz', 'afterwards', 'answered and lost']];

let server: DebianPostgres;
let folder: string;
let made = 0;

beforeAll(async () => {
  if (debianPostgresMissing !== null) return;
  server = await DebianPostgres.open();
  folder = await mkdtemp(join(tmpdir(), 'antequem-misfortunes-'));
  await writeFile(join(folder, 'seed'), '07'.repeat(32));
});
afterAll(async () => {
  await server?.close();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  console.log(tableOf(rows));
});

async function makeDatabase(): Promise<string> {
  const name = `m${made++}`;
  await server.ask(`CREATE DATABASE ${name}`);
  return name;
}

/** What `antequem serve` says when it refuses to start. */
async function refusal(databaseUrl: string): Promise<string> {
  const env = { DATABASE_URL: databaseUrl, ORIGIN, LOG_SEED_FILE: join(folder, 'seed'), PORT: '0', ROLES: 'api' };
  const { code, stderr } = await finished(start(['serve'], { env }), '');
  expect(code).not.toBe(0);
  // One sentence that names the database, and no stack.
  expect(stderr).not.toContain('    at ');
  expect(stderr).toContain('the database ');
  return stderr.trim();
}

describe.skipIf(debianPostgresMissing !== null)('the database', () => {
  test('turned read-only, and back', async () => {
    const name = await makeDatabase();
    const service = await Sufferer.open({ DATABASE_URL: server.url(name) });
    await server.ask(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
    const cut = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}' AND pid <> pg_backend_pid()`;
    await server.ask(cut);
    await expect.poll(() => service.append(), { timeout: 120_000 }).toBe('503 database-read-only');
    const { says } = await service.readiness();
    expect(says).toBe('503 database-read-only');
    // What it has can be read.
    expect(await service.lost()).toBe(0);
    await server.ask(`ALTER DATABASE ${name} RESET default_transaction_read_only`);
    // Nobody cuts the connections now: those of a server that takes no writes are given up by the service.
    await service.untilAppended();
    expect((await service.readiness()).says).toBe('ready');
    rows.push(['read-only', '503 database-read-only', says, 'appends again by itself', `${await service.lost()}`]);
    await service.close();
  });

  test('connections cut', async () => {
    const name = await makeDatabase();
    const service = await Sufferer.open({ DATABASE_URL: server.url(name) });
    for (let i = 0; i < 5; i++) {
      await server.ask(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`);
      await service.untilAppended();
    }
    const lost = await service.lost();
    expect(lost).toBe(0);
    rows.push([
      'connections cut',
      '201, or 503 database-unavailable',
      (await service.readiness()).says,
      '-',
      `${lost}`,
    ]);
    await service.close();
  });

  test('no connection left', async () => {
    const name = await makeDatabase();
    await server.ask(`CREATE ROLE few LOGIN`);
    await server.ask(`ALTER DATABASE ${name} OWNER TO few`);
    const service = await Sufferer.open({ DATABASE_URL: server.url(name, 'few') });
    await server.ask(`ALTER ROLE few CONNECTION LIMIT 0`);
    await server.ask(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'few'`);
    await expect.poll(() => service.append(), { timeout: 120_000 }).toBe('503 database-unavailable');
    const { says } = await service.readiness();
    await server.ask(`ALTER ROLE few CONNECTION LIMIT 50`);
    await service.untilAppended();
    const lost = await service.lost();
    expect([says, lost]).toEqual(['503 database-unavailable', 0]);
    rows.push(['no connection left', '503 database-unavailable', says, 'appends again by itself', `${lost}`]);
    await service.close();
  });

  test('the row of a log locked by somebody else', async () => {
    const name = await makeDatabase();
    const service = await Sufferer.open({ DATABASE_URL: server.url(name) });
    const holder = new pg.Client({ connectionString: server.url(name) });
    await holder.connect();
    await holder.query(`BEGIN; SELECT 1 FROM logs WHERE name = 'demo' FOR UPDATE`);
    const answer = await service.append();
    const { says } = await service.readiness();
    expect([answer, says]).toEqual(['503 database-unavailable', 'ready']);
    await holder.query('ROLLBACK');
    await holder.end();
    await service.untilAppended();
    const lost = await service.lost();
    expect(lost).toBe(0);
    rows.push(['lock held', `${answer}, after 10 s`, says, 'appends again by itself', `${lost}`]);
    await service.close();
  });

  test('a promoted replica that lacks the last commits', async () => {
    const primary = await DebianPostgres.open({ settings: { wal_level: 'replica' } });
    const replica = await DebianPostgres.open({ primary });
    const url = `postgres://antequem@127.0.0.1:${primary.port},127.0.0.1:${replica.port}/postgres`;
    const guard = join(folder, `guard-${made++}`);
    const service = await Sufferer.open({ DATABASE_URL: url, LOG_GUARD_FILE: guard });
    // The replica has all so far, and nothing from now on.
    await expect
      .poll(
        async () =>
          (await replica.ask('SELECT 1 FROM blocks b JOIN logs l ON l.id = b.log WHERE name = $$demo$$')).rowCount,
      )
      .toBe(1);
    await replica.stop();
    for (let i = 0; i < 3; i++) expect(await service.append()).toBe('201');
    await primary.stop('immediate');
    await replica.start();
    await replica.promote();
    const answers = await expect
      .poll(() => service.append(), { timeout: 100_000 })
      .toBe('503 database-set-back')
      .then(() => '503 database-set-back');
    const { says, checks } = await service.readiness();
    expect([says, checks.published]).toEqual(['ready', 'set back']);
    // A process that starts finds it, too: no index is given out again.
    await service.kill();
    await service.start();
    expect(await service.append()).toBe('503 database-set-back');
    // The primary is back, its disk was whole: nothing is lost.
    await service.kill();
    await replica.stop();
    await primary.start();
    await service.start();
    await service.untilAppended();
    const lost = await service.lost();
    expect(lost).toBe(0);
    rows.push([
      'promoted replica, last commits lost',
      answers,
      `${says}, set back`,
      'appends with the primary',
      `${lost}`,
    ]);
    await service.close();
    await replica.close();
    await primary.close();
  }, 400_000);

  test.each(['session', 'transaction', 'statement'] as const)('behind PgBouncer with pool_mode = %s', async (mode) => {
    const bouncer = await pgbouncer(server, mode);
    const url = `${bouncer.url}${await makeDatabase()}`;
    if (mode === 'session') {
      const service = await Sufferer.open({ DATABASE_URL: url });
      await expect.poll(() => service.lastRound(), { timeout: 120_000 }).toBeGreaterThan(0);
      const { says } = await service.readiness();
      expect([says, await service.lost()]).toEqual(['ready', 0]);
      rows.push([`PgBouncer, ${mode}`, '201', says, 'rounds are closed', '0']);
      await service.close();
    } else {
      expect(await refusal(url)).toContain('set pool_mode = session');
      rows.push([`PgBouncer, ${mode}`, 'refused at start', '-', '-', '-']);
    }
    await bouncer.stop();
  });

  test('a role with one schema of its own', async () => {
    const name = await makeDatabase();
    await server.ask(
      `REVOKE ALL ON SCHEMA public FROM PUBLIC; CREATE ROLE one LOGIN; CREATE SCHEMA one AUTHORIZATION one`,
      name,
    );
    const service = await Sufferer.open({ DATABASE_URL: server.url(name, 'one') });
    await expect.poll(() => service.lastRound(), { timeout: 120_000 }).toBeGreaterThan(0);
    const { says } = await service.readiness();
    expect([says, await service.lost()]).toEqual(['ready', 0]);
    rows.push(['role with one schema', '201', says, 'rounds are closed', '0']);
    await service.close();
  });

  test('what refuses a start names the database', async () => {
    const latin = `m${made++}`;
    await server.ask(`CREATE DATABASE ${latin} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'`);
    expect(await refusal(server.url(latin))).toContain('is encoded in LATIN1');
    expect(await refusal(server.url('absent'))).toContain('database "absent" does not exist');
    expect(await refusal(`${server.url('postgres')}?sslmode=verify-full`)).toContain(
      'does not support SSL connections',
    );
    expect(await refusal('postgres://antequem@127.0.0.1:1/postgres')).toContain('ECONNREFUSED');
    for (const what of ['LATIN1', 'database missing', 'TLS asked, none there', 'nothing listens'])
      rows.push([what, 'refused at start', '-', '-', '-']);
  });
});
