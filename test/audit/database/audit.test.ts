// The command as an operator runs it: on a log of several stretches, killed and resumed, in little memory.

import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { AuditState } from '../../../src/audit/database/state.ts';
import { perfectRoot } from '../../../src/core/merkle.ts';
import { verdictSchema } from '../../../src/core/verdict-schema.ts';
import { deployAnchor } from '../../../src/evm/deploy.ts';
import { eraseEntry } from '../../../src/log/erase.ts';
import { finished, type Ran, run, start } from '../../cli/command.ts';
import { auditDatabase, trustedNode } from '../../support/audit.ts';
import { type TestChain, testChain } from '../../support/chain.ts';
import { anchorAll, asAdministrator, copyOf } from '../../support/history.ts';
import { drafts, ORIGIN, openInstance } from '../../support/instance.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';

const ENTRIES = 300_000;

let database: TestDatabase;
let chain: TestChain;
let folder: string;
let env: Record<string, string>;

const audit = (...args: string[]): Promise<Ran> => run(['audit', ...args], { cwd: folder, env });

beforeAll(async () => {
  [database, chain, folder] = await Promise.all([
    testDatabase(),
    testChain(),
    mkdtemp(join(tmpdir(), 'antequem-audit-')),
  ]);
  await deployAnchor({ provider: chain.provider, signer: chain.wallet, dryRun: false });
  await writeFile(join(folder, 'seed'), '07'.repeat(32));
  env = { DATABASE_URL: database.url, ORIGIN, LOG_SEED_FILE: join(folder, 'seed') };
  const instance = await openInstance(database.url);
  try {
    const { appender, database: db, registry, sequencing } = instance;
    const large = await instance.makeLog('large');
    const plain = await instance.makeLog('plain', false);
    for (let at = 0; at < ENTRIES; at += 10_000) {
      await appender.append(large, { drafts: drafts(10_000, `entry of batch ${at}`), idempotency: null });
      if (at === 100_000) await instance.closeRound();
    }
    await appender.append(plain, { drafts: drafts(700), idempotency: null });
    for (const index of [0, 5, 65_535, 65_536, ENTRIES - 1])
      await eraseEntry(db, registry.system, sequencing, large, index, instance.holds);
    await instance.closeRound();
    await anchorAll(instance, chain.url);
  } finally {
    await instance.end();
  }
});

afterAll(async () => {
  await Promise.all([database?.drop(), chain?.[Symbol.asyncDispose](), rm(folder, { recursive: true, force: true })]);
});

describe('a log of three hundred thousand entries', () => {
  test('killed, resumed from what it had verified, and proven', async () => {
    const state = join(folder, 'state.json');
    const child = start(['audit', '--state', state], { cwd: folder, env });
    const ended = once(child, 'exit');
    while (!existsSync(state) && child.exitCode === null) await sleep(5);
    child.kill('SIGKILL');
    expect(await ended).toEqual([null, 'SIGKILL']);
    const sizes = Object.values<{ size: number }>(JSON.parse(readFileSync(state, 'utf8')).logs).map(({ size }) => size);
    const reached = Math.max(...sizes);
    expect(reached).toBeGreaterThan(0);
    expect(reached).toBeLessThan(ENTRIES);

    const ran = await audit('--state', state, '--rpc', chain.url, '--json');
    const verdict = verdictSchema.parse(JSON.parse(ran.stdout));
    expect([ran.code, verdict.result]).toEqual([0, 'proven']);
    expect(verdict.claims.map(({ code }) => code)).toEqual([
      'contents-hold',
      'entries-hold',
      'checkpoints-hold',
      'rounds-hold',
      'times-hold',
      'resumed',
      'anchors-final',
    ]);
    const resumed = verdict.claims.find(({ code }) => code === 'resumed');
    expect(resumed?.says).toContain(`${reached.toLocaleString('en')} entries before these`);
    expect(ran.stderr).toMatch(/entries in [\d.]+ s, [\d,]+ entries\/s/);
  });

  test('in little memory', async () => {
    const { result, peak } = await inMemory(48);
    expect([result.code, result.stderr]).toEqual([2, expect.stringContaining('entries/s')]);
    expect(result.stdout).toContain('unproven');
    if (peak !== null) {
      console.log(
        `audit of ${ENTRIES.toLocaleString('en')} entries: largest resident set ${peak} MB, heap limited to 48 MB`,
      );
      expect(peak).toBeLessThan(300);
    }
  });

  test('a tile of the second level altered: the first entry below the altered hash is named', async () => {
    const copy = await copyOf(database);
    try {
      await asAdministrator(copy.url, (client) =>
        client.query(
          'UPDATE tiles SET hashes = set_byte(hashes, 32 * 9, 255 - get_byte(hashes, 32 * 9)) WHERE level = 1 AND index = 1',
        ),
      );
      const ran = await run(['audit'], { cwd: folder, env: { ...env, DATABASE_URL: copy.url } });
      expect(ran.code).toBe(1);
      expect(ran.stdout).toMatch(
        /^refuted: Tile 1\/1 of large has another hash than the entries make, the first for entry 67840/,
      );
    } finally {
      await copy.drop();
    }
  });
});

