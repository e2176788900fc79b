// docs/verification.md as its reader follows it: every command as printed, against a real service, a real chain and a
// Bitcoin node, and what needs no network on a machine that has none.

import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { LOCAL_POLICY, localAuthority } from '../../scripts/local/authority.ts';
import type { LocalCalendar } from '../../scripts/local/calendar.ts';
import { LOCAL_CHAIN_KEY } from '../../scripts/local/chain.ts';
import { type StampingAuthority, startStamping } from '../../scripts/local/stamping.ts';
import { readConfig } from '../../src/config.ts';
import { ANCHORED_TOPIC } from '../../src/core/anchored-event.ts';
import { REGTEST } from '../../src/core/bitcoin-header.ts';
import { knownAnchors, parseReceiptText } from '../../src/core/receipt.ts';
import type { IncludedEvmAnchor } from '../../src/core/receipt-schema.ts';
import { ANCHOR_ADDRESS, ANCHOR_INTERFACE, encodeAnchor, encodeAnnounce } from '../../src/evm/anchor-contract.ts';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { type Running, serve } from '../../src/main.ts';
import { bundlePage } from '../../src/pages/bundle.ts';
import { finished, type Ran, run } from '../cli/command.ts';
import { referenceMissing } from '../ots/reference.ts';
import type { TestBitcoin } from '../support/bitcoin.ts';
import { testBitcoin, testCalendar } from '../support/bitcoin.ts';
import { browserMissing, openWatched, testBrowser } from '../support/browser.ts';
import { type TestChain, testChain } from '../support/chain.ts';
import { DEEP } from '../support/deep.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { answerOtherSites } from '../web/ground.ts';

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
const page = readFileSync(join(REPOSITORY, 'docs/verification.md'), 'utf8');
/** The blocks of the page; those that are files with the name that the sentence before them ends in. */
const blocks = [...page.matchAll(/(?:`([\w.]+)`:\n\n)?^```(\w+)\n([\s\S]*?)^```$/gm)].map(
  ([, file = '', language = '', text = '']) => ({ file, language, text }),
);
const LINE = '2026-11-23 05:12:44 status installed libc6:amd64 2.41-12';

let folder: string;
let chain: TestChain;
let database: TestDatabase;
let service: Running;
let bitcoin: TestBitcoin;
let calendar: LocalCalendar;
let stamping: StampingAuthority;
let key: string;
let coseKey: string;
let anchor: IncludedEvmAnchor;
let root: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'antequem-page-'));
  [database, chain, bitcoin] = await Promise.all([testDatabase(), testChain(), testBitcoin()]);
  // As many blocks as the verifier wants to see upon one.
  calendar = await testCalendar(bitcoin, { interval: 200, depth: 6 });
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
  for (const { file, text } of blocks) if (file !== '') await writeFile(join(folder, file), text);
  await mkdir(join(folder, '.antequem'));
  // The package by its name, which nobody has installed here.
  const verifier = pathToFileURL(join(REPOSITORY, 'src/verify/verify.ts')).href;
  await writeFile(
    join(folder, 'package.mjs'),
    `import { registerHooks } from 'node:module';
     registerHooks({
       resolve: (name, context, next) =>
         name === 'antequem/verify' ? { url: '${verifier}', shortCircuit: true } : next(name, context),
     });`,
  );
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
  const ots = {
    name: 'calendars',
    calendars: [{ url: calendar.url, uris: [] }],
    minCalendars: 1,
    ephemeral: true,
  };
  const headers = { chain: REGTEST, rpcUrls: [bitcoin.rpcUrl], esploraUrls: [], cookieFile: null, confirmations: 2 };
  stamping = await startStamping(join(folder, '.antequem'));
  const authorities = [stamping.config];
  const own = localAuthority(join(folder, '.antequem'), Date.now());
  const ownAuthority = { certFile: own.certFile, keyFile: own.keyFile, policy: LOCAL_POLICY, perMinute: 600 };
  const all = { ...config, ownAuthority, open: true, reconcileInterval: 500, ots, bitcoin: headers, authorities };
  service = await serve(all, pino({ level: 'silent' }));
  const endpoints = { url: service.url, databaseUrl: database.url, bitcoinRpcUrl: bitcoin.rpcUrl };
  await writeFile(join(folder, '.antequem', 'endpoints.json'), JSON.stringify(endpoints));
  const antequem = (...args: string[]): Promise<Ran> =>
    run(args, { cwd: folder, env: { ANTEQUEM_URL: service.url ?? '' } });
  await writeFile(join(folder, 'lines'), `${LINE}\nanother line\n`);
  expect((await antequem('append', 'demo', 'lines')).code).toBe(0);
  expect((await antequem('receipt', 'demo', '0', '--wait', '60', '-o', 'receipt.json')).code).toBe(0);
  const described: unknown = await (await fetch(`${service.url}/v1/logs/demo`)).json();
  const keys = z.looseObject({ verifierKey: z.string(), coseKeys: z.array(z.string()) }).parse(described);
  key = keys.verifierKey;
  coseKey = keys.coseKeys[0] ?? '';
  const receipt = parseReceiptText(readFileSync(join(folder, 'receipt.json'), 'utf8'));
  if (!('round' in receipt)) throw new Error('the receipt has no round');
  const first = knownAnchors(receipt).find(({ type }) => type === 'evm');
  if (first?.type !== 'evm' || first.status === 'submitted') throw new Error('the receipt has no anchor');
  anchor = first;
  root = receipt.round.root;
  if (DEEP) {
    await finished(spawn('python3', ['-m', 'venv', join(folder, 'venv')], { stdio: 'pipe' }));
    const pip = spawn(join(folder, 'venv/bin/pip'), ['install', '-q', ...PYTHON_PACKAGES], { stdio: 'pipe' });
    expect(await finished(pip)).toMatchObject({ code: 0 });
  }
  commands = blocks.filter(({ language }) => language === 'sh').map(({ text }) => runnable(text));
});

