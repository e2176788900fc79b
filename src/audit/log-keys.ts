import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { promisify } from 'node:util';
import { concat, equalBytes, fromHex, toHex, utf8 } from '../core/bytes.ts';
import { type Note, noteKeyId, type Verifier } from '../core/note.ts';
import type { Log } from '../log/log.ts';
import type { LogSeed } from '../log/seed.ts';
import type { Queryable } from '../store/database.ts';
import type { Findings } from './findings.ts';

// DER around 32 raw bytes: SubjectPublicKeyInfo of an Ed25519 key (RFC 8410 section 4).
const SPKI = fromHex('302a300506032b6570032100');
// Off the main thread: a signature takes as long as a hundred entries.
const verifySignature = promisify(verify);

/** What of the keys of logs is known without the database. */
export interface KnownKeys {
  readonly seed: LogSeed | null;
  /** Of some logs. */
  readonly verifiers: readonly Verifier[];
}

/** The public keys of one log. */
export class LogKeys {
  readonly #keys: readonly { readonly id: Uint8Array; readonly key: KeyObject }[];

  constructor(log: Pick<Log, 'origin'>, publicKeys: readonly Uint8Array[]) {
    this.#keys = publicKeys.map((publicKey) => ({
      id: noteKeyId(log.origin, publicKey),
      key: createPublicKey({ key: Buffer.from(concat(SPKI, publicKey)), format: 'der', type: 'spki' }),
    }));
  }

  /** Whether a note bears a signature of the log, and none under its name that does not hold. */
  async signed(note: Note, origin: string): Promise<boolean> {
    const own = note.signatures.filter(({ name }) => name === origin);
    const checks = own.map(async ({ keyId, signature }) => {
      const key = this.#keys.find(({ id }) => equalBytes(id, keyId))?.key;
      return key !== undefined && (await verifySignature(null, utf8(note.text), key, signature));
    });
    const held = await Promise.all(checks);
    return held.length > 0 && held.every((holds) => holds);
  }
}

/** The keys of a log as the database has them, compared with what is known of them otherwise. */
export async function readKeys(db: Queryable, log: Log, known: KnownKeys, findings: Findings): Promise<LogKeys> {
  const { rows } = await db.query<{ number: number; public_key: Uint8Array; revoked_at: number | null }>(
    'SELECT number, public_key, revoked_at FROM log_keys WHERE log = $1 ORDER BY number',
    [log.id],
  );
  const differs = (says: string): void => findings.add('key-differs', { log: log.name }, says);
  if (rows[0]?.number !== 1) differs(`${log.name} has no key 1`);
  for (const { number, public_key, revoked_at } of rows) {
    // Nothing in _system tells of a second key or of one that was revoked: there is no act for either.
    if (number !== 1) differs(`${log.name} has a key ${number}, and _system tells of one key alone`);
    if (revoked_at !== null) differs(`key ${number} of ${log.name} is revoked, and _system does not tell that`);
    const derived = known.seed?.signer(log.origin, number).publicKey;
    if (derived !== undefined && !equalBytes(derived, public_key)) {
      differs(`key ${number} of ${log.name} (${toHex(public_key)}) is not the one that the seed makes`);
    }
  }
  const given = known.verifiers.filter(({ name }) => name === log.origin);
  for (const verifier of given) {
    if (!rows.some(({ public_key }) => equalBytes(public_key, verifier.publicKey))) {
      differs(`${log.name} does not have the key that was given for it`);
    }
  }
  return new LogKeys(
    log,
    rows.map(({ public_key }) => public_key),
  );
}
