import { JsonRpcProvider, Wallet } from 'ethers';
import { LOCAL_CHAIN_KEY, type LocalChainOptions, startChain } from '../../scripts/local/chain.ts';
import { ANCHOR_ADDRESS, ANCHOR_INIT_CODE } from '../../src/evm/anchor-contract.ts';

export interface TestChain extends AsyncDisposable {
  readonly url: string;
  readonly provider: JsonRpcProvider;
  /** Account 0, funded. */
  readonly wallet: Wallet;
}

/** A real chain of its own; `await using` ends it. */
export async function testChain(options: LocalChainOptions = {}): Promise<TestChain> {
  const { url, stop } = await startChain(options);
  const provider = openProvider(url);
  const dispose = async (): Promise<void> => {
    provider.destroy();
    await stop();
  };
  return { url, provider, wallet: new Wallet(LOCAL_CHAIN_KEY, provider), [Symbol.asyncDispose]: dispose };
}

/** Puts the contract where it stands on every chain: under Amsterdam's rules the deployment proxy cannot get there. */
export async function placeContract(provider: JsonRpcProvider): Promise<void> {
  const code: unknown = await provider.send('eth_call', [{ data: ANCHOR_INIT_CODE }, 'latest']);
  await provider.send('hardhat_setCode', [ANCHOR_ADDRESS, code]);
}

export function openProvider(url: string, chainId = 31337): JsonRpcProvider {
  return new JsonRpcProvider(url, chainId, { staticNetwork: true, cacheTimeout: -1, pollingInterval: 20 });
}
