// Calendars and sources of Bitcoin headers as the configuration describes them.

import type { Logger } from 'pino';
import { agreeing, esploraSource, nodeSource } from '../bitcoin/header-sources.ts';
import type { BitcoinConfig, OtsConfig } from '../config/calendars.ts';
import type { HeaderSource } from '../core/bitcoin-source.ts';
import { OtsTarget } from '../ots/target.ts';
import type { Database } from '../store/database.ts';

/** All that is configured as one, which must agree; null where nothing is. */
export function bitcoinSource({ chain, rpcUrls, esploraUrls, cookieFile }: BitcoinConfig): HeaderSource | null {
  const sources = [
    ...rpcUrls.map((url) => nodeSource(url, chain, cookieFile === null ? {} : { cookieFile })),
    ...esploraUrls.map((url) => esploraSource(url, chain)),
  ];
  return sources.length === 0 ? null : agreeing(sources);
}

/** The same for a verifier: a list of one, or of none. */
export function bitcoinSources(bitcoin: BitcoinConfig): HeaderSource[] {
  const source = bitcoinSource(bitcoin);
  return source === null ? [] : [source];
}

export interface CalendarsOutside {
  readonly database: Database;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  readonly logger: Logger;
}

/** The calendars that rounds are stamped by. Asks nobody yet. */
export function openCalendars(ots: OtsConfig, bitcoin: BitcoinConfig, outside: CalendarsOutside): OtsTarget {
  const { chain, confirmations } = bitcoin;
  return new OtsTarget({ ...ots, ...outside, chain, confirmations, source: bitcoinSource(bitcoin) });
}

/** Milliseconds from the close of a round to its confirmation in Bitcoin, as people may expect it; null: never. */
export function confirmationDelay(ots: OtsConfig | null, { rpcUrls, esploraUrls }: BitcoinConfig): number | null {
  if (ots === null || rpcUrls.length + esploraUrls.length === 0) return null;
  // Calendars wait for low fees, then for six blocks of ten minutes.
  return ots.ephemeral ? 60_000 : 3 * 3_600_000;
}
