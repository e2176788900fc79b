import { createHash } from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';
import type { Response } from 'express';
import type { Decision, Quota } from '../access/quota.ts';
import { Problem } from './problem.ts';

/** The one policy, as the fields name it. */
const NAME = '"requests"';

/**
 * Takes a request off its caller's quota and says so in the answer (draft-ietf-httpapi-ratelimit-headers-10: `q` requests
 * in `w` seconds, `r` left, `t` seconds until there are more).
 * @throws Problem 429 `rate-limited`
 */
export function charge(quota: Quota, owner: string, response: Response | undefined): void | Promise<void> {
  const decision = quota.take(owner);
  return decision instanceof Promise
    ? decision.then((decided) => tell(quota, decided, response))
    : tell(quota, decision, response);
}

function tell({ policy }: Quota, { allowed, remaining, resets }: Decision, response: Response | undefined): void {
  const seconds = Math.max(1, Math.ceil(resets / 1_000));
  response?.setHeader('RateLimit-Policy', `${NAME};q=${policy.requests};w=${policy.seconds}`);
  response?.setHeader('RateLimit', `${NAME};r=${remaining};t=${seconds}`);
  if (allowed) return;
  throw new Problem(
    'rate-limited',
    `this API key may make ${policy.requests} requests in ${policy.seconds} s: try again in ${seconds} s`,
    { 'Retry-After': String(seconds) },
  );
}

export interface AddressRateOptions {
  /** Requests an address has back in a minute, and may make at once after a rest. */
  readonly perMinute: number;
  /** Milliseconds, of a clock that does not jump. */
  readonly now: () => number;
  /** Secret, so that no address can be chosen to share the bucket of another. */
  readonly secret: Uint8Array;
}

const BUCKETS = 1 << 16;

/**
 * Limits how often an address may ask, in one megabyte for any number of addresses: they share buckets by a keyed hash. An
 * IPv6 subscriber has 2^64 addresses, so the first half alone counts.
 */
export class AddressRate {
  readonly #options: AddressRateOptions;
  readonly #left: Float64Array;
  readonly #at: Float64Array;

  constructor(options: AddressRateOptions) {
    this.#options = options;
    this.#left = new Float64Array(BUCKETS).fill(options.perMinute);
    this.#at = new Float64Array(BUCKETS).fill(options.now());
  }

  /** Counts a request. @returns seconds to wait before the next, where this one is too many; else null */
  take(address: string): number | null {
    const { bucket, at, left } = this.#look(address);
    this.#at[bucket] = at;
    this.#left[bucket] = left < 1 ? left : left - 1;
    return this.#pause(left);
  }

  /** The same without counting one. */
  wait(address: string): number | null {
    return this.#pause(this.#look(address).left);
  }

  #look(address: string): { readonly bucket: number; readonly at: number; readonly left: number } {
    const { perMinute, now, secret } = this.#options;
    const bucket = createHash('sha256').update(secret).update(subscriberOf(address)).digest().readUInt16BE(0);
    const at = now();
    const gained = ((at - (this.#at[bucket] ?? at)) * perMinute) / 60_000;
    return { bucket, at, left: Math.min(perMinute, (this.#left[bucket] ?? 0) + gained) };
  }

  #pause(left: number): number | null {
    return left < 1 ? Math.ceil(((1 - left) * 60) / this.#options.perMinute) : null;
  }
}

/** Whom an address belongs to: itself, or for IPv6 its first 64 bits. */
export function subscriberOf(address: string): string {
  const bare = address.replace(/%.*$/, '');
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1];
  if (mapped !== undefined && isIPv4(mapped)) return mapped;
  if (!isIPv6(bare)) return address;
  const [head = '', tail] = bare.toLowerCase().split('::');
  const groups = head === '' ? [] : head.split(':');
  const behind = tail === undefined || tail === '' ? 0 : tail.split(':').length + (tail.includes('.') ? 1 : 0);
  const missing = tail === undefined ? 0 : 8 - groups.length - behind;
  const whole = [...groups, ...new Array<string>(missing).fill('0'), ...(tail ?? '').split(':')];
  return whole
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
}
