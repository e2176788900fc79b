import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.ts';
import { programFor } from '../../src/cli/main.ts';
import { provenReceipt } from '../support/receipts.ts';
import { HEAVY_PACKAGES, type Loaded, runAndList } from './loaded.ts';

const BIN = fileURLToPath(new URL('../../src/cli/antequem.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'antequem-loading-'));
afterAll(() => rmSync(folder, { recursive: true }));

function loadedBy(args: readonly string[], code: number): Loaded {
  const loaded = runAndList(BIN, args);
  expect(loaded.code, loaded.stderr).toBe(code);
  return loaded;
}

const heavyIn = (packages: ReadonlySet<string>): string[] => HEAVY_PACKAGES.filter((name) => packages.has(name));

test('--help loads commander and no other package', () => {
  const { packages, folders } = loadedBy(['--help'], 0);
  expect([...packages]).toEqual(['commander']);
  expect([...folders].sort()).toEqual(['cli', 'client', 'core']);
});

test.each(COMMANDS.map(({ name }) => name))('%s --help loads nothing of the service', (name) => {
  const { packages } = loadedBy([name, '--help'], 0);
  expect(packages).toContain('commander');
  expect(heavyIn(packages)).toEqual([]);
});

test('verify of a receipt, offline, loads only the verifier: no curve without a key, no messages of zod but the English', () => {
  const { receipt, payload, log } = provenReceipt();
  const [content, file] = [join(folder, 'content'), join(folder, 'receipt.json')];
  writeFileSync(content, payload);
  writeFileSync(file, JSON.stringify(receipt));
  const { packages, folders, urls } = loadedBy(['verify', content, file], 2);
  expect([...packages].sort()).toEqual(['@ethereumjs/rlp', '@noble/hashes', 'commander', 'zod']);
  expect(urls.filter((url) => url.includes('/locales/'))).toEqual([expect.stringMatching(/en\.js$/)]);
  expect(loadedBy(['verify', content, file, '--key', log.verifierKey], 2).packages).toContain('@noble/curves');
  expect(folders).toContain('verify');
  for (const name of ['store', 'api', 'anchor', 'queue', 'log', 'bitcoin']) expect(folders).not.toContain(name);
});

test('the recorder sees heavy packages where they are loaded', () => {
  const { packages } = loadedBy(['deploy', '--rpc', 'http://127.0.0.1:1', '--dry-run'], 1);
  expect(heavyIn(packages)).toEqual(['ethers']);
});

test('every command has its name and the global options, and only the named one is loaded', async () => {
  const stub = await programFor([], '0');
  expect(stub.commands.length).toBe(COMMANDS.length);
  for (const { name } of COMMANDS) {
    for (const args of [[name], ['--url', 'http://x', name, '--json'], ['help', name]]) {
      const { commands } = await programFor(args, '0');
      expect(commands.map((command) => command.name())).toEqual(COMMANDS.map((entry) => entry.name));
      const loaded = commands.filter(({ options }, i) => options.length > (stub.commands[i]?.options.length ?? 0));
      const subs = commands.filter((command) => command.commands.length > 0);
      expect(new Set([...loaded, ...subs].map((command) => command.name())).size).toBeLessThanOrEqual(1);
      const options = commands.find((command) => command.name() === name)?.options.map(({ long }) => long);
      expect(options).toEqual(expect.arrayContaining(['--json', '--url', '--api-key-file']));
    }
  }
});
