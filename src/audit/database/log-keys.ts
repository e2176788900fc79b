import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { promisify } from 'node:util';
import { equalBytes, toHex, utf8 } from '../../core/bytes.ts';
import { type Note, noteKeyId, type Verifier } from '../../core/note.ts';
import { ed25519Spki } from '../../core/spki.ts';
import type { Log } from '../../log/log.ts';
import { readLogKeys } from '../../log/rotation.ts';
import type { LogSeed } from '../../log/seed.ts';
import type { Queryable } from '../../store/database.ts';
import type { Findings } from '../checks/findings.ts';
import { confirmedSize, type LogKeyActs } from './log-key-acts.ts';

// DER around 32 raw bytes: SubjectPublicKeyInfo of an Ed25519 key (RFC 8410 section 4).
// Off the main thread: a signature takes as long as a hundred entries.
const verifySignature = promisify(verify);
/** Milliseconds that may lie between the retirement of a key and an entry that it signs: clocks, and processes that did not know. */
const LATE = 120_000;

/** What of the keys of logs is known without the database. */
export interface KnownKeys {
  readonly seed: LogSeed | null;
  /** Of some logs. */
  readonly verifiers: readonly Verifier[];
}

interface Held {
  readonly id: Uint8Array;
  readonly key: KeyObject;
  /** Milliseconds; null: never. */
  retiredAt: number | null;
  /** The largest size that it signed. */
  reach: number;
}

/** The public keys of one log, and how far each has signed it. */
export class LogKeys {
  readonly #origin: string;
  /** By hex. */
  readonly #keys = new Map<string, Held>();
  #reach = 0;

  /** @param publicKeys 32 bytes each */
  constructor(log: Pick<Log, 'origin'>, publicKeys: readonly Uint8Array[]) {
    this.#origin = log.origin;
    for (const publicKey of publicKeys) this.add(publicKey);
  }

  /** A key that the log has besides. Twice is once. */
  add(publicKey: Uint8Array): void {
    if (this.has(publicKey)) return;
    this.#keys.set(toHex(publicKey), {
      id: noteKeyId(this.#origin, publicKey),
      key: createPublicKey({ key: Buffer.from(ed25519Spki(publicKey)), format: 'der', type: 'spki' }),
      retiredAt: null,
      reach: 0,
    });
  }

  /** What was received later, two minutes aside, it does not vouch for. @param at milliseconds */
  retire(publicKey: Uint8Array, at: number): void {
    const held = this.#keys.get(toHex(publicKey));
    if (held !== undefined) held.retiredAt = at;
  }

  has(publicKey: Uint8Array): boolean {
    return this.#keys.has(toHex(publicKey));
  }

  /** The largest size that `signed` was told this key signed, of any key without one. */
  reach(publicKey?: Uint8Array): number {
    return publicKey === undefined ? this.#reach : (this.#keys.get(toHex(publicKey))?.reach ?? 0);
  }

  /**
   * Whether a note bears a signature of the log by a key that was not retired, and none by its keys that does not hold.
   * Lines of keys that are not known are passed over, as C2SP signed-note has it: they may come later.
   * @param covers the size that the note is about and when its last entry was received, if that is known
   */
  async signed(
    note: Note,
    origin: string,
    covers?: { readonly size: number; readonly receivedAt: number },
  ): Promise<boolean> {
    const held = [...this.#keys.values()];
    const own = note.signatures.flatMap(({ name, keyId, signature }) => {
      const key = name === origin ? held.find(({ id }) => equalBytes(id, keyId)) : undefined;
      return key === undefined ? [] : { key, signature };
    });
    const holding = await Promise.all(
      own.map(({ key, signature }) => verifySignature(null, utf8(note.text), key.key, signature)),
    );
    if (!holding.every((holds) => holds)) return false;
    const { size = 0, receivedAt = 0 } = covers ?? {};
    const standing = own.filter(({ key }) => key.retiredAt === null || receivedAt - key.retiredAt <= LATE);
    for (const { key } of standing) key.reach = Math.max(key.reach, size);
    if (standing.length > 0) this.#reach = Math.max(this.#reach, size);
    return standing.length > 0;
  }
}

/**
 * The keys of a log as the database has them, compared with what is known of them otherwise.
 * @param acts what `_system` tells of them; null: that is not known yet, see `checkSystemKeys`
 */
export async function readKeys(
  db: Queryable,
  log: Log,
  known: KnownKeys,
  acts: LogKeyActs | null,
  findings: Findings,
): Promise<LogKeys> {
  const rows = (await readLogKeys(db, [log])).get(log.id) ?? [];
  acts?.compare(log, rows);
  const differs = (says: string): void => findings.add('key-differs', { log: log.name }, says);
  if (rows[0]?.number !== 1) differs(`${log.name} has no key 1`);
  if (rows.every(({ retiredAt }) => retiredAt !== null)) differs(`${log.name} has no key that is not retired`);
  for (const { number, publicKey, retiredAt } of rows) {
    // The seed of a key that signs no more may be gone: that is what retiring it is for.
    if (known.seed === null || retiredAt !== null || isDerived(known.seed, log, number, publicKey)) continue;
    differs(`key ${number} of ${log.name} (${toHex(publicKey)}) is not the one that the seed makes`);
  }
  const given = known.verifiers.filter(({ name }) => name === log.origin);
  for (const verifier of given) {
    if (!rows.some(({ publicKey }) => equalBytes(publicKey, verifier.publicKey))) {
      differs(`${log.name} does not have the key that was given for it`);
    }
  }
  const keys = new LogKeys(
    log,
    rows.map(({ publicKey }) => publicKey),
  );
  const retirements = acts?.retirements(log);
  for (const { number, publicKey, retiredAt } of rows) {
    const at = retirements === undefined ? retiredAt : (retirements.get(number) ?? null);
    if (at !== null) keys.retire(publicKey, at);
  }
  return keys;
}

/** What could not be looked at before `_system` was walked: its own keys, which it tells of itself. */
export async function checkSystemKeys(
  db: Queryable,
  system: Log,
  keys: LogKeys,
  known: KnownKeys,
  acts: LogKeyActs,
  findings: Findings,
): Promise<void> {
  const rows = (await readLogKeys(db, [system])).get(system.id) ?? [];
  acts.compare(system, rows);
  const given = known.verifiers.filter(({ name }) => name === system.origin).map(({ publicKey }) => publicKey);
  const { seed } = known;
  if (seed === null && given.length === 0) return;
  const derived = rows.filter(({ number, publicKey }) => seed !== null && isDerived(seed, system, number, publicKey));
  const confirmed = confirmedSize(keys, acts.system, [...given, ...derived.map(({ publicKey }) => publicKey)]);
  if (confirmed >= keys.reach()) return;
  const says =
    `from size ${confirmed} on _system is signed by keys that it tells of itself, ` +
    `and by none that ${seed === null ? 'was given' : 'the seed makes'}`;
  findings.add('key-differs', { log: system.name }, says);
}

function isDerived(seed: LogSeed, { origin }: Log, number: number, publicKey: Uint8Array): boolean {
  return equalBytes(seed.signer(origin, number, publicKey).publicKey, publicKey);
}
