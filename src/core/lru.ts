/** What a cache remembers. */
interface Kept<V> {
  readonly value: V;
  readonly weight: number;
  readonly forget: () => void;
}

/** A bound on what several caches keep together: what was used least recently goes first, whichever has it. */
export class SharedLimit {
  readonly #limit: number;
  /** In the order of their last use. */
  readonly #kept = new Set<Kept<unknown>>();
  #weight = 0;

  /** @param limit on the sum of weights */
  constructor(limit: number) {
    this.#limit = limit;
  }

  use(kept: Kept<unknown>): void {
    // A set keeps insertion order: this makes it the newest.
    this.#kept.delete(kept);
    this.#kept.add(kept);
  }

  add(kept: Kept<unknown>): void {
    this.#kept.add(kept);
    this.#weight += kept.weight;
    for (const oldest of this.#kept) {
      if (this.#weight <= this.#limit || oldest === kept) break;
      oldest.forget();
    }
  }

  remove(kept: Kept<unknown>): void {
    if (this.#kept.delete(kept)) this.#weight -= kept.weight;
  }
}

/** Keeps the most recently used values, up to a bound on the sum of their weights. */
export class LruCache<K, V> {
  readonly #entries = new Map<K, Kept<V>>();
  readonly #limit: SharedLimit;

  /** @param limit on the sum of weights, of its own or with other caches; by default a value weighs 1 */
  constructor(limit: number | SharedLimit) {
    this.#limit = typeof limit === 'number' ? new SharedLimit(limit) : limit;
  }

  get(key: K): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#limit.use(entry);
    return entry.value;
  }

  set(key: K, value: V, weight = 1): void {
    this.delete(key);
    const entry = { value, weight, forget: () => this.delete(key) };
    this.#entries.set(key, entry);
    this.#limit.add(entry);
  }

  /** The value under the key, or the one that `make` returns, which is kept. */
  getOrMake(key: K, make: () => V): V {
    const kept = this.get(key);
    if (kept !== undefined) return kept;
    const made = make();
    this.set(key, made);
    return made;
  }

  delete(key: K): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#limit.remove(entry);
  }
}
