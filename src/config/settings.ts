// The forms of settings, with the messages for other input.

import { z } from 'zod';

/** What a timer can wait for. */
const MAX_DURATION = 2 ** 31 - 1;
const UNITS = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

/** A duration such as `500ms`, `30s`, `10m`, `24h`, as milliseconds. */
export const duration = z
  .string('not a duration: write 500ms, 30s, 10m or 24h')
  .regex(/^\d{1,10}(ms|s|m|h)$/, { error: 'not a duration: write 500ms, 30s, 10m or 24h', abort: true })
  .transform((text) => Number.parseInt(text, 10) * (UNITS.get(text.replace(/^\d+/, '')) ?? 0))
  .refine((ms) => ms >= 1 && ms <= MAX_DURATION, 'not from 1ms to 596h');

/** Digits alone. (JavaScript would read white space and 0x10 as numbers, too.) */
export const wholeNumber = (least: number, most: number, what: string) =>
  z
    .string()
    .regex(/^\d{1,16}$/, { error: what, abort: true })
    .transform(Number)
    .refine((value) => value >= least && value <= most, what);

export const url = (...schemes: string[]) => {
  const what = `not a URL with ${schemes.join(':// or ')}://`;
  return z
    .string(what)
    .refine((text) => URL.canParse(text) && schemes.includes(new URL(text).protocol.slice(0, -1)), what);
};

/** The parts of a list with commas. */
export const list = (text: string): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

/** Digits with a decimal point, in the smallest unit: `0.05` with 9 decimals is 50,000,000. */
function unitsOf(text: string, decimals: number): bigint {
  const [whole = '', fraction = ''] = text.split('.');
  return BigInt(whole + fraction.padEnd(decimals, '0'));
}

/** An amount such as 30 or 0.05, with so many decimals at most, above 0, in the unit that has them. */
const amount = (decimals: number, what: string) =>
  z
    .union([z.string(), z.number().transform(String)], what)
    .refine((text) => new RegExp(`^\\d{1,9}(\\.\\d{1,${decimals}})?$`).test(text), { error: what, abort: true })
    .transform((text) => unitsOf(text, decimals))
    .refine((value) => value > 0n, 'must be above 0');

/** Wei. */
export const gwei = amount(9, 'not a fee in gwei, such as 30 or 0.05');
/** Wei. */
export const coins = amount(18, "not an amount of the chain's coin, such as 0.25");

export const address = z
  .string('not an address: 0x and 40 hex digits')
  .regex(/^0x[0-9a-fA-F]{40}$/, 'not an address: 0x and 40 hex digits');
