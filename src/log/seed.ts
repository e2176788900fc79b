import { createPrivateKey, createPublicKey, hkdfSync, type KeyObject, sign } from 'node:crypto';
import { concat, equalBytes, fromHex, HASH_HEX, u64, utf8 } from '../core/bytes.ts';
import { type Checkpoint, formatCheckpoint } from '../core/checkpoint.ts';
import { coseThumbprint, formatCoseKey } from '../core/cose-key.ts';
import { cosignedMessage, ML_DSA_44_COSIGNATURE } from '../core/cosignature.ts';
import { AntequemError } from '../core/errors.ts';
import type { LogVerifier } from '../core/log-verifier.ts';
import { ED25519_NOTE, formatNote, formatVerifierKey, type NoteSignature, noteKeyId } from '../core/note.ts';

// DER around 32 raw bytes: PKCS #8 of an Ed25519 private key (RFC 8410 section 7).
const PKCS8 = fromHex('302e020100300506032b657004220420');
// Of an ML-DSA-44 private key, by its seed (RFC 9881 section 6).
const ML_DSA_PKCS8 = fromHex('3034020100300b060960864801650304031104228020');
const ML_DSA_KEY_BYTES = 1_312;

/** The key that signs COSE receipts of a log: derived for this alone, and in use as long as the key it belongs to. */
export interface ReceiptSigner {
  /** 32 bytes, Ed25519. */
  readonly publicKey: Uint8Array;
  /** 32 bytes: its thumbprint (RFC 9679). */
  readonly keyId: Uint8Array;
  /** The key as a text, for verifiers. */
  readonly verifierKey: string;
  /** The signature of 64 bytes. @param message what `coseMessage` makes */
  sign(message: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

/** A key that signs the checkpoints of one log. */
export interface LogSigner {
  readonly origin: string;
  /** 32 bytes, Ed25519. */
  readonly publicKey: Uint8Array;
  /** `origin+keyID+key`: the key to check notes with. */
  readonly verifierKey: string;
  /**
   * The signed note of a checkpoint. Ed25519 is deterministic: the same checkpoint gives the same bytes; ML-DSA is not. A signer outside of
   * the process may be slow or fail after signing; then nothing is published, and the same checkpoint is signed again.
   */
  sign(checkpoint: Checkpoint): string | Promise<string>;
  readonly cose: ReceiptSigner;
  /** The keys that its signatures are by: Ed25519, and ML-DSA-44 where it signs by that too. */
  readonly verifiers: readonly LogVerifier[];
  /** The same key signing by ML-DSA-44 as well, with a key derived for this alone. */
  withMlDsa(): LogSigner;
}

/** Where the keys of logs come from. */
export interface KeyRing {
  /**
   * Key `number` of a log, default 1: the one with this public key if it can be derived, else a new key of that number.
   */
  signer(origin: string, number?: number, publicKey?: Uint8Array): LogSigner;
}

const MAX_SEEDS = 16;

/**
 * The secrets that all log keys are derived from, kept outside the database so that its administrator cannot sign. There are
 * several while one is being replaced: new keys are derived from the newest, existing keys stay as they are.
 */
export class LogSeed implements KeyRing {
  readonly #newest: Uint8Array;
  /** The newest first. */
  readonly #seeds: readonly Uint8Array[];

  /** @param seeds 32 bytes each, the newest last; at least one */
  constructor(...seeds: readonly Uint8Array[]) {
    this.#seeds = seeds.toReversed();
    const [newest] = this.#seeds;
    if (newest === undefined || seeds.some(({ length }) => length !== 32)) {
      throw new AntequemError('seed-invalid', 'the log seed must have 32 bytes');
    }
    this.#newest = newest;
  }

  /**
   * One seed a line, the newest last. White space and empty lines are ignored.
   * @throws AntequemError `seed-invalid` unless each is 64 hex digits and none is there twice
   */
  static parse(text: string): LogSeed {
    const lines = text.split('\n').map((line) => line.trim().toLowerCase());
    const seeds = lines.filter((line) => line !== '');
    if (seeds.length === 0 || seeds.some((hex) => !HASH_HEX.test(hex))) {
      throw new AntequemError(
        'seed-invalid',
        'the log seed must be 64 hex digits, of several seeds one a line: make one with `openssl rand -hex 32`',
      );
    }
    if (seeds.length > MAX_SEEDS || new Set(seeds).size < seeds.length) {
      throw new AntequemError('seed-invalid', `a log seed is there twice, or there are more than ${MAX_SEEDS}`);
    }
    return new LogSeed(...seeds.map(fromHex));
  }

  /**
   * HKDF-SHA-256 (RFC 5869) of a seed, no salt, info = origin ‖ 0x0A ‖ number in decimal; of the key for COSE receipts
   * `cose|` ‖ origin ‖ `|` ‖ number, of the one of ML-DSA-44 `ml-dsa-44|` ‖ origin ‖ `|` ‖ number.
   */
  signer(origin: string, number = 1, publicKey: Uint8Array | null = null): LogSigner {
    const derive = (seed: Uint8Array): LogSigner => {
      const key = privateKey(PKCS8, derived(seed, `${origin}\n${number}`));
      return new DerivedSigner(origin, key, {
        receipts: () => privateKey(PKCS8, derived(seed, `cose|${origin}|${number}`)),
        mlDsa: () => privateKey(ML_DSA_PKCS8, derived(seed, `ml-dsa-44|${origin}|${number}`)),
      });
    };
    if (publicKey !== null) {
      for (const seed of this.#seeds) {
        const signer = derive(seed);
        if (equalBytes(signer.publicKey, publicKey)) return signer;
      }
    }
    return derive(this.#newest);
  }

  /** The public keys of ML-DSA-44, 1,312 bytes, that the seeds make for key `number` of a log. */
  mlDsaKeys(origin: string, number: number): Uint8Array[] {
    return this.#seeds.map((seed) =>
      publicBytes(privateKey(ML_DSA_PKCS8, derived(seed, `ml-dsa-44|${origin}|${number}`)), ML_DSA_KEY_BYTES),
    );
  }

  /** 32 bytes for another purpose than signing: HKDF as above, info = the purpose, which has no newline. */
  secret(purpose: string): Uint8Array {
    return derived(this.#newest, lineOf(purpose));
  }

  /** The same from every seed, the newest first: somebody may have been given an older one. */
  secrets(purpose: string): Uint8Array[] {
    return this.#seeds.map((seed) => derived(seed, lineOf(purpose)));
  }
}

/** A purpose with a newline could name the key of a log. */
function lineOf(purpose: string): string {
  if (purpose.includes('\n')) throw new AntequemError('internal', 'a purpose has one line');
  return purpose;
}

function derived(seed: Uint8Array, info: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', seed, new Uint8Array(0), utf8(info), 32));
}

function privateKey(prefix: Uint8Array, secret: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.from(concat(prefix, secret)), format: 'der', type: 'pkcs8' });
}

function publicBytes(key: KeyObject, length = 32): Uint8Array {
  return new Uint8Array(createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-length));
}

