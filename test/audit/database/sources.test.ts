import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Sealing } from '../../../src/sources/sealing.ts';
import { Sources } from '../../../src/sources/sources.ts';
import { auditDatabase } from '../../support/audit.ts';
import { type Instance, openInstance, SEED } from '../../support/instance.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';

let server: TestDatabase;
let instance: Instance;
let sources: Sources;

beforeAll(async () => {
  server = await testDatabase();
  instance = await openInstance(server.url);
  for (const log of ['audit', 'other']) await instance.makeLog(log);
  const { database, registry, sequencing } = instance;
  const sealing = new Sealing(SEED.secrets('sources'), (length) => new Uint8Array(randomBytes(length)));
  sources = new Sources({ database, registry, sequencing, sealing });
});
afterAll(async () => {
  await instance?.end();
  await server?.drop();
});

const findings = async (): Promise<string[]> =>
  (await auditDatabase(server.url)).findings.map(({ code, says }) => `${code}: ${says}`);

test('sources that were made, changed and removed by the service are as _system tells', async () => {
  const key = (fill: number): string => `whpk_${Buffer.alloc(32, fill).toString('base64')}`;
  await sources.create({ name: 'kept', log: 'audit', scheme: 'github' });
  const settings = { publicKeys: [key(1)] };
  await sources.create({ name: 'keyed', log: 'audit', scheme: 'standard-webhooks', settings });
  await sources.rotate('keyed', { settings: { publicKeys: [key(2)] }, keepSeconds: 0 });
  await sources.rotate('kept', { keepSeconds: 60 });
  await sources.create({ name: 'gone', log: 'audit', scheme: 'slack' });
  await sources.remove('gone');
  expect(await findings()).toEqual([]);
});

test.each([
  ['the log', `UPDATE sources SET log = (SELECT id FROM logs WHERE name = 'other') WHERE name = 'kept'`],
  ['its settings', `UPDATE sources SET settings = settings || '{"publicKeys": []}' WHERE name = 'keyed'`],
  ['the scheme', `UPDATE sources SET scheme = 'secret-header' WHERE name = 'kept'`],
  [
    'does not tell of it',
    `INSERT INTO sources (id, name, kind, scheme, settings, log, created_at)
     SELECT 'src_' || repeat('0', 32), 'put in', 'webhook', 'sns', '{"topicArns": []}', id, 0 FROM logs WHERE name = 'audit'`,
  ],
  ['is missing', `DELETE FROM sources WHERE name = 'kept'`],
])('what the administrator of the database did is found: %s', async (says, work) => {
  const { database } = instance;
  await database.query('CREATE TABLE kept AS TABLE sources');
  await database.query(work);
  expect(await findings()).toEqual([expect.stringMatching(new RegExp(`^source-differs: .*${says}`))]);
  await database.query('DELETE FROM sources; INSERT INTO sources TABLE kept; DROP TABLE kept');
});
