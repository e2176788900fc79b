// Whether the service is an OpenTimestamps calendar to others, and how it is reached as one.

import { isIP } from 'node:net';
import { z } from 'zod';
import { list, wholeNumber } from './settings.ts';

export interface OwnCalendarConfig {
  /** What pending attestations name: scheme, host and port. */
  readonly uri: string;
  /** Digests a minute that one address may send. */
  readonly perMinute: number;
}

const URL_FORM = 'not scheme, host and port of a calendar, such as https://calendar.example.org';
const PROXIES = 'not a list of addresses or networks, such as 10.0.0.0/8, or loopback, linklocal, uniquelocal';

/** The variables of the environment. */
export const ownCalendarVariables = {
  CALENDAR: z
    .enum(['on', 'off'], 'not on or off')
    .default('off')
    .describe(
      'Whether the service is an OpenTimestamps calendar, where everybody may stamp digests without a key. Local mode turns it on.',
    ),
  CALENDAR_URL: z
    .string()
    .regex(/^https?:\/\/[A-Za-z0-9.-]{1,253}(:\d{1,5})?$/, URL_FORM)
    .optional()
    .describe(
      'Scheme, host and port at which clients reach the calendar. The default is `https://` and the host of `ORIGIN`.',
    ),
  CALENDAR_RATE: wholeNumber(1, 1_000_000, 'not a whole number from 1 to 1000000')
    .default(600)
    .describe(
      'How many digests one address (in IPv6 one /64) may stamp in a minute. It may ask for timestamps four times as often.',
    ),
  TRUSTED_PROXIES: z
    .string()
    .transform(list)
    .refine((all) => all.every(isNetwork), PROXIES)
    .default([])
    .describe('Proxies whose `X-Forwarded-For` names the client: addresses, networks or `loopback`.'),
};

function isNetwork(text: string): boolean {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(text)) return true;
  const [address = '', bits, ...more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || more.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}

type Variables = z.output<z.ZodObject<typeof ownCalendarVariables>> & { readonly ORIGIN: string };

/** Settings that only make sense together. */
export function ownCalendarFaults(set: Readonly<Record<string, string | undefined>>): string[] {
  if (set.CALENDAR !== 'on') return [];
  const faults: string[] = [];
  if (set.OTS_CALENDARS === undefined) {
    faults.push('OTS_CALENDARS: must be set beside CALENDAR=on, or stamps would never reach Bitcoin');
  }
  if (set.CALENDAR_URL === undefined && set.ORIGIN?.includes('/') === true) {
    faults.push(
      'CALENDAR_URL: must be set beside CALENDAR=on because ORIGIN has a path and a calendar cannot have one',
    );
  }
  return faults;
}

/** Null: it is off. */
export function ownCalendarOf(data: Variables): OwnCalendarConfig | null {
  if (data.CALENDAR === 'off') return null;
  return { uri: data.CALENDAR_URL ?? `https://${data.ORIGIN.split('/')[0]}`, perMinute: data.CALENDAR_RATE };
}
