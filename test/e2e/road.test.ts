// From a log file to a receipt proven on a chain: the service as it runs, the command line as its user has it, real
// servers throughout; once for each thing the queue can live on.

import { execFile } from 'node:child_process';
import { hkdfSync } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { LOCAL_CHAIN_KEY } from '../../scripts/local/chain.ts';
import { type Config, readConfig } from '../../src/config.ts';
import { knownAnchors, parseReceiptText } from '../../src/core/receipt.ts';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { type Running, serve } from '../../src/main.ts';
import { run } from '../cli/command.ts';
import { type TestChain, testChain } from '../support/chain.ts';
import { QUEUE_GROUNDS, type QueueGround } from '../support/queues.ts';
import { readStoredEntries } from '../support/stored-entries.ts';

/** A log of this machine where it has one, else lines of the same kind. */
function realLines(): string {
  const file = '/var/log/dpkg.log';
  if (existsSync(file)) return readFileSync(file, 'utf8');
  const packages = ['libc6', 'openssl', 'curl', 'nodejs', 'zlib1g'];
  const line = (i: number): string =>
    `2026-11-23 05:${String(Math.floor(i / 60) % 60).padStart(2, '0')}:${String(i % 60).padStart(2, '0')} status installed ${packages[i % 5]}:amd64 1.${i}`;
  return `${Array.from({ length: 4_000 }, (_, i) => line(i)).join('\n')}\n`;
}

const roundsAnswer = z.object({
  rounds: z.array(z.object({ number: z.number(), anchors: z.array(z.object({ status: z.string() })) })),
});