afterAll(async () => {
  await service?.stop();
  await database?.drop();
  await calendar?.close();
  stamping?.close();
  await bitcoin?.close();
  await chain?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const environment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  RPC: chain.url,
  VKEY: key,
  COSE_KEY: coseKey,
  SERVICE: service.url ?? '',
  NODE_OPTIONS: `--import=${pathToFileURL(join(folder, 'package.mjs')).href}`,
  NO_COLOR: '1',
  PATH: [join(folder, 'bin'), join(folder, 'venv/bin'), join(process.execPath, '..'), process.env.PATH].join(':'),
});

/** What the page has of Python packages, for the runs that take their time. */
const PYTHON_PACKAGES = ['opentimestamps-client==0.7.2', 'scitt-cose==0.5.0'];
let commands: readonly string[] = [];

/** The commands without those of programs that are not here; each is told. */
function runnable(text: string): string {
  const env = environment();
  const away: [RegExp, boolean, string][] = [
    // It wants a node of Bitcoin itself.
    [/^ots verify content.ots$/gm, false, 'a node of Bitcoin'],
    [/^ots .*$/gm, spawnSync('ots', ['--version'], { env }).status === 0, 'the stock client ots'],
    // Its modules come over the network.
    [/^go .*$/gm, DEEP && spawnSync('go', ['version'], { env }).status === 0, 'Go'],
    [/^\/usr\/bin\/python3 .*$/gm, referenceMissing === null, 'python3-opentimestamps'],
    [/^python3 scitt\.py .*$/gm, spawnSync('python3', ['-c', 'import scitt_cose'], { env }).status === 0, 'scitt-cose'],
  ];
  return away.reduce((rest, [lines, here, what]) => {
    if (here || !lines.test(rest)) return rest;
    console.warn(`not run, since ${what} is not installed: ${rest.match(lines)?.join('; ')}`);
    return rest.replace(lines, ':');
  }, text);
}

/** Runs the page from its top to its end, or to the first command that fails. */
async function runPage(): Promise<Ran> {
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
  const proven = `proven: existed before ${block.time} on eip155:31337 block ${block.number}`;
  expect(output('antequem verify content receipt.json --block-hash "$BLOCK"')).toContain(proven);

  // Down to Bitcoin.
  const header = z
    .looseObject({ hash: z.string(), merkleroot: z.string(), time: z.int() })
    .parse(JSON.parse(output('HEIGHT=').trim()));
  if (referenceMissing === null) expect(output('/usr/bin/python3 check.py')).toContain(header.merkleroot);
  const stamped = `existed before ${new Date(header.time * 1_000 + 7_200_000).toISOString()} on ${REGTEST}`;
  expect(output('antequem verify content content.ots')).toContain(`proven: ${stamped}`);
  expect(output('antequem receipt demo 0 --until bitcoin -o receipt.json')).toContain(stamped);
  expect(output('field "anchors.find').trim()).toBe(header.hash);

  expect(output('SERVICE=')).toContain('by CN=Antequem local timestamp authority');
  expect(output('OLDER=')).toContain('in between nothing of it was rewritten');
  expect(output('antequem path receipt.json --json')).toBe(`${root}\n`);
  expect(output('python3 climb.py')).toBe(`${root}\n`);
  expect(output('python3 ask.py')).toContain(`, block ${mined?.number}\n`);
  expect(ran.stderr).toContain('1 receipt: 1 proven, 0 unproven, 0 refuted');
  expect(output('VKEY=')).toContain('unproven');
  expect(output('node module.mjs')).toMatch(
    /^verified: The SHA-256 digest of the given content is the one in the receipt/,
  );
});

