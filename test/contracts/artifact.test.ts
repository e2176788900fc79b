import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { getCreate2Address, keccak256 } from 'ethers';
import { expect, test } from 'vitest';
import { ARTIFACT_FILE, buildArtifact } from '../../scripts/artifact.ts';
import { ANCHOR_ADDRESS, ANCHOR_INIT_CODE } from '../../src/evm/anchor-contract.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const run = promisify(execFile);

// The address is where every receipt will look for its anchor: these two never change with a release.
test('init code and address are those published', () => {
  const initCodeHash = '0x849244a869bda87946be2d707f4e505cbe1bb098bebe484462a5e756f296dca3';
  expect(keccak256(ANCHOR_INIT_CODE)).toBe(initCodeHash);
  expect(ANCHOR_ADDRESS).toBe('0x105522Cc045f1786Fc6C0cD2Ad23aA93648B6Eb1');
  const salt = `0x${'00'.repeat(32)}`;
  expect(getCreate2Address('0x4e59b44847b379578588920cA78FbF26c0B4956C', salt, initCodeHash)).toBe(ANCHOR_ADDRESS);
});

test('the committed artifact is what a fresh build of the source gives', async () => {
  expect(await readFile(ARTIFACT_FILE, 'utf8')).toBe(await buildArtifact());
});

test('the Solidity tests run and pass, from any folder', async () => {
  const { stdout } = await run(
    process.execPath,
    [join(ROOT, 'node_modules/.bin/hardhat'), '--config', join(ROOT, 'hardhat.config.ts'), 'test', 'solidity'],
    { cwd: tmpdir(), env: { ...process.env, HARDHAT_DISABLE_TELEMETRY: 'true', NO_COLOR: '1' } },
  );
  const source = await readFile(join(ROOT, 'test/contracts/Anchor.t.sol'), 'utf8');
  const written = [...source.matchAll(/function (test\w*)\(/g)].map(([, name]) => name);
  expect(written.length).toBeGreaterThan(10);
  const passed = [...stdout.matchAll(/✔ (test\w*)\(/g)].map(([, name]) => name);
  expect(passed.toSorted()).toEqual(written.toSorted());
  const fuzzed = [...stdout.matchAll(/✔ testFuzz.*\(runs: (\d+)\)/g)].map(([, runs]) => Number(runs));
  expect(fuzzed).toEqual(written.filter((name) => name?.startsWith('testFuzz')).map(() => 1024));
  expect(stdout).toContain(`${written.length} passing`);
}, 120_000);
