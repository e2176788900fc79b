// Sources of Bitcoin headers by their URLs.

import type { BitcoinBlock, HeaderSource } from '../core/bitcoin-source.ts';
import { AntequemError, messageOf } from '../core/errors.ts';
import { endpoint } from './endpoint.ts';
import { type EsploraOptions, esploraClient } from './esplora.ts';
import { type BitcoinNodeOptions, nodeClient } from './node.ts';
import { chainOf, type HeaderClient, sourceOf } from './source.ts';

/**
 * Bitcoin Core's JSON-RPC, for one chain. Makes no request yet.
 * @param url may hold user and password
 * @throws FormatError `bitcoin-url`
 */
export function nodeSource(url: string, chain: string, options: BitcoinNodeOptions = {}): HeaderSource {
  return sourceOf(nodeClient(url, options), chain);
}

/** Esplora's HTTP API, for one chain. Makes no request yet. @throws FormatError `bitcoin-url` */
export function esploraSource(url: string, chain: string, options: EsploraOptions = {}): HeaderSource {
  return sourceOf(esploraClient(url, options), chain);
}

/**
 * Finds out by asking which kind of source a URL is, and which chain it follows.
 * @throws FormatError `bitcoin-url`; AntequemError `bitcoin-login`, and `bitcoin-failed` where it answers as neither
 */
export async function openSource(url: string, options: BitcoinNodeOptions = {}): Promise<HeaderSource> {
  const node = nodeClient(url, options);
  const { host, login } = endpoint(url);
  // A login is meant for a node: it is not sent to an Esplora server.
  const clients: HeaderClient[] = [node];
  if (options.cookieFile === undefined && login === null) clients.push(esploraClient(url, options));
  const failures: unknown[] = [];
  for (const client of clients) {
    try {
      return sourceOf(client, await chainOf(client));
    } catch (error) {
      if (error instanceof AntequemError && error.code === 'bitcoin-login') throw error;
      failures.push(error);
    }
  }
  const why = failures.map((error) => messageOf(error)).join('; ');
  throw new AntequemError('bitcoin-failed', `${host} is not a source of Bitcoin headers: ${why}`);
}

/**
 * Several sources as one. It fails if one of them fails. It has a block once all have it, and the lowest of their heights.
 * `header` also throws AntequemError `bitcoin-disagreement` where two sources have different blocks at a height.
 * @throws AntequemError `bitcoin-source-missing` without a source, `bitcoin-chain` where they are for different chains
 */
export function agreeing(sources: readonly HeaderSource[]): HeaderSource {
  const [first, ...others] = sources;
  if (first === undefined)
    throw new AntequemError('bitcoin-source-missing', 'no source of Bitcoin headers is configured');
  if (others.length === 0) return first;
  for (const other of others) {
    if (other.chain === first.chain) continue;
    const both = `${first.describe()} is for ${first.chain}, ${other.describe()} for ${other.chain}`;
    throw new AntequemError('bitcoin-chain', `the sources of Bitcoin headers are for different chains: ${both}`);
  }
  return {
    grounds: sources.some(({ grounds }) => grounds === 'bitcoin-node') ? 'bitcoin-node' : 'esplora',
    chain: first.chain,
    describe: () => sources.map((source) => source.describe()).join(' and '),
    async header(height) {
      const blocks = await Promise.all(sources.map((source) => source.header(height)));
      let agreed: BitcoinBlock | null = null;
      for (const [i, block] of blocks.entries()) {
        if (block === null) return null;
        if (agreed !== null && agreed.hash !== block.hash) {
          const both = `${first.describe()} has ${agreed.hash}, ${sources[i]?.describe()} has ${block.hash}`;
          throw new AntequemError('bitcoin-disagreement', `no agreement on block ${height}: ${both}`);
        }
        agreed ??= block;
      }
      return agreed;
    },
    height: async () => Math.min(...(await Promise.all(sources.map((source) => source.height())))),
  };
}
