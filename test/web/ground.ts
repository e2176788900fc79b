// The service as it runs, with a chain of its own, and the verifier page as somebody has saved it.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { pino } from 'pino';
import type { Page } from 'playwright-core';
import { LOCAL_CHAIN_KEY } from '../../scripts/local/chain.ts';
import { readConfig } from '../../src/config.ts';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { serve } from '../../src/main.ts';
import { bundlePage } from '../../src/pages/bundle.ts';
import { type Foundation, openFoundation, realEffects } from '../../src/start/foundation.ts';
import { testChain } from '../support/chain.ts';
import { testDatabase } from '../support/postgres.ts';

export interface WebGround extends AsyncDisposable {
  /** Of the service. */
  readonly url: string;
  /** Of the chain's node. */
  readonly rpc: string;
  /** The verifier page on disk, a `file:` URL. */
  readonly verifier: string;
  readonly folder: string;
  readonly foundation: Foundation;
}

/** Public nodes and Esplora servers answer pages of other sites; the local chain does not. */
export async function answerOtherSites(page: Page, url: string): Promise<void> {
  await page.route(`${url}/**`, async (route) => {
    const { origin: _, ...headers } = route.request().headers();
    const response = await route.fetch({ headers });
    await route.fulfill({ response, headers: { ...response.headers(), 'access-control-allow-origin': '*' } });
  });
}

/** @param open false: the pages ask for an API key */
export async function webGround({ open = true } = {}): Promise<WebGround> {
  const [database, chain, folder] = await Promise.all([
    testDatabase(),
    testChain(),
    mkdtemp(join(tmpdir(), 'antequem-web-')),
  ]);
  await deployAnchor({ provider: chain.provider, signer: chain.wallet, dryRun: false });
  const verifier = join(folder, 'verify.html');
  await Promise.all([
    writeFile(join(folder, 'seed'), '5e'.repeat(32)),
    writeFile(join(folder, 'key'), LOCAL_CHAIN_KEY),
    bundlePage('verify').then((html) => writeFile(verifier, html)),
  ]);
  const config = readConfig({
    DATABASE_URL: database.url,
    ORIGIN: 'web.test',
    LOG_SEED_FILE: join(folder, 'seed'),
    PORT: '0',
    ROUND_INTERVAL: '500ms',
    RECONCILE_INTERVAL: '1s',
    EVM_RPC_URLS: chain.url,
    EVM_CHAIN_ID: '31337',
    EVM_PRIVATE_KEY_FILE: join(folder, 'key'),
  });
  const targets = config.targets.map((target) => ({ ...target, ephemeral: true }));
  const service = await serve({ ...config, open, targets }, pino({ level: 'silent' }));
  const foundation = await openFoundation(config, realEffects);
  return {
    url: service.url ?? '',
    rpc: chain.url,
    verifier: pathToFileURL(verifier).href,
    folder,
    foundation,
    [Symbol.asyncDispose]: async () => {
      await service.stop();
      await foundation.close();
      await chain[Symbol.asyncDispose]();
      await database.drop();
      await rm(folder, { recursive: true });
    },
  };
}
