import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LOCAL_CHAIN_KEY } from '../../scripts/local/chain.ts';
import { ANCHOR_ADDRESS } from '../../src/evm/anchor-contract.ts';
import { type TestChain, testChain } from '../support/chain.ts';

const COMMAND = resolve(import.meta.dirname, '../../src/cli/commands/deploy.ts');
// The command by itself, from a folder that is not the repository.
const PROGRAM = `
  const { deployCommand } = await import(${JSON.stringify(COMMAND)});
  await deployCommand().parseAsync(process.argv.slice(1), { from: 'user' }).catch((error) => {
    console.error(error.code + ': ' + error.message);
    process.exitCode = 1;
  });`;

let chain: TestChain;
let folder: string;
let keyFile: string;
beforeAll(async () => {
  chain = await testChain();
  folder = await mkdtemp(join(tmpdir(), 'antequem-deploy-'));
  keyFile = join(folder, 'key');
  await writeFile(keyFile, `${LOCAL_CHAIN_KEY}\n`);
});
afterAll(async () => {
  await chain[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

function deploy(...args: string[]): Promise<{ exit: number; stdout: string; stderr: string }> {
  return new Promise((done) => {
    const child = execFile(
      process.execPath,
      ['--input-type=module', '-e', PROGRAM, '--', ...args],
      { cwd: folder, timeout: 20_000 },
      (_, stdout, stderr) => done({ exit: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}

test('dry run, deployment, and again', async () => {
  const dry = await deploy('--rpc', chain.url, '--dry-run', '--round-interval', '1h');
  expect(dry).toMatchObject({ exit: 0, stderr: '' });
  expect(dry.stdout).toContain(`${ANCHOR_ADDRESS} on eip155:31337: not deployed yet`);
  expect(dry.stdout).toContain('a round every 3600 s');
  const first = await deploy('--rpc', chain.url, '--key-file', keyFile, '--json');
  expect(first).toMatchObject({ exit: 0, stderr: '' });
  const result = JSON.parse(first.stdout);
  expect(result).toMatchObject({ status: 'deployed', address: ANCHOR_ADDRESS });
  expect(result.anchor.weiPerMonth).toMatch(/^[1-9]\d*$/);
  const again = await deploy('--rpc', chain.url, '--key-file', keyFile);
  expect(again).toMatchObject({ exit: 0, stderr: '' });
  expect(again.stdout).toContain('stands already; nothing was sent');
});

test('what is wrong is said, and no secret with it', async () => {
  const dead = await deploy('--rpc', 'http://user:word@127.0.0.1:1/access-token', '--dry-run');
  expect(dead.exit).toBe(1);
  expect(dead.stderr).toMatch(/^rpc-unreachable: no node of a chain answers at http:\/\/127\.0\.0\.1:1 .*check --rpc/);
  expect(dead.stderr).not.toMatch(/word|token/);

  const wrong = join(folder, 'wrong');
  for (const text of [LOCAL_CHAIN_KEY.slice(3), `${LOCAL_CHAIN_KEY}00`, `0x${'00'.repeat(32)}`, '']) {
    await writeFile(wrong, text);
    const refused = await deploy('--rpc', chain.url, '--key-file', wrong);
    expect(refused).toMatchObject({ exit: 1, stdout: '' });
    expect(refused.stderr).toMatch(
      /^key-invalid: .*wrong does not hold a private key: 64 hex digits, with or without 0x/,
    );
    expect(refused.stderr).not.toContain(LOCAL_CHAIN_KEY.slice(2));
  }
  const none = await deploy('--rpc', chain.url, '--key-file', join(folder, 'none'));
  expect(none.stderr).toMatch(/^key-file-unreadable: /);
  const interval = await deploy('--rpc', chain.url, '--dry-run', '--round-interval', '60');
  expect(interval.stderr).toContain('write a whole number and a unit');
});
