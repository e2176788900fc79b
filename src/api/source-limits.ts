import { randomBytes } from 'node:crypto';
import type { EventEmitter } from 'node:events';
import { type BodyAccount, closingAccount, REQUEST_OVERLOADED } from './body.ts';
import { Problem } from './problem.ts';
import { AddressRate, subscriberOf } from './rate-limit.ts';

/** Of bodies that nobody has vouched for yet, all together; and of one source, or from one address. */
const MAX_BYTES = 64 << 20;
const MAX_SHARE_BYTES = 32 << 20;
/** Of one address to one source, in a minute. */
const MAX_FAILURES = 60;

/**
 * What requests to sources may take before it is known who sends them: memory for bodies, apart from that of callers with
 * keys, and failures. Nobody can use up what other sources or addresses have.
 */
export class SourceLimits {
  readonly #failures: AddressRate;
  readonly #held = new Map<string, number>();
  #left = MAX_BYTES;

  /** @param now milliseconds, of a clock that does not jump */
  constructor(now: () => number) {
    this.#failures = new AddressRate({ perMinute: MAX_FAILURES, now, secret: new Uint8Array(randomBytes(32)) });
  }

  /** Counts a request that was not its sender's. @param source its id; empty: of a source that is not there */
  failed(source: string, address: string): void {
    this.#failures.take(failureKey(source, address));
  }

  /** @throws Problem 503 `overloaded` after too many failures: a sender that is merely set up wrong tries again */
  admit(source: string, address: string): void {
    const wait = this.#failures.wait(failureKey(source, address));
    if (wait === null) return;
    const says = 'too many requests from this address were not signed by the sender of this source: try again later';
    throw new Problem('overloaded', says, { 'Retry-After': String(wait) });
  }

  /** An account for the body of a request: what it takes comes back when the response is over. */
  open(source: string, address: string, response: EventEmitter): BodyAccount {
    const keys = [`source ${source}`, `address ${subscriberOf(address)}`];
    return closingAccount(response, {
      take: (bytes) => {
        if (bytes > this.#left || keys.some((key) => this.#of(key) + bytes > MAX_SHARE_BYTES)) {
          throw new Problem('overloaded', REQUEST_OVERLOADED);
        }
        this.#give(keys, -bytes);
      },
      give: (bytes) => this.#give(keys, bytes),
    });
  }

  #of(key: string): number {
    return this.#held.get(key) ?? 0;
  }

  #give(keys: readonly string[], bytes: number): void {
    this.#left += bytes;
    for (const key of keys) {
      const held = this.#of(key) - bytes;
      if (held > 0) this.#held.set(key, held);
      else this.#held.delete(key);
    }
  }
}

function failureKey(source: string, address: string): string {
  return `${source} ${subscriberOf(address)}`;
}
