// Sources of Bitcoin headers from what people configure.

import type { HeaderSource } from '../core/bitcoin-source.ts';
import { AntequemError } from '../core/errors.ts';
import { endpoint } from './endpoint.ts';
import { type EsploraOptions, esploraClient } from './esplora.ts';
import { type NodeOptions, nodeClient } from './node.ts';
import { chainOf, type HeaderClient, sourceOf } from './source.ts';

/**
 * Bitcoin Core's JSON-RPC, for one chain. Asks nothing yet.
 * @param url may hold user and password
 * @throws FormatError `bitcoin-url`
 */
export function nodeSource(url: string, chain: string, options: NodeOptions = {}): HeaderSource {
  return sourceOf(nodeClient(url, options), chain);
}

/** Esplora's HTTP API, for one chain. Asks nothing yet. @throws FormatError `bitcoin-url` */
export function esploraSource(url: string, chain: string, options: EsploraOptions = {}): HeaderSource {
  return sourceOf(esploraClient(url, options), chain);
}

/**
 * A source of either kind, found out by asking, for the chain that it follows.
 * @throws FormatError `bitcoin-url`; AntequemError `bitcoin-login`, and `bitcoin-failed` where it answers as neither
 */
export async function openSource(url: string, options: NodeOptions = {}): Promise<HeaderSource> {
  const node = nodeClient(url, options);
  const { host, login } = endpoint(url);
  // A login is never tried on what may be somebody else's Esplora server.
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
  const why = failures.map((error) => (error instanceof Error ? error.message : String(error))).join('; ');
  throw new AntequemError('bitcoin-failed', `${host} is no source of Bitcoin headers: ${why}`);
}