describe.each(QUEUE_GROUNDS)('with the queue on $name', ({ open }) => {
  let ground: QueueGround;
  let chain: TestChain;
  let service: Running;
  let folder: string;
  let url: string;
  let rpc: string;

  beforeAll(async () => {
    [ground, chain, folder] = await Promise.all([open(), testChain(), mkdtemp(join(tmpdir(), 'antequem-road-'))]);
    await deployAnchor({ provider: chain.provider, signer: chain.wallet, dryRun: false });
    rpc = chain.url;
    await Promise.all([
      writeFile(join(folder, 'seed'), '5e'.repeat(32)),
      writeFile(join(folder, 'key'), LOCAL_CHAIN_KEY),
      writeFile(join(folder, 'app.log'), realLines()),
    ]);
    const config: Config = readConfig({
      DATABASE_URL: ground.databaseUrl,
      ...(ground.redisUrl === undefined ? {} : { REDIS_URL: ground.redisUrl }),
      ORIGIN: 'road.test',
      LOG_SEED_FILE: join(folder, 'seed'),
      PORT: '0',
      ROUND_INTERVAL: '500ms',
      RECONCILE_INTERVAL: '1s',
      EVM_RPC_URLS: rpc,
      EVM_CHAIN_ID: '31337',
      EVM_PRIVATE_KEY_FILE: join(folder, 'key'),
    });
    const targets = config.targets.map((target) => ({ ...target, ephemeral: true }));
    service = await serve({ ...config, open: true, targets }, pino({ level: 'silent' }));
    url = service.url ?? '';
  });

  afterAll(async () => {
    await service?.stop();
    await chain?.[Symbol.asyncDispose]();
    await ground?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const antequem = (...args: string[]) => run(args, { cwd: folder, env: { ANTEQUEM_URL: url } });
  const lines = realLines()
    .split('\n')
    .filter((line) => line.trim() !== '');
  const verifierKey = async (log: string): Promise<string> => {
    const response = await fetch(`${url}/v1/logs/${log}`);
    return z.object({ verifierKey: z.string() }).parse(await response.json()).verifierKey;
  };

  test('each line of a real log is an entry, and its receipt proves it', async () => {
    expect(lines.length).toBeGreaterThan(1_000);
    const appended = await antequem('append', 'demo', 'app.log', '--json');
    expect(appended.code).toBe(0);
    expect(JSON.parse(appended.stdout)).toMatchObject({ log: 'demo', first: 0, last: lines.length - 1 });

    const key = await verifierKey('demo');
    for (const index of [0, 1, Math.floor(lines.length / 2), lines.length - 1]) {
      const file = `receipt-${index}.json`;
      const fetched = await antequem('receipt', 'demo', String(index), '--wait', '60', '-o', file);
      expect(fetched.code).toBe(0);
      const payload = ['--line', lines[index] ?? ''];
      expect((await antequem('verify', file, ...payload, '--key', key, '--rpc', rpc)).code).toBe(0);
      expect((await antequem('verify', file, ...payload, '--key', key)).code).toBe(2);
      expect((await antequem('verify', file, '--line', `${lines[index]} `, '--key', key, '--rpc', rpc)).code).toBe(1);
      const payloadBack = await fetch(`${url}/v1/logs/demo/entries/${index}/payload`);
      expect(await payloadBack.text()).toBe(lines[index]);
    }
  });

  test('the lines of JavaScript in the README wait for an anchor and print it', async () => {
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
    const [, code = ''] = /^( {4}import \{ Client \}(?:.|\n)*?)\n\n/m.exec(readme) ?? [];
    const client = new URL('../../src/client/client.ts', import.meta.url).href;
    const program = code
      .replaceAll(/^ {4}/gm, '')
      .replace("'antequem-client'", `'${client}'`)
      .replace('http://127.0.0.1:3963', url);
    await writeFile(join(folder, 'readme.mjs'), program);
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['readme.mjs'], { cwd: folder });
    expect([stderr, stdout]).toEqual(['', expect.stringMatching(/type: 'evm'(.|\n)*status: 'finalized'/)]);
  });

  test('a receipt with one thing changed, against the real chain: never proven', async () => {
    const key = await verifierKey('demo');
    const text = readFileSync(join(folder, 'receipt-1.json'), 'utf8');
    const receipt = parseReceiptText(text);
    if (!('round' in receipt)) throw new Error('the receipt has no round');
    const [anchor] = knownAnchors(receipt);
    if (anchor?.type !== 'evm' || anchor.status === 'submitted') throw new Error('the receipt has no anchor');
    const flip = (hex: string): string => hex.replace(/.$/, (last) => (Number.parseInt(last, 16) ^ 1).toString(16));
    const changes: [string, string][] = [
      [receipt.entry.digest, flip(receipt.entry.digest)],
      [receipt.entry.nonce, flip(receipt.entry.nonce)],
      [receipt.entry.previous, flip(receipt.entry.previous)],
      [receipt.inclusion.path[0] ?? '', flip(receipt.inclusion.path[0] ?? '')],
      [receipt.round.root, flip(receipt.round.root)],
      [receipt.round.link.previousRoot, flip(receipt.round.link.previousRoot)],
      [receipt.round.closedAt, receipt.round.closedAt.replace(/.Z$/, (last) => (last === '0Z' ? '1Z' : '0Z'))],
      [anchor.transaction, flip(anchor.transaction)],
      [anchor.block.hash, flip(anchor.block.hash)],
      [`"number": ${anchor.block.number}`, `"number": ${anchor.block.number + 1}`],
    ];
    for (const [from, to] of changes) {
      const changed = text.replaceAll(from, to);
      expect(changed, from).not.toBe(text);
      await writeFile(join(folder, 'changed.json'), changed);
      const verdict = await antequem('verify', 'changed.json', '--line', lines[1] ?? '', '--key', key, '--rpc', rpc);
      expect([from, verdict.code]).toEqual([from, 1]);
    }
  });

  test('the queue loses everything again and again: every round is anchored all the same', async () => {
    for (let i = 0; i < 6; i++) {
      const response = await fetch(`${url}/v1/logs/demo/entries`, { method: 'POST', body: `while flushing ${i}` });
      expect(response.status).toBe(201);
      await ground.flush();
      await new Promise((resolve) => setTimeout(resolve, 400));
    }
    const { index } = z
      .object({ index: z.number() })
      .parse(await (await fetch(`${url}/v1/logs/demo/entries`, { method: 'POST', body: 'the last' })).json());
    await ground.flush();
    expect((await antequem('receipt', 'demo', String(index), '--wait', '60', '-o', 'last.json')).code).toBe(0);

    await expect
      .poll(
        async () => {
          const { rounds } = roundsAnswer.parse(await (await fetch(`${url}/v1/rounds?limit=1000`)).json());
          return (
            rounds.filter(({ anchors }) => anchors.every(({ status }) => status === 'finalized')).length - rounds.length
          );
        },
        { timeout: 120_000 },
      )
      .toBe(0);
  });

  test('the database holds no secret: neither seed nor log keys nor the account that pays', async () => {
    const seed = Buffer.alloc(32, 0x5e);
    const secrets = ['demo', '_system'].map((log) => {
      const key = hkdfSync('sha256', seed, new Uint8Array(0), `road.test/logs/${log}\n1`, 32);
      return Buffer.from(key).toString('hex');
    });
    const held = await everything(ground.databaseUrl);
    // What is there is found: a key's public half, bytes and all.
    const [, , publicKey = ''] = (await verifierKey('demo')).split('+').map((part) => part.trim());
    expect(held).toContain(Buffer.from(publicKey, 'base64').subarray(1).toString('hex'));
    expect(held).toContain(Buffer.from(lines[0] ?? '').toString('hex'));
    for (const secret of [...secrets, seed.toString('hex'), LOCAL_CHAIN_KEY.slice(2)]) {
      expect(held.includes(secret)).toBe(false);
    }
  });
});

/** All rows of all tables as text, bytes in hex, and the payloads that lie compressed in them. */
async function everything(databaseUrl: string): Promise<string> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string }>(
      `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
       WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
    );
    const texts: string[] = [];
    for (const { name } of rows) {
      const table = await client.query<{ text: string }>(`SELECT t::text AS text FROM ${name} AS t`);
      texts.push(...table.rows.map(({ text }) => text.toLowerCase()));
    }
    const { rows: logs } = await client.query<{ id: number }>('SELECT id FROM logs');
    for (const { id } of logs) {
      for (const { payload } of await readStoredEntries(client, id)) texts.push(payload?.toString('hex') ?? '');
    }
    return texts.join('\n');
  } finally {
    await client.end();
  }
}
