import type { ComposedReceipt } from '../anchor/receipts.ts';
import { toHex } from '../core/bytes.ts';
import { LruCache } from '../core/lru.ts';
import type { Log } from '../log/log.ts';
import type { Registry } from '../log/registry.ts';
import type { Notifications } from '../store/notifications.ts';
import { ownBuffer } from './own-buffer.ts';

/** Apart from what receipts are made of: that is ten times as long, and would drive them out. */
const CACHED_BYTES = 32 << 20;
/** What a remembered text has beside it: its key, the head, objects. */
const BESIDE_BYTES = 500;
/** Milliseconds after which all are forgotten where news fail to come. */
const PATIENCE = 10_000;

interface Settled {
  readonly text: Buffer;
  /** Of `_system` when it was made. */
  readonly head: string;
}

/**
 * The texts of receipts in which nothing is awaited. What could take one back, an erasure, is an entry of `_system`, so
 * one question about its head, asked once for all requests at a time, says whether they still hold.
 */
export class SettledReceipts {
  readonly #registry: Registry;
  readonly #compose: (log: Log, index: number) => Promise<ComposedReceipt>;
  #texts = new LruCache<string, Settled>(CACHED_BYTES);
  #forgetAt = 0;

  /** @param compose the receipt as it is to be sent now, with `expectedBy` */
  constructor(
    registry: Registry,
    notifications: Notifications,
    compose: (log: Log, index: number) => Promise<ComposedReceipt>,
  ) {
    this.#registry = registry;
    this.#compose = compose;
    notifications.onNews(() => this.#forget());
  }

  /** The JSON text. @throws what composing it throws */
  async text(log: Log, index: number): Promise<Buffer> {
    if (performance.now() >= this.#forgetAt) this.#forget();
    const texts = this.#texts;
    const key = `${log.id}/${index}`;
    const known = texts.get(key);
    if (known !== undefined) {
      const { size, root } = await this.#registry.head(this.#registry.system);
      if (known.head === `${size} ${toHex(root)}`) return known.text;
    }
    const { receipt, systemHead: head } = await this.#compose(log, index);
    const text = ownBuffer(JSON.stringify(receipt));
    if (head !== null && 'round' in receipt && receipt.expectedBy === undefined) {
      // News that came meanwhile have replaced them.
      texts.set(key, { text, head }, text.length + BESIDE_BYTES);
    }
    return text;
  }

  #forget(): void {
    this.#texts = new LruCache(CACHED_BYTES);
    this.#forgetAt = performance.now() + PATIENCE;
  }
}
