// docker-compose.yml needs a container engine to run; what can be said without one is that its settings are ours.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readConfig } from '../../src/config.ts';

const root = new URL('../../', import.meta.url);
const compose = readFileSync(new URL('docker-compose.yml', root), 'utf8');
const [, block = ''] = /environment: &settings\n((?: {4}\S.*\n)+)/.exec(compose) ?? [];

/** As compose hands it over, with these variables set outside. */
function settings(outside: Record<string, string>): Record<string, string> {
  const lines = block.trimEnd().split('\n');
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.indexOf(': ');
      const value = line.slice(at + 2).replace(/^"(.*)"$/, '$1');
      const filled = value.replace(/\$\{(\w+):-([^}]*)\}/g, (_, name, other) => outside[name] ?? other);
      return [line.slice(0, at).trim(), filled];
    }),
  );
}

test('the service takes the settings', () => {
  const config = readConfig({ ...settings({}), ROLES: 'worker' });
  expect(config.targets.map(({ chainId, rpcUrls }) => [chainId, ...rpcUrls])).toEqual([[31337, 'http://chain:8545']]);
  expect([config.origin, config.redisUrl, config.ots]).toEqual(['antequem.local', 'redis://redis:6379', null]);
});

test('and those of the profile with Bitcoin, as its first lines have them', () => {
  const exported = [...compose.matchAll(/(\b[A-Z_]+)=(\S+)/g)].map(([, name = '', value = '']) => [name, value]);
  const { ots, bitcoin } = readConfig(settings(Object.fromEntries(exported)));
  expect(ots?.calendars.map(({ url }) => url)).toEqual(['http://bitcoin:14788']);
  expect(bitcoin.chain).toBe('bip122:0f9188f13cb7b2c71f2a335e3a4fc328');
});

test('what its commands and the Dockerfile name is there', () => {
  const dockerfile = readFileSync(new URL('Dockerfile', root), 'utf8');
  const named = [...`${compose}\n${dockerfile}`.matchAll(/(?<![\w/])(?:scripts|src|test)\/[\w./-]+/g)].map(
    ([path]) => path,
  );
  expect(named.length).toBeGreaterThan(3);
  for (const path of named) expect([path, existsSync(new URL(path, root))]).toEqual([path, true]);
});

test('the command that the image starts is a program', () => {
  expect(statSync(new URL('src/cli/antequem.js', root)).mode & 0o111).toBe(0o111);
});
