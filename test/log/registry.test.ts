import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { fromHex, toHex, utf8 } from '../../src/core/bytes.ts';
import { EMPTY_ROOT } from '../../src/core/merkle.ts';
import { parseVerifierKey } from '../../src/core/note.ts';
import { LogSeed } from '../../src/log/seed.ts';
import { asAdministrator } from '../support/history.ts';
import { type Instance, ORIGIN, openInstance, SEED } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { recompute } from '../support/recompute.ts';

let server: TestDatabase;
let one: Instance;
let two: Instance;

beforeAll(async () => {
  server = await testDatabase();
  // A new database that two processes find at once.
  [one, two] = await Promise.all([openInstance(server.url), openInstance(server.url)]);
});

afterAll(async () => {
  await Promise.all([one?.end(), two?.end()]);
  await server?.drop();
});

describe('making a log', () => {
  test('gives it its origin, id, key and an empty tree', async () => {
    const { log, created } = await one.registry.create('demo', { blinded: true });
    expect(created).toBe(true);
    expect(log).toMatchObject({ name: 'demo', origin: `${ORIGIN}/logs/demo`, blinded: true });
    expect(log.logId).toEqual(sha256(utf8(`${ORIGIN}/logs/demo`)));
    expect(await one.registry.head(log)).toEqual({ size: 0, root: EMPTY_ROOT });
    const signer = await one.registry.signer(log);
    expect(parseVerifierKey(signer.verifierKey)).toMatchObject({ name: log.origin, publicKey: signer.publicKey });
    expect(await two.registry.find('demo')).toEqual(log);
  });

  test('is told by `_system`, once', async () => {
    await one.registry.create('told', { blinded: false });
    await two.registry.create('told', { blinded: false });
    const { rows } = await recompute(one.database, one.registry.system);
    const acts = rows.map((row) => JSON.parse(row.payload?.toString() ?? ''));
    const log = await one.registry.find('told');
    expect(acts.filter((act) => act.log === `${ORIGIN}/logs/told`)).toEqual([
      {
        at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        act: 'log-created',
        log: `${ORIGIN}/logs/told`,
        blinded: false,
        publicKey: log === null ? '' : toHex((await one.registry.signer(log)).publicKey),
      },
    ]);
  });

  test('twice at the same time makes it once', async () => {
    const made = await Promise.all(
      Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? one : two).registry.create('raced', { blinded: true })),
    );
    expect(made.filter(({ created }) => created)).toHaveLength(1);
    expect(new Set(made.map(({ log }) => log.id)).size).toBe(1);
  });

  test('with other properties is refused', async () => {
    await one.registry.create('fixed', { blinded: true });
    await expect(one.registry.create('fixed', { blinded: false })).rejects.toMatchObject({ code: 'log-exists' });
    await expect(two.registry.create('fixed', { blinded: false })).rejects.toMatchObject({ code: 'log-exists' });
  });

  test.each([
    ['_system', 'log-reserved'],
    ['_other', 'log-name-invalid'],
    ['', 'log-name-invalid'],
    ['a/b', 'log-name-invalid'],
    ['x'.repeat(64), 'log-name-invalid'],
  ])('%j is refused', async (name, code) => {
    await expect(one.registry.create(name, { blinded: true })).rejects.toMatchObject({ code });
  });
});

test('logs are listed by name, page by page', async () => {
  const names = ['0-first', 'list-a', 'list.b', 'list_c', 'zz'];
  for (const name of names) await one.makeLog(name);
  const all = (await one.registry.list('', 1_000)).map(({ name }) => name);
  expect(all).toEqual([...all].sort());
  expect(all).toEqual(expect.arrayContaining([...names, '_system']));
  const paged: string[] = [];
  for (let after = ''; ; ) {
    const page = await one.registry.list(after, 2);
    paged.push(...page.map(({ name }) => name));
    if (page.length < 2) break;
    after = page.at(-1)?.name ?? '';
  }
  expect(paged).toEqual(all);
});

test('a log that is not there yet is found once another process made it', async () => {
  expect(await one.registry.find('later')).toBeNull();
  const log = await two.makeLog('later');
  expect(await one.registry.find('later')).toEqual(log);
});

describe('the database of another', () => {
  test('seed is refused at the start', async () => {
    const seed = new LogSeed(new Uint8Array(32).fill(8));
    await expect(openInstance(server.url, { seed })).rejects.toMatchObject({ code: 'seed-changed' });
  });

  test('origin is refused at the start', async () => {
    await expect(openInstance(server.url, { origin: 'other.example.org' })).rejects.toMatchObject({
      code: 'origin-changed',
    });
    await expect(openInstance(server.url, { origin: 'No Origin' })).rejects.toMatchObject({ code: 'origin-invalid' });
  });

  test('key in one log alone is refused when that log is to sign', async () => {
    const log = await one.makeLog('foreign-key');
    await asAdministrator(server.url, (client) =>
      client.query('UPDATE log_keys SET public_key = sha256(public_key) WHERE log = $1', [log.id]),
    );
    await expect(two.registry.signer(log)).rejects.toMatchObject({ code: 'seed-changed' });
    await expect(two.publisher.current(log)).rejects.toMatchObject({ code: 'seed-changed' });
  });
});

describe('seed', () => {
  const hex = '00112233445566778899aabbccddeeff'.repeat(2);

  test('64 hex digits, white space around them and upper case aside', () => {
    const key = LogSeed.parse(hex).signer('a').verifierKey;
    for (const text of [`${hex}\n`, ` ${hex.toUpperCase()} \r\n`]) {
      expect(LogSeed.parse(text).signer('a').verifierKey).toBe(key);
    }
    for (const text of ['', hex.slice(1), `${hex}0`, `0x${hex}`, hex.replace('0', 'g'), `${hex}\n${hex}`]) {
      expect(() => LogSeed.parse(text)).toThrow(expect.objectContaining({ code: 'seed-invalid' }));
    }
    for (const length of [0, 31, 33]) {
      expect(() => new LogSeed(new Uint8Array(length))).toThrow(expect.objectContaining({ code: 'seed-invalid' }));
    }
  });

  test('keys differ by log and number, and stay what they were', () => {
    const key = (origin: string, number?: number) => toHex(SEED.signer(origin, number).publicKey);
    expect(new Set([key('a'), key('b'), key('a', 2), key('a\n1'), key('a', 11)]).size).toBe(5);
    expect(key('a', 1)).toBe(key('a'));
    // HKDF-SHA-256 with info "log.example.org/logs/demo\n1" over 32 bytes of 7, then Ed25519: by OpenSSL.
    expect(key('log.example.org/logs/demo')).toBe('fbfbe523341ff4f1eff0467abb373be4b55f4db59f17588ce7d90b132f02eac8');
  });

  test('a key signs for its own log alone', () => {
    const checkpoint = { origin: 'b', size: 1, root: fromHex('00'.repeat(32)) };
    expect(() => SEED.signer('a').sign(checkpoint)).toThrow();
    expect(SEED.signer('b').sign(checkpoint)).toBe(SEED.signer('b').sign(checkpoint));
  });
});
