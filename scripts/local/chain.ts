// The local chain: simulated Ethereum under Osaka rules that mines a block for each transaction, gone when stopped.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** Account 0 of every Hardhat chain, funded there. The whole world knows this key: worthless anywhere else. */
export const LOCAL_CHAIN_KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';

const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 3_000;

export interface LocalChain {
  /** `http://127.0.0.1:<port>`; speaks WebSocket too. */
  readonly url: string;
  /** Process id, for those who must see that nothing is left. */
  readonly pid: number;
  /** Settles when the process has ended, for whatever reason. */
  readonly ended: Promise<void>;
  /** Ends the process and waits for that. May be called again. */
  stop(): Promise<void>;
}

export interface LocalChainOptions {
  /** A busy port is replaced by a free one. Default: any free one. */
  readonly port?: number;
  /** Default 31337. */
  readonly chainId?: number;
}

/**
 * Starts the chain and answers once it listens, on loopback alone. It ends with this process however that ends.
 * @throws Error if the process ends or says nothing before it listens
 */
export async function startChain(options: LocalChainOptions = {}): Promise<LocalChain> {
  const file = join(import.meta.dirname, 'chain-process.ts');
  const child = spawn(process.execPath, [file, String(options.port ?? 0), String(options.chainId ?? 31337)], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, HARDHAT_DISABLE_TELEMETRY: 'true' },
  });
  // Written to only by its end; that the child is gone already is no news then.
  child.stdin.on('error', () => {});
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-4_000);
  });
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.once('error', (error) => {
      complaint += error.message;
      resolve();
    });
  });
  const stop = async (): Promise<void> => {
    child.stdin.end();
    const deadline = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
    await ended;
    clearTimeout(deadline);
  };
  const lines = createInterface({ input: child.stdout });
  const timeout = AbortSignal.timeout(START_LIMIT_MS);
  const line = await Promise.race([
    once(lines, 'line', { signal: timeout }).then(
      ([text]) => String(text),
      () => null,
    ),
    ended.then(() => null),
  ]);
  if (line === null || child.pid === undefined) {
    await stop();
    throw new Error(`the local chain did not start:\n${complaint}`);
  }
  const { url } = JSON.parse(line);
  return { url: String(url), pid: child.pid, ended, stop };
}
