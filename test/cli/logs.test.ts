import { spawn } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { type TestService, testService } from '../support/service.ts';
import { BIN, run } from './command.ts';

const keysForm = z.array(
  z.object({
    log: z.string(),
    number: z.number(),
    verifierKey: z.string(),
    addedAt: z.string(),
    retiredAt: z.string().nullable(),
  }),
);

let service: TestService;
let ahead = 0;
beforeAll(async () => {
  service = await testService({ ahead: () => ahead });
  for (const log of ['one', 'two']) {
    await service.send('PUT', `/v1/logs/${log}`);
    await service.send('POST', `/v1/logs/${log}/entries`, { body: 'a' });
  }
});
afterAll(() => service?.[Symbol.asyncDispose]());

const onDatabase = (...args: string[]) => {
  const { databaseUrl, origin, logSeedFile } = service.config;
  const env = { DATABASE_URL: databaseUrl, ORIGIN: origin, LOG_SEED_FILE: logSeedFile, ANTEQUEM_URL: service.url };
  return run(args, { env });
};
const logs = (...args: string[]) => onDatabase('logs', ...args);
const keys = async (...args: string[]): Promise<z.infer<typeof keysForm>> => {
  const { code, stdout, stderr } = await logs(...args, '--json');
  expect([code, stderr.replace(/^\d+ keys? .*\n$/, '')]).toEqual([0, '']);
  return keysForm.parse(JSON.parse(stdout));
};
/** Runs it at a terminal (`script` makes one) and answers its question. */
async function atTerminal(answer: string, ...args: string[]): Promise<{ code: number | null; shown: string }> {
  const command = [process.execPath, BIN, ...args].join(' ');
  const child = spawn('script', ['-qec', command, '/dev/null'], { env: { ...process.env, ANTEQUEM_URL: service.url } });
  let shown = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (!shown.includes('[y/N]') && (shown + text).includes('[y/N]')) child.stdin.write(answer);
    shown += text;
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, shown };
}
/** What the service says ten seconds later. */
const told = async (log: string): Promise<unknown[]> => {
  ahead += 10_000;
  const described = await service.send('GET', `/v1/logs/${log}`);
  return [described.at('verifierKey'), described.at('verifierKeys')];
};

test('logs rotate and retire: fully reported, adopted by the running service, all or none', async () => {
  const old = await keys('keys');
  expect(old.map(({ log, number, retiredAt }) => [log, number, retiredAt])).toEqual([
    ['_system', 1, null],
    ['one', 1, null],
    ['two', 1, null],
  ]);
  const added = await keys('rotate', '--all');
  expect(added.map(({ log, number }) => [log, number])).toEqual([
    ['_system', 2],
    ['one', 2],
    ['two', 2],
  ]);
  const [, first] = old;
  const [, second] = added;
  expect(await told('one')).toEqual([second?.verifierKey, [first?.verifierKey, second?.verifierKey]]);
  const audit = await service.send('GET', '/v1/audit/service');
  expect([audit.at('verifierKey'), audit.at('verifierKeys')]).toEqual([
    added[0]?.verifierKey,
    [old[0]?.verifierKey, added[0]?.verifierKey],
  ]);

  expect(await logs('retire', 'one', '1')).toMatchObject({ code: 1, stderr: expect.stringContaining('--force') });
  expect(await logs('retire', 'one', '1', '--force')).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^one {2}1 {2}retired \d{4}-.*Z {2}log\.test\/logs\/one\+/),
    stderr: '1 key retired; no process signs with them after ten seconds\n',
  });
  expect(await told('one')).toEqual([second?.verifierKey, [second?.verifierKey]]);
  expect(await logs('retire', 'one', '2', '--force')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('antequem logs rotate one'),
  });
  expect((await keys('retire', '--all', '--force')).map(({ log, number }) => [log, number])).toEqual([
    ['_system', 1],
    ['two', 1],
  ]);
});

test.each([
  ['no log and not all', ['rotate'], 'give log names or --all'],
  ['a log and all', ['rotate', 'one', '--all'], 'give log names or --all'],
  ['no such log', ['rotate', 'none'], 'there is no log none'],
  ['no such key', ['retire', 'one', '9'], 'has no key 9'],
  ['no number', ['retire', 'one', 'x'], 'number'],
])('%s', async (_, args, says) => {
  expect(await logs(...args)).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(says) });
});

test('logs are created, and a key for a log that is missing says so', async () => {
  const made = await logs('create', 'three', 'four');
  expect(made).toMatchObject({ code: 0, stderr: '' });
  expect(made.stdout).toMatch(/^three {2}log\.test\/logs\/three\+.*\nfour {2}log\.test\/logs\/four\+.*\n$/);
  expect((await logs('create', 'three')).stdout).toBe(made.stdout.split('four')[0]);
  expect((await logs('create', 'open', '--unblinded')).code).toBe(0);
  expect((await service.send('GET', '/v1/logs/open')).at('blinded')).toBe(false);
  const key = await onDatabase('keys', 'create', '--name', 'k', '--scope', 'append', '--log', 'three', '--log', 'five');
  expect([key.code, key.stderr.split('\n')[0]]).toEqual([
    0,
    'there is no log five yet: antequem logs create five makes it',
  ]);
});

test('an entry is erased only if somebody confirms it', async () => {
  const read = async () => (await service.send('GET', '/v1/logs/one/entries/0')).at('erased');
  expect(await onDatabase('erase', 'one', '0')).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining('repeat the command with --yes'),
  });
  expect(await read()).toBe(false);
  for (const answer of ['n\r', '\r', '\u0003', '\u0004']) {
    const { code, shown } = await atTerminal(answer, 'erase', 'one', '0');
    expect([code, shown]).toEqual([1, expect.stringContaining('Erase entry 0 of one permanently? [y/N]')]);
    expect(shown.split('\r\n').slice(-2)).toEqual(['error: nothing was erased', '']);
  }
  expect(await read()).toBe(false);
  const erased = await atTerminal('Yes\r', 'erase', 'one', '0');
  expect([erased.code, erased.shown]).toEqual([0, expect.stringContaining('erased entry 0 of one')]);
  expect(await read()).toBe(true);
});

test('an entry is erased without a question by --yes', async () => {
  const read = async () => (await service.send('GET', '/v1/logs/two/entries/0')).at('erased');
  expect(await read()).toBe(false);
  expect(await onDatabase('erase', 'two', '0', '--yes')).toMatchObject({ code: 0, stdout: 'erased entry 0 of two\n' });
  expect(await read()).toBe(true);
});

test('logs keys --cose: the keys that COSE receipts are signed with', async () => {
  const all = await logs('keys', 'one', '--cose');
  expect([all.code, all.stdout]).toEqual([0, expect.stringMatching(/^(log\.test\/logs\/one\+[0-9a-f]{8}\+\S+\n)+$/)]);
  const described = await service.send('GET', '/v1/logs/one');
  expect(JSON.parse((await logs('keys', 'one', '--cose', '--json')).stdout)).toContain(described.at('coseKeys', 0));
});

test('logs listed: says what became of each, and --off takes it back', async () => {
  expect(await logs('listed', 'one', '_system')).toMatchObject({
    code: 0,
    stdout: 'one  listed\n_system  listed\n',
  });
  const off = await logs('listed', 'one', '--off', '--json');
  expect(JSON.parse(off.stdout)).toEqual([{ name: 'one', listed: false }]);
  expect(await logs('listed', 'absent')).toMatchObject({ code: 1, stderr: expect.stringContaining('absent') });
});
