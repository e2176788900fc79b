// docs/verification.md as its reader follows it: every command as printed, against a real service and a real chain, and
// the last one on a machine with no network.

import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { LOCAL_CHAIN_KEY } from '../../scripts/local/chain.ts';
import { readConfig } from '../../src/config.ts';
import { parseReceiptText } from '../../src/core/receipt.ts';
import type { IncludedEvmAnchor } from '../../src/core/receipt-schema.ts';
import {
  ANCHOR_ADDRESS,
  ANCHOR_INTERFACE,
  ANCHORED_TOPIC,
  encodeAnchor,
  encodeAnnounce,
} from '../../src/evm/anchor-contract.ts';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { serve } from '../../src/main.ts';
import { finished, type Ran, run } from '../cli/command.ts';
import { type TestChain, testChain } from '../support/chain.ts';
import { testDatabase } from '../support/postgres.ts';

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
const page = readFileSync(join(REPOSITORY, 'docs/verification.md'), 'utf8');
const blocks = [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language = '', text = '']) => ({
  language,
  text,
}));
const LINE = '2026-11-23 05:12:44 status installed libc6:amd64 2.41-12';

let folder: string;
let chain: TestChain;
let anchor: IncludedEvmAnchor;
let root: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'antequem-page-'));
  const [database, opened] = await Promise.all([testDatabase(), testChain()]);
  chain = opened;
  await deployAnchor({ provider: chain.provider, signer: chain.wallet, dryRun: false });
  await Promise.all([
    writeFile(join(folder, 'seed'), '5e'.repeat(32)),
    writeFile(join(folder, 'key'), LOCAL_CHAIN_KEY),
    writeFile(join(folder, 'content'), LINE),
    mkdir(join(folder, 'bin')),
    symlink(join(REPOSITORY, 'node_modules'), join(folder, 'node_modules')),
  ]);
  await writeFile(
    join(folder, 'bin', 'antequem'),
    `#!/bin/sh\nexec '${process.execPath}' '${join(REPOSITORY, 'src/cli/antequem.js')}' "$@"\n`,
  );
  await chmod(join(folder, 'bin', 'antequem'), 0o755);
  const config = readConfig({
    DATABASE_URL: database.url,
    ORIGIN: 'page.test',
    LOG_SEED_FILE: join(folder, 'seed'),
    PORT: '0',
    ROUND_INTERVAL: '300ms',
    EVM_RPC_URLS: chain.url,
    EVM_CHAIN_ID: '31337',
    EVM_PRIVATE_KEY_FILE: join(folder, 'key'),
  });
  const service = await serve({ ...config, open: true }, pino({ level: 'silent' }));
  try {
    const antequem = (...args: string[]): Promise<Ran> =>
      run(args, { cwd: folder, env: { ANTEQUEM_URL: service.url ?? '' } });
    await writeFile(join(folder, 'lines'), `${LINE}\nanother line\n`);
    expect((await antequem('append', 'page', 'lines')).code).toBe(0);
    expect((await antequem('receipt', 'page', '0', '--wait', '60', '-o', 'receipt.json')).code).toBe(0);
  } finally {
    await service.stop();
    await database.drop();
  }
  const receipt = parseReceiptText(readFileSync(join(folder, 'receipt.json'), 'utf8'));
  if (!('round' in receipt)) throw new Error('the receipt has no round');
  const [first] = receipt.anchors;
  if (first?.type !== 'evm' || first.status === 'submitted') throw new Error('the receipt has no anchor');
  anchor = first;
  root = receipt.round.root;
});

afterAll(async () => {
  await chain?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const environment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  RPC: chain.url,
  NO_COLOR: '1',
  PATH: `${join(folder, 'bin')}:${join(process.execPath, '..')}:${process.env.PATH}`,
});

const commands = blocks.filter(({ language }) => language === 'sh').map(({ text }) => text);

/** Runs the page from its top to its end, or to the first command that fails. */
async function runPage(): Promise<Ran> {
  const script = blocks.find(({ language }) => language === 'js');
  await writeFile(join(folder, 'check.mjs'), script?.text ?? '');
  const joined = commands.map((text, i) => `echo '@@@ ${i}'\n${text}`).join('\n');
  return finished(spawn('sh', ['-eu', '-c', joined], { cwd: folder, env: environment(), stdio: 'pipe' }), '');
}

const answer = (text: string): unknown => z.object({ result: z.unknown() }).parse(JSON.parse(text)).result;