describe('what an earlier audit had verified', () => {
  test('is not read again, and still is a witness', async () => {
    const copy = await testDatabase();
    const file = join(folder, 'witness.json');
    const open = (): Promise<AuditState> => AuditState.open(file, ORIGIN);
    const instance = await openInstance(copy.url);
    try {
      const log = await instance.makeLog('demo');
      await instance.appender.append(log, { drafts: drafts(1_000), idempotency: null });
      const first = await auditDatabase(copy.url, { state: await open() });
      expect([first.result.entries, first.result.resumed]).toEqual([1_001, 0]);
      await instance.appender.append(log, { drafts: drafts(500), idempotency: null });
      const second = await auditDatabase(copy.url, { state: await open() });
      expect([second.findings, second.result.entries, second.result.resumed]).toEqual([[], 501, 1_000]);

      await asAdministrator(copy.url, async (client) => {
        const { rows } = await client.query<{ hashes: Buffer }>(
          'SELECT hashes FROM tiles WHERE log = $1 AND level = 0 AND index = 1',
          [log.id],
        );
        const hashes = rows[0]?.hashes ?? Buffer.alloc(0);
        hashes.set(sha256(hashes.subarray(32 * 44, 32 * 45)), 32 * 44);
        await client.query('UPDATE tiles SET hashes = $2, root = $3 WHERE log = $1 AND level = 0 AND index = 1', [
          log.id,
          hashes,
          Buffer.from(perfectRoot(hashes)),
        ]);
      });
      const third = await auditDatabase(copy.url, { state: await open() });
      expect(third.findings[0]).toMatchObject({ code: 'tile-differs', log: 'demo', index: 300 });
      expect(third.findings.map(({ code }) => code)).toContain('log-rewritten');
      expect(third.result.resumed).toBe(0);
    } finally {
      await instance.end();
      await copy.drop();
    }
  });

  test('is refused where it is of another service, or none', async () => {
    const file = join(folder, 'other.json');
    await writeFile(file, JSON.stringify({ format: 'antequem-audit-state/v1', origin: 'other.example.org', logs: {} }));
    expect((await audit('--state', file)).code).toBe(3);
    await writeFile(file, '{"format":');
    const broken = await audit('--state', file);
    expect([broken.code, broken.stderr]).toEqual([3, expect.stringContaining('is not the state of such an audit')]);
  });
});

describe('what cannot run', () => {
  test.each<[string, Record<string, string>, string[], string]>([
    ['no settings', { DATABASE_URL: '', ORIGIN: 'HTTPS://x' }, [], 'settings that an audit needs are missing'],
    ['no database there', { DATABASE_URL: 'postgres://127.0.0.1:1/none' }, [], 'ECONNREFUSED'],
    ['no such seed file', { LOG_SEED_FILE: '/nowhere/seed' }, [], 'LOG_SEED_FILE'],
    ['a database of another service', { ORIGIN: 'other.example.org' }, [], 'belongs to'],
    ['a service that is not there', {}, ['--url', 'http://127.0.0.1:1'], 'could not be read'],
  ])('%s: exit code 3', async (_, changed, args, says) => {
    const ran = await run(['audit', ...args], { cwd: folder, env: { ...env, ...changed } });
    expect([ran.code, ran.stderr]).toEqual([3, expect.stringContaining(says)]);
  });

  test('a node that does not answer is named, and nothing is proven or refuted by it', async () => {
    const { url, drop } = await testDatabase();
    await (await openInstance(url)).end();
    const { verdict, findings } = await auditDatabase(url, { nodes: [trustedNode('http://127.0.0.1:1')] });
    await drop();
    expect([verdict.result, findings]).toEqual(['unproven', []]);
    expect(verdict.claims.map(({ code }) => code)).toContain('source-failed');
  });
});

/** Audits with a heap of so many megabytes; tells the largest resident set, null where the system does not. */
async function inMemory(heap: number): Promise<{ result: Ran; peak: number | null }> {
  const child = start(['audit'], { cwd: folder, env: { ...env, NODE_OPTIONS: `--max-old-space-size=${heap}` } });
  let peak: number | null = null;
  const looking = setInterval(() => {
    const status = `/proc/${child.pid}/status`;
    const kilobytes = existsSync(status) ? /VmHWM:\s+(\d+) kB/.exec(readFileSync(status, 'utf8'))?.[1] : undefined;
    if (kilobytes !== undefined) peak = Math.round(Number(kilobytes) / 1_024);
  }, 50);
  try {
    return { result: await finished(child), peak };
  } finally {
    clearInterval(looking);
  }
}
