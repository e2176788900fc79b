import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LogSeed } from '../../src/log/seed.ts';
import { Sealing } from '../../src/sources/sealing.ts';
import { Sources } from '../../src/sources/sources.ts';
import { Clock, type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { recompute } from '../support/recompute.ts';

const OLD_SEED = new Uint8Array(32).fill(7);
const NEW_SEED = new Uint8Array(32).fill(8);

let server: TestDatabase;
let one: Instance;
let sources: Sources;
const clock = new Clock();

const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

function openSources(...seeds: Uint8Array[]): Sources {
  const sealing = new Sealing(new LogSeed(...seeds).secrets('sources'), random);
  return new Sources({ database: one.database, registry: one.registry, sequencing: one.sequencing, sealing });
}

beforeAll(async () => {
  server = await testDatabase();
  one = await openInstance(server.url, { clock });
  await one.makeLog('audit');
  sources = openSources(OLD_SEED);
});

afterAll(async () => {
  await one?.end();
  await server?.drop();
});

/** Everything that the database says of sources, and what `_system` says. */
async function dump(): Promise<string> {
  const { rows } = await one.database.query<{ dump: string }>(
    `SELECT query_to_xml('SELECT * FROM sources', true, false, '')::text ||
            query_to_xml('SELECT * FROM source_secrets', true, false, '')::text AS dump`,
  );
  const acts = (await recompute(one.database, one.registry.system)).rows.map((row) => row.payload?.toString());
  return [rows[0]?.dump, ...acts].join('\n');
}

test('a source is made, found, given another secret and removed, and its secrets stand nowhere', async () => {
  const { source, secret } = await sources.create({ name: 'hoop', log: 'audit', scheme: 'hoop' });
  expect(source).toMatchObject({ name: 'hoop', log: 'audit', scheme: 'standard-webhooks', receivedAt: null });
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(await sources.list()).toEqual([source]);
  expect(await sources.find(source.id)).toMatchObject({ secrets: [secret], source: { name: 'hoop', log: 'audit' } });

  const rotated = await sources.rotate('hoop', { keepSeconds: 60 });
  expect((await sources.find(source.id))?.secrets).toEqual([rotated.secret, secret]);
  expect(rotated.source.secrets.map(({ number }) => number)).toEqual([2, 1]);
  const given = `whsec_${Buffer.from('given by the sender itself').toString('base64')}`;
  await sources.rotate(source.id, { secret: given, keepSeconds: 0 });
  expect((await sources.find(source.id))?.secrets).toEqual([given]);

  const told = await dump();
  for (const each of [secret, rotated.secret, given]) {
    expect(told).not.toContain(each?.slice('whsec_'.length));
  }
  expect(told).toContain('"act":"source-created"');
  expect(await sources.remove('hoop')).toBe(source.id);
  expect(await sources.find(source.id)).toBeNull();
  const { rows } = await one.database.query('SELECT 1 FROM source_secrets');
  expect(rows).toEqual([]);
  expect(await dump()).toContain(`"act":"source-removed","source":"${source.id}"`);
});

test('a secret that is being replaced is taken until its time is over', async () => {
  const { source, secret } = await sources.create({ name: 'turning', log: 'audit', scheme: 'github' });
  const { secret: next } = await sources.rotate('turning', { keepSeconds: 3_600 });
  expect((await sources.find(source.id))?.secrets).toEqual([next, secret]);
  clock.shift = 3_601_000;
  expect((await sources.find(source.id))?.secrets).toEqual([next]);
  clock.shift = 0;
  for (const more of [3, 4]) {
    expect((await sources.rotate('turning', { keepSeconds: 3_600 })).source.secrets).toHaveLength(more);
  }
  await expect(sources.rotate('turning', { keepSeconds: 3_600 })).rejects.toMatchObject({
    code: 'source-secrets-full',
  });
});

test('what is wrong is refused', async () => {
  const create = (wanted: object) => sources.create({ name: 'odd', log: 'audit', scheme: 'github', ...wanted });
  await expect(create({ name: 'Odd' })).rejects.toMatchObject({ code: 'source-invalid' });
  await expect(create({ scheme: 'unheard-of' })).rejects.toMatchObject({ code: 'source-invalid' });
  await expect(create({ secret: 'short' })).rejects.toMatchObject({ code: 'source-invalid' });
  await expect(create({ scheme: 'hoop', secret: 'no base64 at all' })).rejects.toMatchObject({
    code: 'source-invalid',
  });
  await expect(create({ log: 'absent' })).rejects.toMatchObject({ code: 'log-not-found' });
  await expect(create({ log: '_system' })).rejects.toMatchObject({ code: 'log-reserved' });
  await create({});
  await expect(create({})).rejects.toMatchObject({ code: 'source-exists' });
  await expect(sources.remove('absent')).rejects.toMatchObject({ code: 'source-not-found' });
  expect(await sources.find('src_0')).toBeNull();
});

test('keys of a sender are replaced by a change of settings', async () => {
  const key = (fill: number): string => `whpk_${Buffer.alloc(32, fill).toString('base64')}`;
  const settings = { publicKeys: [key(1)] };
  const { source, secret } = await sources.create({
    name: 'keyed',
    log: 'audit',
    scheme: 'standard-webhooks',
    settings,
  });
  expect(secret).toBeNull();
  await expect(sources.rotate('keyed', { keepSeconds: 0 })).rejects.toMatchObject({ code: 'source-invalid' });
  const changed = await sources.rotate('keyed', { settings: { publicKeys: [key(1), key(2)] }, keepSeconds: 0 });
  expect(changed).toMatchObject({ secret: null, source: { settings: { publicKeys: [key(1), key(2)] } } });
  expect((await sources.find(source.id))?.secrets).toEqual([]);
});

test('secrets are sealed anew when the seed is replaced', async () => {
  const { source, secret } = await sources.create({ name: 'sealed', log: 'audit', scheme: 'github' });
  const both = openSources(OLD_SEED, NEW_SEED);
  expect((await both.find(source.id))?.secrets).toEqual([secret]);
  await expect(openSources(NEW_SEED).find(source.id)).rejects.toMatchObject({ code: 'source-sealed' });
  const { resealed, lost } = await both.reseal();
  expect(resealed).toBeGreaterThan(0);
  expect(lost).toBe(0);
  expect(await both.reseal()).toEqual({ resealed: 0, lost: 0 });
  expect((await openSources(NEW_SEED).find(source.id))?.secrets).toEqual([secret]);
  expect(await openSources(OLD_SEED).reseal()).toEqual({ resealed: 0, lost: resealed });
});

test('a sealed secret opens for its own source and number alone, and unaltered', () => {
  const sealing = new Sealing([NEW_SEED, OLD_SEED], random);
  const sealed = sealing.seal('a secret', 'src_1\n1');
  expect(sealing.open(sealed, 'src_1\n1')).toEqual({ secret: 'a secret', newest: true });
  expect(sealing.open(sealed, 'src_1\n2')).toBeNull();
  for (const at of sealed.keys()) {
    const altered = sealed.map((byte, i) => (i === at ? byte ^ 1 : byte));
    expect(sealing.open(altered, 'src_1\n1')).toBeNull();
  }
  expect(new Sealing([OLD_SEED], random).open(sealed, 'src_1\n1')).toBeNull();
});
