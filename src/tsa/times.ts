// The times of tokens and certificates: GeneralizedTime and UTCTime, in UTC alone.

import { MAX_TIME } from '../core/time.ts';
import { type Asn1, asciiText, asn1Fault, TAG } from './asn1.ts';

export interface TokenTime {
  /** Milliseconds since the Unix epoch, what is finer cut off. */
  readonly ms: number;
  /** Whether something finer was cut off. */
  readonly finer: boolean;
}

/**
 * `YYYYMMDDhhmmss[.s…]Z` (RFC 3161 section 2.4.2): fractions of seconds of any length.
 * @throws FormatError `token-invalid`
 */
export function generalizedTime(node: Asn1, what: string): TokenTime {
  const text = asciiText(node, what);
  const [, digits = '', fraction = ''] =
    (node.tag === TAG.generalizedTime && /^(\d{14})(?:\.(\d+))?Z$/.exec(text)) || [];
  const millis = Number(fraction.slice(0, 3).padEnd(3, '0'));
  return { ms: timeOf(digits, what) + millis, finer: /[1-9]/.test(fraction.slice(3)) };
}

/** Milliseconds of a certificate's time: `YYMMDDhhmmssZ` from 1950 to 2049, or GeneralizedTime (RFC 5280 section 4.1.2.5). */
export function certificateTime(node: Asn1): number {
  const what = 'a time of a certificate';
  if (node.tag !== TAG.utcTime) return generalizedTime(node, what).ms;
  const [, digits = ''] = /^(\d{12})Z$/.exec(asciiText(node, what)) ?? [];
  return timeOf(`${Number(digits.slice(0, 2)) < 50 ? '20' : '19'}${digits}`, what);
}

function timeOf(digits: string, what: string): number {
  const iso = digits.replace(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/, '$1-$2-$3T$4:$5:$6.000Z');
  const ms = iso.length === 24 ? Date.parse(iso) : Number.NaN;
  // 30 February would be another day.
  if (Number.isNaN(ms) || new Date(ms).toISOString() !== iso || ms > MAX_TIME) {
    throw asn1Fault(`${what} is not a time in UTC`);
  }
  return ms;
}
