// Where the database may be, and what it must be: on real servers, with what really stands between.

import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openQueue } from '../../src/queue/queue.ts';
import { openDatabase } from '../../src/store/database.ts';
import { migrate } from '../../src/store/migrate.ts';
import { Notifications } from '../../src/store/notifications.ts';
import { serviceName } from '../../src/store/service-name.ts';
import { ACCOUNT, DebianPostgres, debianPostgresMissing, freePort } from '../support/debian-postgres.ts';
import { ORIGIN, openInstance } from '../support/instance.ts';
import { pgbouncer, pgbouncerMissing } from '../support/pgbouncer.ts';

const logger = pino({ level: 'silent' });

let server: DebianPostgres;
let made = 0;

beforeAll(async () => {
  if (debianPostgresMissing === null) server = await DebianPostgres.open({ settings: { wal_level: 'replica' } });
});
afterAll(() => server?.close());

/** A new database, as the superuser. */
async function makeDatabase(properties = ''): Promise<string> {
  const name = `d${made++}`;
  await server.ask(`CREATE DATABASE ${name} TEMPLATE template0 ${properties}`);
  return name;
}

/** The service's parts work there: logs, rounds, the queue with its schedules, news. */
async function works(url: string): Promise<void> {
  await migrate(url);
  const one = await openInstance(url);
  const queue = await openQueue({ origin: ORIGIN, databaseUrl: url, logger });
  const notifications = Notifications.listen(url);
  try {
    const log = await one.makeLog('demo');
    expect(await one.append(log, 'a', 'b')).toMatchObject({ count: 2 });
    const seen: unknown[] = [];
    queue.work('lane', async (data) => void seen.push(data), { concurrency: 2 });
    expect(await queue.wake([{ lane: 'lane', id: 'it', data: { n: 1 } }])).toBe(true);
    await expect.poll(() => seen, { timeout: 120_000 }).toEqual([{ n: 1 }]);
    queue.every({ lane: 'lane', id: 'tick', data: {} }, 60_000);
    await expect.poll(() => queue.nextRun({ lane: 'lane', id: 'tick', data: {} })).toBeGreaterThan(0);
    const news = notifications.next(10_000, new AbortController().signal);
    expect(await one.closeRound()).not.toBeNull();
    await news;
  } finally {
    await notifications.close();
    await queue.close();
    await one.end();
  }
}

describe.skipIf(debianPostgresMissing !== null)('the server', () => {
  test('PostgreSQL 15 from Debian is taken, with a password', async () => {
    const name = await makeDatabase();
    await server.ask(`CREATE ROLE app LOGIN PASSWORD 'p@ss/word'`);
    await server.ask(`ALTER DATABASE ${name} OWNER TO app`);
    await works(server.url(name).replace('antequem@', 'app:p%40ss%2Fword@'));
  });

  test('one that is older than 15 is refused before anything is migrated', async () => {
    const name = await makeDatabase();
    const { rows } = await server.ask(`SELECT current_setting('server_version_num') AS number`);
    const number = String(rows[0]?.number);
    // The same server, with another number on its way to us.
    const proxy = createServer((client) => {
      const upstream = connect(server.port, '127.0.0.1');
      client.pipe(upstream).on('error', () => client.destroy());
      upstream.on('data', (data) => {
        const at = data.indexOf(number);
        if (at >= 0) data.write('140009', at);
        client.write(data);
      });
      upstream.on('close', () => client.destroy());
      client.on('error', () => upstream.destroy());
    });
    const port = await freePort();
    await new Promise<void>((resolve) => proxy.listen(port, '127.0.0.1', resolve));
    await expect(migrate(`postgres://antequem@127.0.0.1:${port}/${name}`)).rejects.toMatchObject({
      code: 'database-unsupported',
      message: expect.stringContaining('this release needs PostgreSQL 15 or newer'),
    });
    expect((await server.ask('SELECT 1 FROM pg_tables WHERE schemaname = current_schema()', name)).rowCount).toBe(0);
    proxy.close();
  });

  test('a database in LATIN1 is refused with what to do', async () => {
    const name = await makeDatabase(`ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'`);
    await expect(migrate(server.url(name))).rejects.toMatchObject({
      code: 'database-unsupported',
      message: expect.stringMatching(/antequem@127\.0\.0\.1:\d+\/d\d+ is encoded in LATIN1; the service needs UTF8/),
    });
  });

  test('a lock that another session holds is waited for, and then named', async () => {
    const name = await makeDatabase();
    const holder = openDatabase(server.url(name), { connections: 1 });
    const client = await holder.connect();
    await client.query(`SELECT pg_advisory_lock(hashtextextended('antequem migrate ' || current_schema(), 0))`);
    await expect(migrate(server.url(name), 300)).rejects.toMatchObject({
      code: 'migration-locked',
      message: expect.stringContaining('another session has held a lock'),
    });
    client.release(true);
    await migrate(server.url(name), 10_000);
    // All have run: no lock is taken any more.
    const again = await holder.connect();
    await again.query(`SELECT pg_advisory_lock(hashtextextended('antequem migrate ' || current_schema(), 0))`);
    await migrate(server.url(name), 300);
    again.release(true);
    await holder.end();
  });

  test('a role that owns one schema and nothing else; two services in one database do not meet', async () => {
    const name = await makeDatabase();
    await server.ask(`REVOKE ALL ON SCHEMA public FROM PUBLIC; REVOKE CREATE ON DATABASE ${name} FROM PUBLIC`, name);
    for (const role of ['alpha', 'beta']) {
      await server.ask(`CREATE ROLE ${role} LOGIN; CREATE SCHEMA ${role} AUTHORIZATION ${role}`, name);
      await works(server.url(name, role));
    }
    const { rows } = await server.ask(
      `SELECT schemaname, count(*)::int AS tables, bool_or(tablename = 'job') AS queue FROM pg_tables
       WHERE schemaname IN ('alpha', 'beta') OR schemaname LIKE 'antequem%' GROUP BY 1 ORDER BY 1`,
      name,
    );
    expect(rows).toMatchObject([
      { schemaname: 'alpha', queue: true },
      { schemaname: 'beta', queue: true },
    ]);
  });

  test('a role without any schema is refused with what to do', async () => {
    const name = await makeDatabase();
    await server.ask(`CREATE ROLE gamma LOGIN; ALTER ROLE gamma SET search_path = nowhere`, name);
    await expect(migrate(server.url(name, 'gamma'))).rejects.toMatchObject({
      code: 'database-unsupported',
      message: expect.stringContaining('has no schema for this role'),
    });
  });
});

