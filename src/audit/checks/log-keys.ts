// The keys of logs: what they signed, and what `_system` says about them.

import { equalBytes, fromHex, readU64, toHex, utf8 } from '../../core/bytes.ts';
import { cosignedMessage, ML_DSA_44_COSIGNATURE } from '../../core/cosignature.ts';
import { parsed } from '../../core/errors.ts';
import { ED25519_NOTE, type Note, noteKeyId } from '../../core/note.ts';

/** Whether a signature holds. */
export type CheckSignature = (message: Uint8Array, signature: Uint8Array) => Promise<boolean>;

/** Prepares the check of signatures by one public key: of Ed25519 32 bytes, of ML-DSA-44 1,312. */
export type OpenKey = (publicKey: Uint8Array) => CheckSignature;

/** Until a change of keys counts for the entries that are received: clocks differ, and a process may not know of it yet. */
const CHANGE_TOLERANCE_MS = 120_000;

/** Whether an entry was received so long after a change of keys that what signs it knows of the change. */
const isAfter = (receivedAt: number, changedAt: number): boolean => receivedAt - changedAt > CHANGE_TOLERANCE_MS;

/**
 * `broken`: a signature by a key of the log does not hold, or none is by a key that was not retired. `ml-dsa-missing`: the log
 * signs by ML-DSA as well, and no such signature is there.
 */
export type SigningFault = 'broken' | 'ml-dsa-missing';

interface Held {
  readonly id: Uint8Array;
  readonly type: number;
  readonly check: CheckSignature;
  /** Milliseconds; null: never. */
  retiredAt: number | null;
  /** The largest size that it signed. */
  reach: number;
}

/** The public keys of one log, and how far each has signed it. */
export class LogKeys {
  readonly #origin: string;
  readonly #openKey: OpenKey;
  /** By hex. */
  readonly #keys = new Map<string, Held>();
  #reach = 0;
  #mlDsaSince: number | null = null;

  /** @param publicKeys of either kind */
  constructor(origin: string, openKey: OpenKey, publicKeys: readonly Uint8Array[]) {
    this.#origin = origin;
    this.#openKey = openKey;
    for (const publicKey of publicKeys) this.add(publicKey);
  }

