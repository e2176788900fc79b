import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseTargets } from '../../src/config/targets.ts';
import { readConfig } from '../../src/config.ts';

const LEAST = { DATABASE_URL: 'postgres:///antequem', ORIGIN: 'log.example.org', LOG_SEED_FILE: '/run/secrets/seed' };
const MAIN = {
  name: 'main',
  chainId: 1,
  rpcUrls: ['https://one.test', 'https://two.test/key'],
  mode: 'anchor',
  key: { keystore: 'keys/main.json', passwordFile: '/run/secrets/password' },
  maxFeeGwei: 60,
  dailyBudget: '0.05',
  replaceAfter: '3m',
  lowBalance: 0.1,
};
const BASE = {
  ...MAIN,
  name: 'base',
  chainId: 8453,
  contract: `0x${'Ab'.repeat(20)}`,
  mode: 'announce',
  key: { file: 'base.key' },
  confirmations: 30,
  maxFeeGwei: '0.5',
  maxPriorityFeeGwei: 0.01,
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'antequem-targets-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function read(content: unknown, more: Record<string, string> = {}) {
  const file = join(folder, 'targets.json');
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return readConfig({ ...LEAST, TARGETS_FILE: file, ...more }).targets;
}

function faultsOf(content: unknown, more: Record<string, string> = {}): string[] {
  try {
    read(content, more);
    return [];
  } catch (error) {
    expect(error).toMatchObject({ code: 'config-invalid' });
    const [, ...faults] = (error instanceof Error ? error.message : '').split('\n  ');
    return faults.map((fault) => fault.replace(folder, '…'));
  }
}

test('a file with several targets; the files it names are looked for from its folder', () => {
  expect(read([MAIN, BASE])).toEqual([
    {
      name: 'main',
      chainId: 1,
      rpcUrls: ['https://one.test', 'https://two.test/key'],
      contract: null,
      storeEvery: 'always',
      key: { keystore: join(folder, 'keys/main.json'), passwordFile: '/run/secrets/password' },
      confirmations: null,
      maxFee: 60_000_000_000n,
      maxPriorityFee: 3_000_000_000n,
      dailyBudget: 50_000_000_000_000_000n,
      replaceAfter: 180_000,
      lowBalance: 100_000_000_000_000_000n,
      ephemeral: false,
    },
    {
      name: 'base',
      chainId: 8453,
      rpcUrls: ['https://one.test', 'https://two.test/key'],
      contract: `0x${'Ab'.repeat(20)}`,
      storeEvery: 'never',
      key: { file: join(folder, 'base.key') },
      confirmations: 30,
      maxFee: 500_000_000n,
      maxPriorityFee: 10_000_000n,
      dailyBudget: 50_000_000_000_000_000n,
      replaceAfter: 180_000,
      lowBalance: 100_000_000_000_000_000n,
      ephemeral: false,
    },
  ]);
});

test('what is stored is said by storeEvery or by the older mode, not by both; by neither it stays as it is', () => {
  const { mode, ...neither } = MAIN;
  const policies = [neither, { ...neither, storeEvery: '30m' }, { ...neither, storeEvery: 'never' }, MAIN].map(
    (content) => parseTargets(JSON.stringify([content]), '/run/targets.json').targets[0]?.storeEvery,
  );
  expect(policies).toEqual([null, 1_800_000, 'never', mode === 'anchor' ? 'always' : 'never']);
  expect(parseTargets(JSON.stringify([{ ...MAIN, storeEvery: '1h' }]), '/run/targets.json').faults).toEqual([
    'TARGETS_FILE: target 1 (main), mode: cannot be set beside storeEvery, which says the same',
  ]);
  expect(parseTargets(JSON.stringify([{ ...neither, storeEvery: '30s' }]), '/run/targets.json').faults).toHaveLength(1);
});

test('faults are reported all together, beside those of the environment, and tell no values', () => {
  const { dailyBudget, ...unlimited } = MAIN;
  const content = [
    { ...MAIN, rpcUrls: ['https://one.test', 'wss://two.test/hunter2'], maxFeeGwei: 1e-7, chainID: 1 },
    { ...unlimited, name: 'Base', chainId: '8453', mode: 'both', key: { file: '' }, replaceAfter: 180 },
    { ...BASE, name: 'main', contract: 'vitalik.eth', confirmations: 0, rpcUrls: [], lowBalance: -1 },
    'main',
    { ...MAIN, name: 'other', maxPriorityFeeGwei: 0, key: { keystore: 'a.json' } },
    { ...MAIN, name: 'spare' },
    { ...MAIN, name: 'again' },
  ];
  const faults = faultsOf(content, { PORT: 'hunter2' });
  expect(faults).toEqual([
    'PORT: not a port: 0 to 65535, 0 for any free one',
    'TARGETS_FILE: target 1 (main), rpcUrls[1]: not a URL with http:// or https://',
    'TARGETS_FILE: target 1 (main), maxFeeGwei: not a fee in gwei, such as 30 or 0.05',
    'TARGETS_FILE: target 1 (main): there is no setting chainID',
    'TARGETS_FILE: target 2 (Base), name: not a name: [a-z][a-z0-9-]{0,39}',
    'TARGETS_FILE: target 2 (Base), chainId: not a chain id: a whole number from 1 on',
    'TARGETS_FILE: target 2 (Base), mode: not a mode: anchor or announce',
    'TARGETS_FILE: target 2 (Base), key.file: not the name of a file',
    'TARGETS_FILE: target 2 (Base), dailyBudget: must be set',
    'TARGETS_FILE: target 2 (Base), replaceAfter: not a duration: write 500ms, 30s, 10m or 24h',
    'TARGETS_FILE: target 3 (main), rpcUrls: not a list of URLs with http:// or https://',
    'TARGETS_FILE: target 3 (main), contract: not an address: 0x and 40 hex digits',
    'TARGETS_FILE: target 3 (main), confirmations: not a whole number from 1 on',
    "TARGETS_FILE: target 3 (main), lowBalance: not an amount of the chain's coin, such as 0.25",
    'TARGETS_FILE: target 3 (main), name: target 1 (main) has it too',
    'TARGETS_FILE: target 4: not a target: {"name": "main", …}',
    'TARGETS_FILE: target 5 (other), key: not a key: write {"file": "…"} or {"keystore": "…", "passwordFile": "…"}',
    'TARGETS_FILE: target 5 (other), maxPriorityFeeGwei: must be above 0',
    'TARGETS_FILE: target 7 (again), key: target 6 (spare) on the same chain has it too, and nonces cannot be shared',
  ]);
});

test.each([
  ['[{]', /^TARGETS_FILE: …\/targets.json is not JSON: /],
  ['{}', /^TARGETS_FILE: …\/targets.json is not a list of targets/],
  ['[]', /is not a list of targets/],
])('a file that holds %s', (content, fault) => {
  expect(faultsOf(content)).toEqual([expect.stringMatching(fault)]);
});

test('a file that is not there, or beside variables that make a target', () => {
  expect(faultsOf([MAIN], { TARGETS_FILE: join(folder, 'none') })).toEqual([
    expect.stringMatching(/^TARGETS_FILE: …\/none cannot be read: ENOENT/),
  ]);
  expect(faultsOf([MAIN], { EVM_CHAIN_ID: '1', EVM_MODE: 'anchor' })).toEqual([
    'TARGETS_FILE: cannot be set beside EVM_CHAIN_ID, EVM_MODE: write all targets there',
  ]);
});
