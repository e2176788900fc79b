import { JsonRpcProvider, Wallet } from 'ethers';
import { LOCAL_CHAIN_KEY, startChain } from '../../scripts/local/chain.ts';

export interface TestChain extends AsyncDisposable {
  readonly url: string;
  readonly provider: JsonRpcProvider;
  /** Account 0, funded. */
  readonly wallet: Wallet;
}

/** A real chain of its own; `await using` ends it. */
export async function testChain(): Promise<TestChain> {
  const { url, stop } = await startChain();
  const provider = openProvider(url);
  const dispose = async (): Promise<void> => {
    provider.destroy();
    await stop();
  };
  return { url, provider, wallet: new Wallet(LOCAL_CHAIN_KEY, provider), [Symbol.asyncDispose]: dispose };
}

export function openProvider(url: string, chainId = 31337): JsonRpcProvider {
  return new JsonRpcProvider(url, chainId, { staticNetwork: true, cacheTimeout: -1, pollingInterval: 20 });
}
