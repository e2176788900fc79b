// Anvil: a chain whose blocks hold what one puts into them. It comes as an optional dependency, for Linux on x64 alone.

import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { Wallet } from 'ethers';
import { LOCAL_CHAIN_KEY } from '../../scripts/local/chain.ts';
import { openProvider, type TestChain } from './chain.ts';

/** The program's place; null where there is none for this machine. */
function anvilProgram(): string | null {
  try {
    const found = createRequire(import.meta.url).resolve('@foundry-rs/anvil-linux-amd64/package.json');
    return join(dirname(found), 'bin', 'anvil');
  } catch {
    return null;
  }
}

/** Why tests with anvil are skipped here; null: they are not. */
export const noAnvil: string | null = anvilProgram() === null ? 'there is no anvil for this machine' : null;

/** A chain of its own on loopback; `await using` ends it. */
export async function anvilChain(...options: string[]): Promise<TestChain> {
  const program = anvilProgram();
  if (program === null) throw new Error('there is no anvil for this machine');
  const child = spawn(program, ['--host', '127.0.0.1', '--port', '0', ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const lines = createInterface({ input: child.stdout });
  const url = await new Promise<string>((resolve, reject) => {
    lines.on('line', (line) => {
      const address = /Listening on (127\.0\.0\.1:\d+)/.exec(line)?.[1];
      if (address !== undefined) resolve(`http://${address}`);
    });
    child.once('error', reject);
    ended.then(() => reject(new Error('anvil ended before it listened')));
  });
  const chainId = options.indexOf('--chain-id');
  const provider = openProvider(url, chainId < 0 ? 31337 : Number(options[chainId + 1]));
  const dispose = async (): Promise<void> => {
    provider.destroy();
    child.kill('SIGKILL');
    await ended;
  };
  return { url, provider, wallet: new Wallet(LOCAL_CHAIN_KEY, provider), [Symbol.asyncDispose]: dispose };
}
