import { LruCache } from '../core/lru.ts';

// How much a caller may ask in a time. Counted in windows; shared by all processes where there is a Redis, which is asked
// for a hundredth of the quota at a time, so that few requests wait for it. Where it does not answer, each process
// counts by itself: a limit must not become an outage.

/** A quota as it is configured. */
export interface QuotaPolicy {
  /** Requests in one window. */
  readonly requests: number;
  readonly seconds: number;
}

/** Where the count of all processes is kept. */
export interface SharedQuota {
  /** Takes up to `wanted` requests off a caller's window. Rejects where it cannot tell soon. */
  take(owner: string, wanted: number): Promise<Grant>;
  close(): void;
}

export interface Grant {
  readonly granted: number;
  /** What the window has left after that, for any process. */
  readonly left: number;
  /** Milliseconds until the next window. */
  readonly resets: number;
}

/** Whether a request may go on, and where its caller stands. */
export interface Decision {
  readonly allowed: boolean;
  readonly remaining: number;
  /** Milliseconds until the next window. */
  readonly resets: number;
}

/** What this process holds of a caller's window. */
interface Purse {
  held: number;
  left: number;
  until: number;
  fetching: Promise<void> | null;
}

const SHARES = 100;
const MOST_PURSES = 20_000;
/** Milliseconds for which a store that failed is not asked. */
const DISTRUST = 5_000;

export class Quota {
  readonly policy: QuotaPolicy;
  readonly #shared: SharedQuota | null;
  readonly #clock: () => number;
  readonly #share: number;
  readonly #purses = new LruCache<string, Purse>(MOST_PURSES);
  #failedAt = Number.NEGATIVE_INFINITY;

  /** @param clock milliseconds that only grow */
  constructor(policy: QuotaPolicy, shared: SharedQuota | null, clock: () => number = () => performance.now()) {
    this.policy = policy;
    this.#shared = shared;
    this.#clock = clock;
    this.#share = Math.max(1, Math.floor(policy.requests / SHARES));
  }

  /** Takes one request off a caller's quota. A promise only where the shared count must be asked first. */
  take(owner: string): Decision | Promise<Decision> {
    return this.#decide(owner) ?? this.#ask(owner);
  }

  close(): void {
    this.#shared?.close();
  }

  /** Null: what is held does not tell. */
  #decide(owner: string): Decision | null {
    const purse = this.#purse(owner);
    const now = this.#clock();
    if (now >= purse.until) {
      if (this.#trusted(now) !== null) return null;
      this.#refill(purse, { granted: this.policy.requests, left: 0, resets: this.policy.seconds * 1_000 });
    }
    const resets = purse.until - now;
    if (purse.held > 0) {
      purse.held--;
      if (purse.left > 0 && purse.held < this.#share / 2) void this.#fetch(owner, purse);
      return { allowed: true, remaining: purse.held + purse.left, resets };
    }
    return purse.left > 0 ? null : { allowed: false, remaining: 0, resets };
  }

  async #ask(owner: string): Promise<Decision> {
    for (;;) {
      await this.#fetch(owner, this.#purse(owner));
      const decision = this.#decide(owner);
      if (decision !== null) return decision;
    }
  }

  #fetch(owner: string, purse: Purse): Promise<void> {
    const shared = this.#trusted(this.#clock());
    if (shared === null) {
      // What was left of the window when last heard of is counted here.
      purse.held += purse.left;
      purse.left = 0;
      return Promise.resolve();
    }
    purse.fetching ??= shared
      .take(owner, this.#share)
      .then(
        (grant) => this.#refill(purse, grant),
        () => {
          this.#failedAt = this.#clock();
        },
      )
      .finally(() => {
        purse.fetching = null;
      });
    return purse.fetching;
  }

  #refill(purse: Purse, { granted, left, resets }: Grant): void {
    const now = this.#clock();
    purse.held = (now < purse.until ? purse.held : 0) + granted;
    purse.left = left;
    purse.until = now + resets;
  }

  #trusted(now: number): SharedQuota | null {
    return now - this.#failedAt < DISTRUST ? null : this.#shared;
  }

  #purse(owner: string): Purse {
    return this.#purses.getOrMake(owner, () => ({ held: 0, left: 0, until: Number.NEGATIVE_INFINITY, fetching: null }));
  }
}