test('the Python of the page, with nothing but its standard library, comes to the same', async () => {
  const python = (file: string, ...args: string[]): Promise<Ran> =>
    finished(spawn('python3', ['-I', '-S', file, ...args], { cwd: folder, env: environment(), stdio: 'pipe' }), '');
  const { block } = anchor;
  for (const file of ['walk.py', 'climb.py']) {
    expect(await python(file)).toMatchObject({ code: 0, stdout: `${root}\n` });
  }
  const time = new Date(block.time).toISOString().replace('.000Z', '+00:00');
  expect(await python('ask.py', chain.url, root)).toMatchObject({
    code: 0,
    stdout: `eip155:31337: existed before ${time}, block ${block.number}\n`,
  });
  const never = await python('ask.py', chain.url, '00'.repeat(32));
  expect([never.code, never.stderr]).toEqual([1, expect.stringContaining('this root was never anchored there')]);
  await writeFile(join(folder, 'content'), `${LINE}.`);
  try {
    const climbed = await python('climb.py');
    expect([climbed.code, climbed.stderr]).toEqual([1, expect.stringContaining('does not lead to the root')]);
    expect((await python('walk.py')).stdout).not.toBe(`${root}\n`);
  } finally {
    await writeFile(join(folder, 'content'), LINE);
  }
  expect(
    blocks
      .find(({ file }) => file === 'walk.py')
      ?.text.trim()
      .split('\n'),
  ).toHaveLength(10);
});

test('six strangers accept the receipt for its content, and refuse it for another file', async () => {
  const env = { ...environment(), BITCOIN: bitcoin.rpcUrl, CONTRACT: ANCHOR_ADDRESS };
  const ask = async (): Promise<Map<string, string>> => {
    const ran = await finished(spawn('bash', ['strangers.sh'], { cwd: folder, env, stdio: 'pipe' }), '');
    return new Map([...ran.stdout.matchAll(/^(\S+) (.*) it$/gm)].map(([, name = '', word = '']) => [name, word]));
  };
  const accepted = await ask();
  expect([...accepted.keys()]).toEqual(['ots', 'existedBefore', 'torchwood', 'openssl', 'scitt-cose']);
  const installed = [...accepted].filter(([, word]) => !word.includes('not installed'));
  expect(installed.map(([, word]) => word)).toEqual(installed.map(() => 'accepts'));
  for (const name of DEEP ? accepted.keys() : ['existedBefore', 'openssl']) expect(accepted.get(name)).toBe('accepts');
  await writeFile(join(folder, 'content'), `${LINE}.`);
  try {
    const refused = await ask();
    for (const [name] of installed) expect([name, refused.get(name)]).toEqual([name, 'refuses']);
  } finally {
    await writeFile(join(folder, 'content'), LINE);
  }
});

test.skipIf(browserMissing !== null)('the sixth is the page from disk', async () => {
  await writeFile(join(folder, 'verify.html'), await bundlePage('verify'));
  const browser = await testBrowser();
  try {
    const { page } = await openWatched(browser);
    await answerOtherSites(page, chain.url);
    for (const [file, word] of [
      ['content', 'PROVEN'],
      ['lines', 'REFUTED'],
    ] as const) {
      await page.goto(pathToFileURL(join(folder, 'verify.html')).href);
      await page.getByLabel('Choose or drop the file').setInputFiles(join(folder, file));
      await page.locator('.digest').waitFor();
      await page.getByText('Advanced:').click();
      await page.getByLabel('A node of the chain').fill(chain.url);
      await page.getByLabel('Choose or drop the receipt').setInputFiles(join(folder, 'receipt.json'));
      await page.locator('.banner .word').waitFor();
      expect(await page.locator('.banner .word').innerText()).toBe(word);
    }
  } finally {
    await browser.close();
  }
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
