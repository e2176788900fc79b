import { createPrivateKey, createPublicKey, hkdfSync, type KeyObject, sign } from 'node:crypto';
import { concat, fromHex, utf8 } from '../core/bytes.ts';
import { type Checkpoint, formatCheckpoint } from '../core/checkpoint.ts';
import { AntequemError } from '../core/errors.ts';
import { formatNote, formatVerifierKey, noteKeyId } from '../core/note.ts';

// DER around 32 raw bytes: PKCS #8 of an Ed25519 private key (RFC 8410 section 7).
const PKCS8 = fromHex('302e020100300506032b657004220420');

/** A key that signs the checkpoints of one log. */
export interface LogSigner {
  readonly origin: string;
  /** 32 bytes, Ed25519. */
  readonly publicKey: Uint8Array;
  /** `origin+keyID+key`, what a stranger checks notes with. */
  readonly verifierKey: string;
  /**
   * The signed note of a checkpoint. Ed25519 has no randomness: the same checkpoint gives the same bytes. A signer out of
   * the process may take its time, or fail having signed: nothing is handed out then, and the same is asked again.
   */
  sign(checkpoint: Checkpoint): string | Promise<string>;
}

/** Where the keys of logs come from. */
export interface KeyRing {
  /** Key `number` of a log, 1 if not told. */
  signer(origin: string, number?: number): LogSigner;
}

/** The secret all log keys are derived from. Kept outside the database, so that its administrator cannot sign. */
export class LogSeed implements KeyRing {
  readonly #seed: Uint8Array;

  /** @param seed 32 bytes */
  constructor(seed: Uint8Array) {
    if (seed.length !== 32) throw new AntequemError('seed-invalid', 'the log seed must have 32 bytes');
    this.#seed = seed;
  }

  /** @throws AntequemError `seed-invalid` unless 64 hex digits, white space around them aside */
  static parse(text: string): LogSeed {
    const hex = text.trim().toLowerCase();
    if (!/^[0-9a-f]{64}$/.test(hex)) {
      throw new AntequemError(
        'seed-invalid',
        'the log seed must be 64 hex digits: make one with `openssl rand -hex 32`',
      );
    }
    return new LogSeed(fromHex(hex));
  }

  /** Key `number` of a log: HKDF-SHA-256 (RFC 5869) of the seed, no salt, info = origin ‖ 0x0A ‖ number in decimal. */
  signer(origin: string, number = 1): LogSigner {
    const secret = new Uint8Array(hkdfSync('sha256', this.#seed, new Uint8Array(0), utf8(`${origin}\n${number}`), 32));
    const key = createPrivateKey({ key: Buffer.from(concat(PKCS8, secret)), format: 'der', type: 'pkcs8' });
    return new Ed25519Signer(origin, key);
  }

  /** 32 bytes for another purpose than signing: HKDF as above, info = the purpose, which has no newline. */
  secret(purpose: string): Uint8Array {
    if (purpose.includes('\n')) throw new AntequemError('internal', 'a purpose has one line');
    return new Uint8Array(hkdfSync('sha256', this.#seed, new Uint8Array(0), utf8(purpose), 32));
  }
}

class Ed25519Signer implements LogSigner {
  readonly origin: string;
  readonly publicKey: Uint8Array;
  readonly verifierKey: string;
  readonly #key: KeyObject;

  constructor(origin: string, key: KeyObject) {
    this.origin = origin;
    this.#key = key;
    const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
    this.publicKey = new Uint8Array(spki.subarray(-32));
    this.verifierKey = formatVerifierKey(origin, this.publicKey);
  }

  sign(checkpoint: Checkpoint): string {
    if (checkpoint.origin !== this.origin) throw new AntequemError('internal', 'a key signs for its own log alone');
    const text = formatCheckpoint(checkpoint);
    const signature = new Uint8Array(sign(null, utf8(text), this.#key));
    const keyId = noteKeyId(this.origin, this.publicKey);
    return formatNote({ text, signatures: [{ name: this.origin, keyId, signature }] });
  }
}
