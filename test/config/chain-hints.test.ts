import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { chainHint, HINTED_CHAINS } from '../../src/evm/chain-hints.ts';
import { finalityDelay } from '../../src/start/targets.ts';
import { chainName, explorersOf } from '../../src/web/parts/chains.ts';

const GWEI = 1_000_000_000n;

function targetsOf(chainId: number, more: Record<string, string> = {}) {
  return readConfig({
    DATABASE_URL: 'postgres:///antequem',
    ORIGIN: 'log.example.org',
    LOG_SEED_FILE: '/run/secrets/seed',
    EVM_CHAIN_ID: String(chainId),
    EVM_RPC_URLS: 'https://node.test',
    EVM_PRIVATE_KEY_FILE: '/run/secrets/key',
    ...more,
  }).targets;
}

test('caps that are set go before those known of a chain', () => {
  expect(targetsOf(1)).toMatchObject([{ maxFee: 100n * GWEI, maxPriorityFee: 3n * GWEI }]);
  expect(targetsOf(137)).toMatchObject([{ maxFee: 1_000n * GWEI, maxPriorityFee: 100n * GWEI }]);
  const set = { EVM_MAX_FEE_GWEI: '40', EVM_MAX_PRIORITY_FEE_GWEI: '2' };
  expect(targetsOf(137, set)).toMatchObject([{ maxFee: 40n * GWEI, maxPriorityFee: 2n * GWEI }]);
});

test('confirmations that are set go before the finality known of a chain; one that calls no block final is not waited for', () => {
  const set = { EVM_CONFIRMATIONS: '10' };
  expect(finalityDelay(targetsOf(56))).toBe(10_000);
  expect(finalityDelay(targetsOf(56, set))).toBe(120_000);
  expect(finalityDelay(targetsOf(61))).toBeNull();
  expect(finalityDelay(targetsOf(61, set))).toBe(120_000);
  // Of a chain that is not known.
  expect(finalityDelay(targetsOf(999_999))).toBe(900_000);
});

function duration(ms: number): string {
  return ms < 60_000 ? `${ms / 1_000} s` : `${ms / 60_000} min`;
}

function rowOf(id: number): string {
  const { name, leastTip, caps, finalityMs, source } = chainHint(id);
  const fees = caps === undefined ? '' : `${caps.maxFee / GWEI} and ${caps.priorityFee / GWEI}`;
  const tip = leastTip === undefined ? '' : `${leastTip / GWEI}`;
  const explorers = explorersOf(`eip155:${id}`, 0).map((url) => new URL(url).host);
  const final = finalityMs == null ? 'never' : duration(finalityMs);
  return `| ${[name, id, final, tip, fees, explorers.join(', '), source].join(' | ')} |`;
}

test('docs/chains.md lists what is known of chains, with its source; pages give them the same names', () => {
  const page = readFileSync(new URL('../../docs/chains.md', import.meta.url), 'utf8');
  const shown = page.split('\n').filter((line) => /^\| [^|]+ \| \d+ \| /.test(line));
  expect(shown).toEqual(HINTED_CHAINS.map(rowOf));
  for (const id of HINTED_CHAINS) {
    expect(chainName(`eip155:${id}`)).toBe(chainHint(id).name);
    expect(chainHint(id).source).toMatch(/\w{4}/);
    expect(explorersOf(`eip155:${id}`, 7)[0]).toMatch(/^https:\/\/[a-z.-]+\/block\/7$/);
  }
});