  /** Adds a key, unless the log has it already. */
  add(publicKey: Uint8Array): void {
    if (this.has(publicKey)) return;
    const check = this.#openKey(publicKey);
    const type = publicKey.length === 32 ? ED25519_NOTE : ML_DSA_44_COSIGNATURE;
    const id = noteKeyId(this.#origin, publicKey, type);
    this.#keys.set(toHex(publicKey), { id, type, check, retiredAt: null, reach: 0 });
  }

  /** Takes in that from `at` on, milliseconds, the log signs by ML-DSA as well. */
  signByMlDsa(at: number): void {
    this.#mlDsaSince = at;
  }

  /** From now on the key counts only for entries received at most two minutes after `at`, milliseconds. */
  retire(publicKey: Uint8Array, at: number): void {
    const held = this.#keys.get(toHex(publicKey));
    if (held !== undefined) held.retiredAt = at;
  }

  has(publicKey: Uint8Array): boolean {
    return this.#keys.has(toHex(publicKey));
  }

  /** The largest size that this key signed, by `signed`; without a key, the largest that any key signed. */
  reach(publicKey?: Uint8Array): number {
    return publicKey === undefined ? this.#reach : (this.#keys.get(toHex(publicKey))?.reach ?? 0);
  }

  /**
   * What is wrong with the signatures of a note; null: nothing. Lines of unknown keys are ignored (C2SP signed-note): their keys
   * may be announced later.
   * @param covers the size that the note is about and when its last entry was received, if that is known
   */
  async faultOf(
    note: Note,
    covers?: { readonly size: number; readonly receivedAt: number },
  ): Promise<SigningFault | null> {
    const held = [...this.#keys.values()];
    const own = note.signatures.flatMap(({ name, keyId, signature }) => {
      const key = name === this.#origin ? held.find(({ id }) => equalBytes(id, keyId)) : undefined;
      return key === undefined ? [] : { key, signature };
    });
    const holding = await Promise.all(own.map(({ key, signature }) => this.#holds(key, note.text, signature)));
    if (!holding.every((holds) => holds)) return 'broken';
    const { size = 0, receivedAt = 0 } = covers ?? {};
    const counting = own.filter(({ key: { retiredAt } }) => retiredAt === null || !isAfter(receivedAt, retiredAt));
    // Those of ML-DSA come beside one of Ed25519.
    const signing = counting.filter(({ key }) => key.type === ED25519_NOTE);
    for (const { key } of signing) key.reach = Math.max(key.reach, size);
    if (signing.length === 0) return 'broken';
    this.#reach = Math.max(this.#reach, size);
    const mlDsa = counting.length > signing.length;
    return this.#mlDsaSince !== null && isAfter(receivedAt, this.#mlDsaSince) && !mlDsa ? 'ml-dsa-missing' : null;
  }

  async #holds({ type, check }: Held, text: string, signature: Uint8Array): Promise<boolean> {
    if (type === ED25519_NOTE) return check(utf8(text), signature);
    const message = parsed(() => cosignedMessage(this.#origin, text, readU64(signature, 0)));
    return message !== null && check(message, signature.subarray(8));
  }
}

/** An act about a key of a log; `at` is milliseconds, `entry` is the index of the act in `_system`. */
export interface LogKeyAct {
  readonly act: 'log-key-added' | 'log-key-retired';
  /** Origin. */
  readonly log: string;
  readonly number: number;
  /** Hex. */
  readonly publicKey: string;
  readonly at: number;
  readonly entry: number;
}

/** A key of a log as `_system` tells of it. Times are milliseconds. */
export interface RecordedKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Null: the key came with its log, or was known before. */
  readonly addedAt: number | null;
  /** Null while it signs. */
  readonly retiredAt: number | null;
}

/** The keys of one log in the order in which it got them, as `_system` tells of them. */
export class KeyHistory {
  /** By number. Key 1 is there once something is told of it. */
  readonly #keys = new Map<number, RecordedKey>();
  /** Numbers of keys that were known before their acts were read. */
  readonly #known = new Set<number>();

  /** @param known keys that an earlier audit saw or the service names, key 1 first */
  constructor(known: readonly Pick<RecordedKey, 'publicKey' | 'retiredAt'>[] = []) {
    for (const { publicKey, retiredAt } of known) {
      this.#keys.set(this.#keys.size + 1, { publicKey, addedAt: null, retiredAt });
      this.#known.add(this.#keys.size);
    }
  }

  get entries(): ReadonlyMap<number, RecordedKey> {
    return this.#keys;
  }

  /** Takes in an act; acts in their order. @returns what is wrong with it; null: nothing */
  take({ act, number, publicKey, at }: LogKeyAct, name: string): string | null {
    const key = fromHex(publicKey);
    const recorded = this.#keys.get(number);
    const same = recorded !== undefined && equalBytes(recorded.publicKey, key);
    // The act of a key that is known from before is read once more.
    const again = same && this.#known.has(number);
    if (act === 'log-key-added') {
      const next = Math.max(1, ...this.#keys.keys()) + 1;
      if (again) return null;
      this.#keys.set(number, { publicKey: key, addedAt: at, retiredAt: null });
      return number === next ? null : `adds key ${number} to ${name}, and ${next} comes next`;
    }
    const fits = recorded === undefined ? number === 1 : again || (same && recorded.retiredAt === null);
    this.#known.delete(number);
    const { addedAt, retiredAt } = recorded ?? { addedAt: null, retiredAt: null };
    this.#keys.set(number, { publicKey: recorded?.publicKey ?? key, addedAt, retiredAt: retiredAt ?? at });
    return fits ? null : `retires key ${number} of ${name}, and no such key signed it then`;
  }
}

/**
 * Which keys of `_system` can be believed, beginning with those that are known from elsewhere: an entry of `_system` that
 * a believed key signed confirms the key that it names. That `_system` names a key is not enough: somebody who does not
 * have the earlier keys could write such an entry, too.
 * @param known 32 bytes each
 * @returns the size of the log up to which believed keys signed it
 */
export function confirmedSize(keys: LogKeys, acts: readonly LogKeyAct[], known: readonly Uint8Array[]): number {
  const confirmed = new Set(known.map(toHex));
  let size = 0;
  for (let grown = true; grown; ) {
    const before = confirmed.size;
    size = Math.max(0, ...[...confirmed].map((key) => keys.reach(fromHex(key))));
    for (const { publicKey, entry } of acts) if (entry < size) confirmed.add(publicKey);
    grown = confirmed.size > before;
  }
  return size;
}