describe.skipIf(debianPostgresMissing !== null || pgbouncerMissing !== null)('PgBouncer', () => {
  test('with pool_mode = session all works, the queue included', async () => {
    const bouncer = await pgbouncer(server, 'session');
    try {
      await works(`${bouncer.url}${await makeDatabase()}`);
    } finally {
      await bouncer.stop();
    }
  });

  test.each([
    ['transaction', []],
    ['transaction', ['server_round_robin = 1', 'min_pool_size = 2', 'ignore_startup_parameters = options']],
    ['transaction', ['server_round_robin = 1', 'min_pool_size = 5', 'ignore_startup_parameters = options']],
    ['statement', []],
  ] as const)('with pool_mode = %s it is refused at once (%s)', async (mode, settings) => {
    const bouncer = await pgbouncer(server, mode, settings);
    try {
      const name = await makeDatabase();
      await expect(migrate(`${bouncer.url}${name}`)).rejects.toMatchObject({
        code: 'database-unsupported',
        message: expect.stringContaining('set pool_mode = session for this database'),
      });
      expect((await server.ask('SELECT 1 FROM pg_tables WHERE schemaname = current_schema()', name)).rowCount).toBe(0);
    } finally {
      await bouncer.stop();
    }
  });
});

describe.skipIf(debianPostgresMissing !== null)('TLS', () => {
  test('the certificate is checked against the given one, also where several hosts are named', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'antequem-tls-'));
    const [key, certificate] = [join(folder, 'key'), join(folder, 'certificate')];
    const made = spawnSync('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
      ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', certificate],
    ]);
    expect(made.status).toBe(0);
    chmodSync(folder, 0o755);
    chmodSync(key, 0o600);
    if (ACCOUNT !== null) chownSync(key, ACCOUNT.uid, ACCOUNT.gid);
    const secure = await DebianPostgres.open({
      settings: { ssl: 'on', ssl_key_file: key, ssl_cert_file: certificate },
    });
    try {
      const verified = `?sslmode=verify-full&sslrootcert=${certificate}`;
      const { port } = secure;
      await works(`postgres://antequem@localhost:${port}/postgres${verified}`);
      await works(`postgres://antequem@127.0.0.1:1,localhost:${port}/postgres${verified}`);
      const { rows } = await secure.ask('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
      expect(rows).toEqual([{ ssl: false }]);
      for (const wrong of [
        `postgres://antequem@127.0.0.1:${port}/postgres${verified}`,
        `postgres://antequem@127.0.0.1:1,127.0.0.1:${port}/postgres${verified}`,
        `postgres://antequem@localhost:${port}/postgres?sslmode=verify-full`,
      ]) {
        await expect(migrate(wrong)).rejects.toMatchObject({ code: 'database-unavailable' });
      }
    } finally {
      await secure.close();
      rmSync(folder, { recursive: true });
    }
  }, 180_000);
});

describe.skipIf(debianPostgresMissing !== null)('several hosts', () => {
  test('the one that takes writes is used, and the other one after it was promoted', async () => {
    const primary = await DebianPostgres.open({ settings: { wal_level: 'replica' } });
    const replica = await DebianPostgres.open({ primary });
    const url = `postgres://antequem@127.0.0.1:${replica.port},127.0.0.1:${primary.port}/postgres`;
    try {
      await works(url);
      const database = openDatabase(url, { connections: 3 });
      const port = async (): Promise<number> =>
        (await database.query<{ port: number }>(`SELECT current_setting('port')::int AS port`)).rows[0]?.port ?? 0;
      expect(await port()).toBe(primary.port);
      await primary.stop('immediate');
      // A session whose end is not noticed yet fails by itself; the next one is looked for at both hosts.
      const failure = (): Promise<unknown> => port().catch((error: unknown) => error);
      await expect
        .poll(failure, { timeout: 120_000 })
        .toMatchObject({ code: expect.stringMatching(/^database-(read-only|unavailable)$/) });
      await replica.promote();
      await expect.poll(() => port().catch(() => 0), { timeout: 120_000 }).toBe(replica.port);
      await database.end();
      const queue = await openQueue({ origin: ORIGIN, databaseUrl: url, logger });
      expect(await queue.wake([{ lane: 'lane', id: 'later', data: {} }])).toBe(true);
      await queue.close();
    } finally {
      await replica.close();
      await primary.close();
    }
  });
});

test('the name of a service is the same in the database', async () => {
  if (debianPostgresMissing !== null) return;
  const name = await makeDatabase();
  await migrate(server.url(name));
  const one = await openInstance(server.url(name));
  expect((await one.database.query('SELECT service_name() AS name')).rows).toEqual([{ name: serviceName(ORIGIN) }]);
  expect(serviceName('log.example.org')).toMatch(/^antequem-[0-9a-f]{16}$/);
  await one.end();
});