test('every command of the page, as printed, shows what the page says', async () => {
  const ran = await runPage();
  expect(ran.code, ran.stderr).toBe(0);
  const outputs = ran.stdout.split(/^@@@ \d+\n/m).slice(1);
  /** What the block printed that begins so. */
  const output = (beginning: string): string => {
    const found = commands.findIndex((text) => text.startsWith(beginning));
    if (found < 0) throw new Error(`the page has no block that begins with ${beginning}`);
    return outputs[found] ?? '';
  };
  const { block, transaction } = anchor;

  const digests = output('sha256sum').match(/[0-9a-f]{64}/g);
  expect(digests).toHaveLength(2);
  expect(digests?.[0]).toBe(digests?.[1]);

  const [named, asked] = output('field anchors[0].chain').trim().split('\n');
  expect(`eip155:${Number(answer(asked ?? ''))}`).toBe(named);

  const shown = output('echo "Transaction');
  const [sent, outcome, mined] = await Promise.all([
    chain.provider.getTransaction(transaction),
    chain.provider.getTransactionReceipt(transaction),
    chain.provider.getBlock(block.hash),
  ]);
  const moment = `${mined?.number}, ${new Date((mined?.timestamp ?? 0) * 1_000).toISOString()}`;
  expect(outcome?.status).toBe(1);
  for (const value of [
    sent?.hash,
    sent?.data,
    sent?.to?.toLowerCase(),
    outcome?.logs[0]?.topics[0],
    outcome?.logs[0]?.topics[2],
  ]) {
    expect(shown).toContain(value);
  }
  expect(shown).toContain(moment);

  const logs = z.array(z.looseObject({ transactionHash: z.string(), topics: z.array(z.string()) }));
  const [found] = logs.parse(answer(output('ask eth_getLogs')));
  expect([found?.transactionHash, found?.topics[2]]).toEqual([transaction, `0x${root}`]);
  expect(answer(output('ask eth_getBlockByHash'))).toMatchObject({ timestamp: `0x${mined?.timestamp.toString(16)}` });

  const expected = [BigInt(mined?.timestamp ?? 0), BigInt(mined?.number ?? 0)];
  const decoded = (method: string, text: string): unknown[] =>
    ANCHOR_INTERFACE.decodeFunctionResult(method, String(answer(text))).toArray();
  expect(decoded('anchoredAt', output(`ask eth_call '{"to":"'$CONTRACT'","data":"0x9591a610`))).toEqual(expected);
  expect(decoded('existedBefore', output('ARGUMENTS='))).toEqual(expected);
  const time = new Date((mined?.timestamp ?? 0) * 1_000).toISOString();
  expect(output('node check.mjs')).toBe(`existed before ${time}, block ${mined?.number}\n`);
  expect(output('antequem verify')).toContain(
    `proven: existed before ${block.time} on eip155:31337 block ${block.number}`,
  );
});

test('its constants are those of the contract', () => {
  expect(page).toContain(ANCHOR_ADDRESS);
  expect(page).toContain(ANCHORED_TOPIC);
  const bytes = new Uint8Array(32);
  for (const data of [encodeAnchor(bytes), encodeAnnounce(bytes)]) expect(page).toContain(data.slice(0, 10));
  for (const name of ['anchoredAt', 'existedBefore'])
    expect(page).toContain(ANCHOR_INTERFACE.getFunction(name)?.selector);
});

test('a content that was changed does not lead to the root', async () => {
  await writeFile(join(folder, 'content'), `${LINE}.`);
  try {
    const ran = await runPage();
    expect(ran.code).not.toBe(0);
    expect(ran.stderr).toContain('execution reverted');
    const digests = ran.stdout.match(/^[0-9a-f]{64}/gm) ?? [];
    expect(digests[0]).not.toBe(digests[1]);
  } finally {
    await writeFile(join(folder, 'content'), LINE);
  }
});

test('receipt and block hash verify on a machine with no network', async () => {
  const { block } = anchor;
  // Where the kernel gives nobody a network of its own, Node is made to refuse every connection instead.
  const apart = spawnSync('unshare', ['-rn', 'true']).status === 0;
  const cut = join(folder, 'cut.mjs');
  await writeFile(
    cut,
    `import net from 'node:net'; import dns from 'node:dns';
     const refuse = () => { throw new Error('there is no network'); };
     net.Socket.prototype.connect = refuse; dns.lookup = refuse; globalThis.fetch = refuse;`,
  );
  const verify = (file: string, ...options: string[]): Promise<Ran> => {
    const args = ['verify', file, 'receipt.json', '--json', ...options];
    const command = join(folder, 'bin', 'antequem');
    const env = { ...environment(), ...(apart ? {} : { NODE_OPTIONS: `--import=${cut}` }) };
    const [program, ...rest] = apart ? ['unshare', '-rn', command, ...args] : [command, ...args];
    return finished(spawn(program ?? '', rest, { cwd: folder, env, stdio: 'pipe' }), '');
  };
  const proven = await verify('content', '--block-hash', block.hash);
  expect(proven.code).toBe(0);
  expect(JSON.parse(proven.stdout)).toMatchObject({
    result: 'proven',
    existedBefore: { time: block.time, chain: 'eip155:31337', block: { number: block.number, hash: block.hash } },
  });
  const another = `0x${'00'.repeat(32)}`;
  expect((await verify('content', '--block-hash', another)).code).toBe(2);
  expect((await verify('content')).code).toBe(2);
  expect((await verify('lines', '--block-hash', block.hash)).code).toBe(1);
  // There is indeed none: a node cannot be asked.
  const asked = await verify('content', '--rpc', chain.url);
  expect([asked.code, asked.stdout]).toEqual([2, expect.stringContaining('source-failed')]);
  console.log(`no network: ${apart ? 'a network namespace of its own' : 'every connection refused'}`);
});
