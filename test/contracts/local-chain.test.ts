import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { startChain } from '../../scripts/local/chain.ts';
import { findProcess } from '../../scripts/local/process-table.ts';

const MODULE = resolve(import.meta.dirname, '../../scripts/local/chain.ts');

async function rpc(url: string, method: string): Promise<unknown> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: [] });
  const { result } = JSON.parse(await (await fetch(url, { method: 'POST', body })).text());
  return result;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function expectGone(pid: number): Promise<void> {
  for (let waited = 0; isAlive(pid) && waited < 5_000; waited += 20) await pause(20);
  expect(isAlive(pid)).toBe(false);
}

test('a chain of the id asked for, on loopback; a busy port is replaced by a free one', async () => {
  const first = await startChain({ chainId: 31_999 });
  const port = Number(new URL(first.url).port);
  const second = await startChain({ port });
  try {
    expect(await rpc(first.url, 'eth_chainId')).toBe('0x7cff');
    expect(await rpc(second.url, 'eth_chainId')).toBe('0x7a69');
    expect(new URL(second.url).hostname).toBe('127.0.0.1');
    expect(new URL(second.url).port).not.toBe(String(port));
  } finally {
    await Promise.all([first.stop(), second.stop()]);
  }
  await first.stop();
  expect([first.pid, second.pid].map(isAlive)).toEqual([false, false]);
  const third = await startChain({ port });
  expect(new URL(third.url).port).toBe(String(port));
  await third.stop();
});

test('it has a process group of its own, which no signal to its launcher reaches; TERM ends it', async () => {
  const chain = await startChain();
  expect(findProcess(chain.pid)?.group).toBe(chain.pid);
  process.kill(chain.pid, 'SIGTERM');
  await chain.ended;
  expect(isAlive(chain.pid)).toBe(false);
  await chain.stop();
});

test('a launcher that is killed leaves no chain behind', async () => {
  const program = `
    const { startChain } = await import(${JSON.stringify(MODULE)});
    console.log((await startChain()).pid);`;
  const launcher = spawn(process.execPath, ['--input-type=module', '-e', program], {
    cwd: tmpdir(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(createInterface({ input: launcher.stdout }), 'line');
  const pid = Number(line);
  expect(isAlive(pid)).toBe(true);
  launcher.kill('SIGKILL');
  await expectGone(pid);
});

test('what keeps the chain from starting is told', async () => {
  const program = `
    const { startChain } = await import(${JSON.stringify(MODULE)});
    await startChain({ chainId: -1 }).catch((error) => { console.log(error.message); });`;
  const stdout = await new Promise<string>((done) => {
    execFile(process.execPath, ['--input-type=module', '-e', program], (_, text) => done(text));
  });
  expect(stdout).toMatch(/^the local chain did not start:\n.*chainId/s);
});
