// clients/python: its own tests on every Python there is, and the whole way against a real service and a real chain.

import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import * as z from 'zod';
import { LOCAL_CHAIN_KEY } from '../../scripts/local/chain.ts';
import { readConfig } from '../../src/config.ts';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { type Running, serve } from '../../src/main.ts';
import { type TestChain, testChain } from '../support/chain.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

const CLIENT = fileURLToPath(new URL('../../clients/python/', import.meta.url));
const pythons = ['python3', ...['3.9', '3.10', '3.11', '3.12', '3.13', '3.14'].map((version) => `python${version}`)]
  .map((command) => ({ command, version: versionOf(command) }))
  .filter(({ version }, i, all) => version !== null && all.findIndex((each) => each.version === version) === i);

function versionOf(command: string): string | null {
  const { stdout, status } = spawnSync(command, ['-c', 'import sys; print(*sys.version_info[:3])'], {
    encoding: 'utf8',
  });
  if (status !== 0) return null;
  const [major = 0, minor = 0] = stdout.split(' ').map(Number);
  return major > 3 || (major === 3 && minor >= 9) ? stdout.trim() : null;
}

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function python(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: CLIENT, env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1', ...env } });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

if (pythons.length === 0) test('Python', ({ skip }) => skip('no Python 3.9 or newer'));

test.each(pythons)('its own tests, on $version of $command', async ({ command }) => {
  const { code, stderr } = await python(command, ['-m', 'unittest', '-q']);
  expect(stderr).toMatch(/^Ran \d\d+ tests/m);
  expect(code, stderr).toBe(0);
});

describe.skipIf(pythons.length === 0)('against a real service and a real chain', () => {
  const { command } = pythons[0] ?? { command: '' };
  const lines = ['first line', 'zweite Zeile: größer', 'third'];
  let folder: string;
  let chain: TestChain;
  let database: TestDatabase;
  let service: Running;

  const antequem = (...args: string[]): Promise<Ran> =>
    python(command, ['-m', 'antequem', ...args], { ANTEQUEM_URL: service.url ?? '' });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'antequem-python-'));
    [database, chain] = await Promise.all([testDatabase(), testChain()]);
    await deployAnchor({ provider: chain.provider, signer: chain.wallet, dryRun: false });
    await Promise.all([
      writeFile(join(folder, 'seed'), '5e'.repeat(32), { mode: 0o600 }),
      writeFile(join(folder, 'key'), LOCAL_CHAIN_KEY, { mode: 0o600 }),
      writeFile(join(folder, 'lines'), `${lines.join('\n')}\n`),
      writeFile(join(folder, 'content'), lines[1] ?? ''),
      writeFile(join(folder, 'other'), `${lines[1]}!`),
    ]);
    const config = readConfig({
      DATABASE_URL: database.url,
      ORIGIN: 'python.test',
      LOG_SEED_FILE: join(folder, 'seed'),
      PORT: '0',
      ROUND_INTERVAL: '300ms',
      EVM_RPC_URLS: chain.url,
      EVM_CHAIN_ID: '31337',
      EVM_PRIVATE_KEY_FILE: join(folder, 'key'),
    });
    service = await serve({ ...config, open: true, reconcileInterval: 500 }, pino({ level: 'silent' }));
  });

  afterAll(async () => {
    await service?.stop();
    await database?.drop();
    await chain?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  test('append, receipt, verify: proven by a node, refuted for other content, unproven without a node', async () => {
    expect(await antequem('append', 'demo', join(folder, 'lines'))).toMatchObject({
      code: 0,
      stdout: '3 entries appended to demo\n',
    });
    const receipt = join(folder, 'receipt.json');
    expect(await antequem('receipt', 'demo', '1', '--wait', '60', '-o', receipt)).toMatchObject({
      code: 0,
      stderr: '',
    });
    const verify = (content: string, ...args: string[]): Promise<Ran> =>
      antequem('verify', join(folder, content), receipt, ...args);
    const proven = await verify('content', '--rpc', chain.url, '--json');
    expect(proven, proven.stderr).toMatchObject({ code: 0 });
    const verdict = z
      .object({ format: z.string(), result: z.string(), existedBefore: z.object({ chain: z.string() }) })
      .parse(JSON.parse(proven.stdout));
    expect(verdict).toEqual({
      format: 'antequem-verdict/v1',
      result: 'proven',
      existedBefore: { chain: 'eip155:31337' },
    });
    expect(await verify('other', '--rpc', chain.url)).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^REFUTED/),
    });
    expect(await verify('content')).toMatchObject({ code: 2, stdout: expect.stringMatching(/^UNPROVEN/) });
    const text = await readFile(receipt, 'utf8');
    await writeFile(receipt, text.replace('"index": 1', '"index": 2'));
    expect(await verify('content', '--rpc', chain.url)).toMatchObject({ code: 1 });
    await writeFile(receipt, '{');
    expect(await verify('content')).toMatchObject({ code: 2, stderr: expect.stringContaining('(receipt-invalid)') });
  });

  test('each way to append as a module, and what the service refuses', async () => {
    const script = `
import sys
from hashlib import sha256
from antequem import Client, ServiceError
log = Client(sys.argv[1]).log("module")
one = log.append("größer")
two = log.append_lines(["a", b"b"])
three = log.append_digests([sha256(b"kept here").digest()])
print(one.index, one.digest == sha256("größer".encode()).hexdigest(), [e.index for e in two], [e.index for e in three])
print(log.receipt(3)["entry"]["digest"] == three[0].digest, log.describe()["size"])
try:
    log.receipt(99)
except ServiceError as error:
    print(error.status, error.code)
`;
    const { stdout, stderr } = await python(command, ['-c', script, service.url ?? '']);
    expect(stdout, stderr).toBe('0 True [1, 2] [3]\nTrue 4\n404 entry-not-found\n');
  });

  test('retention and legal holds', async () => {
    const script = `
import sys
from datetime import datetime, timedelta, timezone
from antequem import Client
client = Client(sys.argv[1])
log = client.log("kept")
log.append("one")
print(log.set_retention("400d")["period"], log.retention()["period"], log.set_retention(None)["period"])
hold = log.add_hold("case 4711", until=datetime(2030, 1, 1, tzinfo=timezone(timedelta(hours=1))))
print(hold["from"], hold["to"], log.holds()["holds"] == client.holds()["holds"] == [hold])
print(client.confirm_holds([hold["id"]])["unconfirmedSince"])
log.remove_hold(hold["id"])
print(log.holds()["holds"])
try:
    log.add_hold("case 4711", since=datetime(2030, 1, 1))
except ValueError as error:
    print(error)
`;
    const { stdout, stderr } = await python(command, ['-c', script, service.url ?? '']);
    expect(stdout, stderr).toBe(
      '400d 400d None\nNone 2029-12-31T23:00:00.000Z True\nNone\n[]\na time without a time zone\n',
    );
  });
});
