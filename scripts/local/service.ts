import { createServer } from 'node:http';
import { JsonRpcProvider, Wallet } from 'ethers';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { migrate } from '../../src/store/migrate.ts';
import { LOCAL_CHAIN_KEY } from './chain.ts';
import type { Ground, Service } from './launcher.ts';

/** Puts the contract on the local chain, with the account that every such chain has. */
async function deployContract(rpcUrl: string): Promise<string> {
  // Without a cache: the chain mines at once, and what was asked a moment ago is old.
  const provider = new JsonRpcProvider(rpcUrl, undefined, { cacheTimeout: -1 });
  try {
    const signer = new Wallet(LOCAL_CHAIN_KEY, provider);
    return (await deployAnchor({ provider, signer, dryRun: false })).address;
  } finally {
    provider.destroy();
  }
}

/** The service of local mode, in this process. */
export async function startService(ground: Ground): Promise<Service> {
  const [contract] = await Promise.all([deployContract(ground.evmRpcUrl), migrate(ground.databaseUrl)]);
  // WIRE: `serve(config, deps)` of src/main.ts takes the place of this server.
  const server = createServer((_request, response) => response.end('antequem\n'));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(ground.port, '127.0.0.1', () => resolve());
  });
  return {
    url: `http://127.0.0.1:${ground.port}`,
    contract,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
  };
}
