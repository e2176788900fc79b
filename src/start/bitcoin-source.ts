import { agreeing, esploraSource, nodeSource } from '../bitcoin/header-sources.ts';
import type { BitcoinConfig } from '../config/calendars.ts';
import type { HeaderSource } from '../core/bitcoin-source.ts';

/** All configured sources of Bitcoin headers as one; they must agree. Null: none is configured. */
export function bitcoinSource({ chain, rpcUrls, esploraUrls, cookieFile }: BitcoinConfig): HeaderSource | null {
  const sources = [
    ...rpcUrls.map((url) => nodeSource(url, chain, cookieFile === null ? {} : { cookieFile })),
    ...esploraUrls.map((url) => esploraSource(url, chain)),
  ];
  return sources.length === 0 ? null : agreeing(sources);
}
