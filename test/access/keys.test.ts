import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ApiKey, permits, type Scope } from '../../src/access/keys.ts';
import { Clock, type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { recompute } from '../support/recompute.ts';

let server: TestDatabase;
let one: Instance;
let two: Instance;
const clock = new Clock();

beforeAll(async () => {
  server = await testDatabase();
  [one, two] = [await openInstance(server.url, { clock }), await openInstance(server.url, { clock })];
});

afterAll(async () => {
  await Promise.all([one?.end(), two?.end()]);
  await server?.drop();
});

const acts = async (): Promise<unknown[]> =>
  (await recompute(one.database, one.registry.system)).rows.map((row) => JSON.parse(row.payload?.toString() ?? ''));

describe('a new key', () => {
  test('is told once, works in every process, and only a hash of its secret is kept', async () => {
    expect(await one.keys.any()).toBe(false);
    const { key, token } = await one.keys.create('ops', ['append', 'read'], ['demo', '_system']);
    expect(token).toMatch(/^aq_[0-9a-f]{16}_[A-Za-z0-9_-]{43}$/);
    expect(await one.keys.any()).toBe(true);
    for (const { keys } of [one, two]) expect(await keys.authenticate(token)).toEqual(key);
    expect(await two.keys.list()).toEqual([key]);

    const secret = token.slice(token.lastIndexOf(key.id) + key.id.length + 1);
    const { rows } = await one.database.query('SELECT * FROM api_keys');
    expect(rows[0].secret_hash).toEqual(createHash('sha256').update(secret).digest());
    const everything = await one.database.query<{ dump: string }>(
      `SELECT query_to_xml('SELECT * FROM api_keys', true, false, '')::text AS dump`,
    );
    const told = JSON.stringify(await acts());
    for (const text of [everything.rows[0]?.dump, told]) {
      expect(text).toContain(key.id);
      expect(text).not.toContain(secret);
    }
  });

  test('is an entry of `_system`, and its revocation another', async () => {
    const { key } = await one.keys.create('told', ['admin'], null);
    expect(await two.keys.revoke(key.id)).toBe(true);
    expect((await acts()).slice(-2)).toEqual([
      {
        at: expect.any(String),
        act: 'key-created',
        key: key.id,
        name: 'told',
        scopes: ['admin'],
        logs: null,
        secretHash: expect.stringMatching(/^[0-9a-f]{64}$/),
      },
      { at: expect.any(String), act: 'key-revoked', key: key.id },
    ]);
  });

  test('two never share id or secret', async () => {
    const made = await Promise.all(Array.from({ length: 10 }, () => one.keys.create('many', ['read'], null)));
    expect(new Set(made.map(({ token }) => token.split('_')[1])).size).toBe(10);
    expect(new Set(made.map(({ token }) => token.slice(20))).size).toBe(10);
  });

  test.each([
    ['', ['read'], null, 'key-name-invalid'],
    ['x'.repeat(201), ['read'], null, 'key-name-invalid'],
    ['a\u0000b', ['read'], null, 'key-name-invalid'],
    ['a\nb', ['read'], null, 'key-name-invalid'],
    ['\ud800', ['read'], null, 'key-name-invalid'],
    ['ok', [], null, 'key-scopes-invalid'],
    ['ok', ['read'], ['No Log'], 'log-name-invalid'],
  ] as [string, Scope[], string[] | null, string][])('%j %j %j is refused', async (name, scopes, logs, code) => {
    const before = await one.keys.list();
    await expect(one.keys.create(name, scopes, logs)).rejects.toMatchObject({ code });
    expect(await one.keys.list()).toEqual(before);
  });

  test('of a scope that is none is refused by the database too', async () => {
    const insert = `INSERT INTO api_keys VALUES ('x', 'x', sha256(''), ARRAY['root'], NULL, 0)`;
    await expect(one.database.query(insert)).rejects.toMatchObject({ code: '23514' });
  });

  test('of a name in any script is taken', async () => {
    const { token } = await one.keys.create('Schlüssel für 日本 🔑', ['read'], null);
    expect((await two.keys.authenticate(token))?.name).toBe('Schlüssel für 日本 🔑');
  });
});

describe('a token that proves nothing', () => {
  test('is refused', async () => {
    const { token } = await one.keys.create('right', ['read'], null);
    const other = (await one.keys.create('other', ['read'], null)).token;
    const wrong = [
      '',
      'aq_',
      token.slice(0, -1),
      `${token}A`,
      `${token}\n`,
      ` ${token}`,
      token.toUpperCase(),
      token.replace('aq_', 'AQ_'),
      token.slice(0, 20) + other.slice(20),
      other.slice(0, 20) + token.slice(20),
      `aq_${'0'.repeat(16)}_${token.slice(20)}`,
      token.slice(0, 20) + 'A'.repeat(43),
      `${token.slice(0, 19)}'; DROP TABLE api_keys; --`,
    ];
    for (const each of wrong) expect(await one.keys.authenticate(each)).toBeNull();
    for (let i = 20; i < token.length; i++) {
      const changed = `${token.slice(0, i)}${token[i] === 'A' ? 'B' : 'A'}${token.slice(i + 1)}`;
      expect(await one.keys.authenticate(changed)).toBeNull();
    }
    expect(await one.keys.authenticate(token)).not.toBeNull();
  });
});

describe('a revoked key', () => {
  test('works no more: at once where it was revoked, elsewhere after five seconds at most', async () => {
    const { key, token } = await one.keys.create('short', ['read'], null);
    for (const { keys } of [one, two]) expect(await keys.authenticate(token)).not.toBeNull();
    expect(await one.keys.revoke(key.id)).toBe(true);
    expect(await one.keys.authenticate(token)).toBeNull();
    clock.shift += 5_000;
    expect(await two.keys.authenticate(token)).toBeNull();
    expect((await two.keys.list()).find(({ id }) => id === key.id)?.revokedAt).not.toBeNull();
  });

  test('is not kept alive by a clock that is set back', async () => {
    const { key, token } = await one.keys.create('back', ['read'], null);
    expect(await two.keys.authenticate(token)).not.toBeNull();
    await one.keys.revoke(key.id);
    clock.shift -= 40_000;
    expect(await two.keys.authenticate(token)).toBeNull();
    clock.shift += 40_000;
  });

  test('is revoked once', async () => {
    const { key } = await one.keys.create('once', ['read'], null);
    const before = (await acts()).length;
    const revoked = await Promise.all([one, two, one].map(({ keys }) => keys.revoke(key.id)));
    expect(revoked.filter((each) => each)).toHaveLength(1);
    expect(await one.keys.revoke('0'.repeat(16))).toBe(false);
    expect(await acts()).toHaveLength(before + 1);
  });

  test('does not count as a key', async () => {
    for (const { id } of await one.keys.list()) await one.keys.revoke(id);
    expect(await one.keys.any()).toBe(false);
    expect((await one.keys.list()).length).toBeGreaterThan(5);
  });
});

test('a key just made works where its id was asked for in vain before', async () => {
  // An id that another process has looked up and remembers as absent.
  const { key, token } = await one.keys.create('later', ['read'], null);
  await one.database.query('ALTER TABLE api_keys RENAME TO hidden');
  await one.database.query('CREATE TABLE api_keys (LIKE hidden)');
  expect(await two.keys.authenticate(token)).toBeNull();
  await one.database.query('DROP TABLE api_keys');
  await one.database.query('ALTER TABLE hidden RENAME TO api_keys');
  clock.shift += 5_000;
  expect(await two.keys.authenticate(token)).toEqual(key);
});

describe('what a key permits', () => {
  const key = (scopes: Scope[], logs: string[] | null): ApiKey => ({
    id: '',
    name: '',
    scopes,
    logs,
    createdAt: 0,
    revokedAt: null,
  });

  test.each([
    [['append'], null, 'append', 'a', true],
    [['append'], null, 'read', 'a', false],
    [['append'], null, 'admin', null, false],
    [['read'], null, 'read', null, true],
    [['read'], ['a'], 'read', 'a', true],
    [['read'], ['a'], 'read', 'b', false],
    [['read'], ['a'], 'read', null, false],
    [['read', 'append'], ['a', 'b'], 'append', 'b', true],
    [['admin'], null, 'append', 'a', true],
    [['admin'], null, 'read', null, true],
    [['admin'], null, 'admin', null, true],
    [['admin'], ['a'], 'admin', 'a', true],
    [['admin'], ['a'], 'admin', null, false],
    [['admin'], ['a'], 'append', 'b', false],
    [['read'], [], 'read', 'a', false],
  ] as [Scope[], string[] | null, Scope, string | null, boolean][])(
    '%j on %j: %s of %j is %j',
    (scopes, logs, scope, log, allowed) => expect(permits(key(scopes, logs), scope, log)).toBe(allowed),
  );
});