/** Further keys of the same number, derived when they are first asked for. */
interface FurtherKeys {
  readonly receipts: () => KeyObject;
  readonly mlDsa: () => KeyObject;
}

class DerivedSigner implements LogSigner {
  readonly origin: string;
  readonly publicKey: Uint8Array;
  readonly verifierKey: string;
  readonly #key: KeyObject;
  readonly verifiers: readonly LogVerifier[];
  readonly #further: FurtherKeys;
  readonly #mlDsaKey: KeyObject | null;
  #cose: ReceiptSigner | null = null;

  constructor(origin: string, key: KeyObject, further: FurtherKeys, mlDsa = false) {
    this.origin = origin;
    this.#key = key;
    this.#further = further;
    this.#mlDsaKey = mlDsa ? further.mlDsa() : null;
    this.publicKey = publicBytes(key);
    this.verifierKey = formatVerifierKey(origin, this.publicKey);
    this.verifiers = [
      verifierOf(origin, this.publicKey, ED25519_NOTE),
      ...(this.#mlDsaKey === null
        ? []
        : [verifierOf(origin, publicBytes(this.#mlDsaKey, ML_DSA_KEY_BYTES), ML_DSA_44_COSIGNATURE)]),
    ];
  }

  withMlDsa(): LogSigner {
    return new DerivedSigner(this.origin, this.#key, this.#further, true);
  }

  /** Derived when it is first asked for: most logs never need it. */
  get cose(): ReceiptSigner {
    if (this.#cose !== null) return this.#cose;
    const key = this.#further.receipts();
    const publicKey = publicBytes(key);
    this.#cose = {
      publicKey,
      keyId: coseThumbprint(publicKey),
      verifierKey: formatCoseKey(this.origin, publicKey),
      sign: (message) => new Uint8Array(sign(null, message, key)),
    };
    return this.#cose;
  }

  sign(checkpoint: Checkpoint): string {
    if (checkpoint.origin !== this.origin) throw new AntequemError('internal', 'a key signs for its own log alone');
    const text = formatCheckpoint(checkpoint);
    const signature = new Uint8Array(sign(null, utf8(text), this.#key));
    const [own, mlDsa] = this.verifiers;
    const lines: NoteSignature[] = own === undefined ? [] : [{ ...own, signature }];
    if (mlDsa !== undefined && this.#mlDsaKey !== null) {
      // Without a time: it says nothing of when, and the guard alone says that no larger tree was signed.
      const message = cosignedMessage(this.origin, text, 0);
      const second = new Uint8Array(sign(null, message, this.#mlDsaKey));
      lines.push({ ...mlDsa, signature: concat(u64(0), second) });
    }
    return formatNote({ text, signatures: lines });
  }
}

function verifierOf(name: string, publicKey: Uint8Array, type: number): LogVerifier {
  return { name, publicKey, type, keyId: noteKeyId(name, publicKey, type) };
}
