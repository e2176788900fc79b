// The public keys that COSE receipts of listed logs are verified with.

import { encodeCoseKeySet } from '../core/cose-key.ts';
import type { Database } from '../store/database.ts';
import { listedLogs } from './listing.ts';
import type { Registry } from './registry.ts';

/** Milliseconds that an answer is used again: keys are derived for it, and anybody may ask. */
const SHOWN_MS = 10_000;

/** Keys as COSE Key Sets (RFC 9052 section 7). */
export class ReceiptKeys {
  readonly #database: Database;
  readonly #registry: Registry;
  readonly #now: () => number;
  #found: { readonly at: number; readonly keys: Promise<readonly Uint8Array[]> } | null = null;

  /** @param now a clock that never jumps, milliseconds */
  constructor(database: Database, registry: Registry, now: () => number) {
    this.#database = database;
    this.#registry = registry;
    this.#now = now;
  }

  /** All of them, logs by name and the oldest key first; retired ones as long as a seed still makes them. */
  async set(): Promise<Uint8Array> {
    return encodeCoseKeySet(await this.#keys());
  }

  /** The public keys, 32 bytes each. */
  async #keys(): Promise<readonly Uint8Array[]> {
    const now = this.#now();
    if (this.#found !== null && now - this.#found.at < SHOWN_MS) return this.#found.keys;
    const found = { at: now, keys: this.#read() };
    this.#found = found;
    found.keys.catch(() => {
      if (this.#found === found) this.#found = null;
    });
    return found.keys;
  }

  async #read(): Promise<readonly Uint8Array[]> {
    const logs = await listedLogs(this.#database);
    return (await this.#registry.derivable(logs)).map(({ cose }) => cose.publicKey);
  }
}
