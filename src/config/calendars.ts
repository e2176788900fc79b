// The OpenTimestamps calendars that stamp rounds, and the sources of Bitcoin headers.

import { z } from 'zod';
import { BITCOIN } from '../core/bitcoin-header.ts';
import { list, url, wholeNumber } from './settings.ts';

export interface CalendarConfig {
  /** Digests are submitted there; without a slash at the end. */
  readonly url: string;
  /** Further URLs that its answers may name as the calendar to ask later. */
  readonly uris: readonly string[];
}

export interface OtsConfig {
  readonly name: string;
  readonly calendars: readonly CalendarConfig[];
  /** How many calendars must have answered for a round to count as submitted. */
  readonly minCalendars: number;
  /** Whether calendars and chain are those of a development machine, where blocks come quickly. */
  readonly ephemeral: boolean;
}

export interface BitcoinConfig {
  /** CAIP-2; sources of other chains are never used. */
  readonly chain: string;
  /** JSON-RPC of Bitcoin nodes; may hold user and password. */
  readonly rpcUrls: readonly string[];
  readonly esploraUrls: readonly string[];
  /** Used for nodes instead of user and password in their URLs; null: none. */
  readonly cookieFile: string | null;
  /** Blocks, including the one with the anchor, after which an anchor counts as confirmed. */
  readonly confirmations: number;
}

const MOST_CALENDARS = 16;
const MIN_CALENDARS = 2;
const CONFIRMATIONS = 6;
const CALENDARS = 'not a list of calendars: https://calendar.example, or https://pool.example=https://calendar.example';
const CALENDAR_URL = /^https?:\/\/[A-Za-z0-9._/:-]+$/;

const calendar = z.string().transform((text, context): CalendarConfig => {
  const [first, ...uris] = text.split('=').map((part) => part.trim().replace(/\/+$/, ''));
  if (first === undefined || [first, ...uris].some((part) => !isCalendarUrl(part))) {
    context.addIssue({ code: 'custom', message: CALENDARS });
    return z.NEVER;
  }
  return { url: first, uris: [...new Set(uris)].filter((uri) => uri !== first) };
});

/** Without user, password and query, which a pending attestation cannot name. */
function isCalendarUrl(text: string): boolean {
  return text.length <= 1_000 && CALENDAR_URL.test(text) && URL.canParse(text);
}

const urls = z
  .string()
  .transform(list)
  .pipe(z.array(url('http', 'https')).min(1, 'not a URL with http:// or https://'));

/** The variables of the environment. */
export const otsVariables = {
  OTS_CALENDARS: z
    .string()
    .transform(list)
    .pipe(
      z
        .array(calendar)
        .min(1, CALENDARS)
        .max(MOST_CALENDARS, `more than ${MOST_CALENDARS} calendars`)
        .refine((all) => new Set(all.map((each) => each.url)).size === all.length, 'names a calendar twice'),
    )
    .optional()
    .describe(
      'OpenTimestamps calendars to stamp every round, with commas; `=` and further URLs behind one that answers under other names.',
    ),
  OTS_MIN_CALENDARS: wholeNumber(1, MOST_CALENDARS, `not a whole number from 1 to ${MOST_CALENDARS}`)
    .optional()
    .describe('How many of them must answer for a round to count as submitted; by default two, or the one.'),
  BITCOIN_RPC_URL: urls
    .optional()
    .describe('JSON-RPC of Bitcoin nodes, with commas, to look up the headers that calendars name.'),
  BITCOIN_ESPLORA_URL: urls.optional().describe('Or block explorers with the Esplora API.'),
  BITCOIN_COOKIE_FILE: z
    .string()
    .min(1)
    .optional()
    .describe('The cookie file of the node, in place of user and password in its URL.'),
  BITCOIN_CONFIRMATIONS: wholeNumber(1, 1_000, 'not a whole number from 1 to 1000')
    .default(CONFIRMATIONS)
    .describe('Blocks, the one with the anchor included, from which on it counts as confirmed.'),
  BITCOIN_CHAIN: z
    .string()
    .regex(/^bip122:[0-9a-f]{32}$/, 'not the CAIP-2 id of a Bitcoin chain: bip122: and 32 hex digits')
    .default(BITCOIN)
    .describe('The CAIP-2 id of the chain: no source on another is ever used.'),
};

type Variables = z.output<z.ZodObject<typeof otsVariables>>;
type Given = Readonly<Record<string, string | undefined>>;

/** Faults in settings that depend on each other. */
export function otsFaults(set: Given, data: Variables | undefined): string[] {
  const faults: string[] = [];
  if (set.OTS_MIN_CALENDARS !== undefined && set.OTS_CALENDARS === undefined) {
    faults.push('OTS_CALENDARS: must be set beside OTS_MIN_CALENDARS');
  }
  const { OTS_CALENDARS: calendars, OTS_MIN_CALENDARS: least } = data ?? {};
  if (calendars !== undefined && least !== undefined && least > calendars.length) {
    faults.push(`OTS_MIN_CALENDARS: ${least} of ${calendars.length} calendars can never answer`);
  }
  if (set.BITCOIN_COOKIE_FILE !== undefined && set.BITCOIN_RPC_URL === undefined) {
    faults.push('BITCOIN_RPC_URL: must be set beside BITCOIN_COOKIE_FILE');
  }
  return faults;
}

/** Null: no calendars are configured. */
export function otsOf(data: Variables): OtsConfig | null {
  const { OTS_CALENDARS: calendars, OTS_MIN_CALENDARS: least, BITCOIN_CHAIN: chain } = data;
  if (calendars === undefined) return null;
  return {
    // Each Bitcoin chain has a target of its own.
    name: chain === BITCOIN ? 'opentimestamps' : `opentimestamps-${chain.slice('bip122:'.length).slice(0, 8)}`,
    calendars,
    minCalendars: least ?? Math.min(MIN_CALENDARS, calendars.length),
    ephemeral: false,
  };
}

export function bitcoinOf(data: Variables): BitcoinConfig {
  return {
    chain: data.BITCOIN_CHAIN,
    rpcUrls: data.BITCOIN_RPC_URL ?? [],
    esploraUrls: data.BITCOIN_ESPLORA_URL ?? [],
    cookieFile: data.BITCOIN_COOKIE_FILE ?? null,
    confirmations: data.BITCOIN_CONFIRMATIONS,
  };
}
