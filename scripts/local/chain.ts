// The local chain: simulated Ethereum under Osaka rules that mines a block for each transaction, gone when stopped.

import { z } from 'zod';
import { type Child, startChild } from './child.ts';

/** Account 0 of every Hardhat chain, funded there. The whole world knows this key: worthless anywhere else. */
export const LOCAL_CHAIN_KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';

const Said = z.object({ url: z.string() });

export interface LocalChain extends Omit<Child, 'says'> {
  /** `http://127.0.0.1:<port>`. Web pages of other sites and other host names are refused there. */
  readonly url: string;
}

export interface LocalChainOptions {
  /** A busy port is replaced by a free one. Default: any free one. */
  readonly port?: number;
  /** Default 31337. */
  readonly chainId?: number;
  /** The rules of the chain, as Hardhat names them. Default `osaka`. */
  readonly hardfork?: string;
}

/**
 * Starts the chain and answers once it listens, on loopback alone. It ends with this process however that ends.
 * @throws Error if the process ends or says nothing before it listens
 */
export async function startChain(options: LocalChainOptions = {}): Promise<LocalChain> {
  const { port = 0, chainId = 31337, hardfork = 'osaka' } = options;
  const args = [String(port), String(chainId), hardfork];
  const { says, ...child } = await startChild('the local chain', ['chain-process.ts', ...args], {
    env: { HARDHAT_DISABLE_TELEMETRY: 'true' },
  });
  return { ...child, url: Said.parse(says).url };
}
