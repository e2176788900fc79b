import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestService, testService } from '../support/service.ts';
import { type Ran, run } from './command.ts';

let service: TestService;
let folder: string;
let env: Record<string, string>;

beforeAll(async () => {
  [service, folder] = await Promise.all([testService({ open: false }), mkdtemp(join(tmpdir(), 'antequem-sources-'))]);
  env = { ANTEQUEM_URL: service.url, ANTEQUEM_API_KEY: (await service.key(['admin'])).token };
  await service.foundation.registry.create('audit', { blinded: true });
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const sources = (...args: string[]): Promise<Ran> => run(['sources', ...args], { env });

test('a source from its creation to its removal', async () => {
  expect((await sources('list')).stderr).toBe('there is no source; antequem sources create makes one\n');
  const made = await sources('create', 'hoop', '--log', 'audit', '--scheme', 'hoop');
  const [address = '', secret = ''] = made.stdout.split('\n');
  expect(address).toMatch(new RegExp(`^${service.url}/v1/sources/src_[0-9a-f]{32}$`));
  expect(secret).toMatch(/^whsec_/);
  const at = new Date();
  const headers = {
    'webhook-id': 'msg_1',
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': new Webhook(secret).sign('msg_1', at, '{"a":1}'),
  };
  const sent = await service.send('POST', new URL(address).pathname, { headers, body: '{"a":1}' });
  expect(sent.json).toEqual({ count: 1, index: 0, repeated: 0 });

  const rotated = await sources('rotate', 'hoop', '--keep', '60');
  expect(rotated.stdout).toMatch(/^whsec_/);
  expect(rotated.stdout).not.toContain(secret);
  await expect.poll(async () => (await sources('list')).stdout).toContain('  last event ');
  const { stdout } = await sources('list');
  expect(stdout).toContain('hoop  standard-webhooks into audit  /v1/sources/src_');
  expect(stdout).toContain('; secret 2; secret 1 until ');
  expect(stdout).not.toContain('whsec_');
  expect((await sources('remove', 'hoop')).stdout).toBe('removed hoop\n');
  expect(await sources('remove', 'hoop')).toMatchObject({ code: 1, stderr: expect.stringContaining('no such source') });
});

test('an API that is fetched from is given its token, and has no address to tell', async () => {
  const file = join(folder, 'token');
  await writeFile(file, 'the-token-of-the-api\n');
  const args = [
    'create',
    'api',
    '--log',
    'audit',
    '--scheme',
    'hoop-audit',
    '--settings',
    '{"url":"http://127.0.0.1:1"}',
  ];
  expect(await sources(...args)).toMatchObject({ code: 1, stderr: expect.stringContaining('give the token') });
  const made = await sources(...args, '--secret-file', file);
  expect(made).toMatchObject({ code: 0, stdout: '', stderr: expect.stringContaining('A worker fetches from its API') });
  expect((await sources('list')).stdout).toContain('api  hoop-audit into audit');
  expect((await sources('remove', 'api')).code).toBe(0);
});

test('the sender’s own secret comes out of a file, and is not printed', async () => {
  const file = join(folder, 'secret');
  await writeFile(file, 'the secret of the sender\n');
  const settings = '{"header":"x-signature","encoding":"base64"}';
  const args = ['create', 'own', '--log', 'audit', '--scheme', 'hmac', '--settings', settings, '--secret-file', file];
  const made = await sources(...args);
  expect(made.code).toBe(0);
  expect(made.stdout + made.stderr).not.toContain('the secret of');
  const json = JSON.parse((await sources('list', '--json')).stdout);
  expect(json).toMatchObject([
    { name: 'own', settings: { header: 'x-signature', encoding: 'base64', hash: 'sha256' } },
  ]);
  const keyed = await sources('create', 'made', '--log', 'audit', '--scheme', 'github', '--json');
  expect(keyed.stderr).toBe('');
  expect(JSON.parse(keyed.stdout)).toMatchObject({
    id: expect.stringMatching(/^src_/),
    path: expect.stringMatching(/^.v1.sources.src_/),
    secret: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
  });
});

test('what is wrong is told before anything is made', async () => {
  for (const args of [
    ['create', 'x', '--log', 'audit', '--scheme', 'carrier-pigeon'],
    ['create', 'x', '--log', 'audit', '--scheme', 'hmac', '--settings', '[]'],
    ['create', 'x', '--scheme', 'github'],
    ['rotate', 'x', '--keep', 'long'],
  ]) {
    const { code, stdout, stderr } = await sources(...args);
    expect([args, code, stdout]).toEqual([args, 1, '']);
    expect(stderr).toMatch(/^error: /);
  }
});
