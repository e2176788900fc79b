// COSE receipts (RFC 9942) of our logs: a COSE_Sign1 over the root of a tree, with the proof that leads there.

import { equalBytes } from './bytes.ts';
import { type Cbor, CborTag, decodeCbor, encodeCbor, isCborArray, isCborMap } from './cbor.ts';
import { COSE_EDDSA } from './cose-key.ts';
import { parseOpenEntry } from './entry.ts';
import { FormatError } from './errors.ts';
import { MAX_COSE_RECEIPT_BYTES } from './limits.ts';
import { HASH_SIZE } from './merkle.ts';

/** Of headers (RFC 9052 section 3.1, RFC 9597, RFC 9942). */
const ALGORITHM = 1;
const KEY_ID = 4;
const CLAIMS = 15;
const ISSUER = 1;
const SUBJECT = 2;
const STRUCTURE = 395;
const RFC9162_SHA256 = 1;
const PROOFS = 396;
const INCLUSION = -1;
const CONSISTENCY = -2;
/** Of private use (below -65536): the bytes that the leaf is made of. */
const ENTRY = -65_609;

const SIGN1 = 18;
const SIGNATURE_SIZE = 64;
/** Of a tree of 2^53 leaves; a consistency proof may have one more. */
const MAX_PATH = 54;
/** Characters of an origin. */
const MAX_ORIGIN = 400;

export interface CoseInclusion {
  readonly kind: 'inclusion';
  readonly treeSize: number;
  readonly index: number;
  /** From the leaf's sibling up, 32 bytes each; at least one. */
  readonly path: readonly Uint8Array[];
}

export interface CoseConsistency {
  readonly kind: 'consistency';
  readonly from: number;
  readonly to: number;
  /** At least one. */
  readonly path: readonly Uint8Array[];
}

/** What a signature covers beside the root. */
export interface CoseSigner {
  /** Thumbprint of the key, 32 bytes. */
  readonly keyId: Uint8Array;
  /** The service's origin. */
  readonly issuer: string;
  /** The log's origin. */
  readonly log: string;
}

export interface CoseReceipt extends CoseSigner {
  readonly proof: CoseInclusion | CoseConsistency;
  /** 64 bytes, over `coseMessage`. */
  readonly signature: Uint8Array;
  /** The entry (73 bytes) and its nonce, which nothing signed covers; null: left out. */
  readonly entry: Uint8Array | null;
}

function protectedHeader({ keyId, issuer, log }: CoseSigner): Uint8Array {
  return encodeCbor(
    new Map<number, Cbor>([
      [ALGORITHM, COSE_EDDSA],
      [KEY_ID, keyId],
      [
        CLAIMS,
        new Map([
          [ISSUER, issuer],
          [SUBJECT, log],
        ]),
      ],
      [STRUCTURE, RFC9162_SHA256],
    ]),
  );
}

/** What is signed: the Sig_structure (RFC 9052 section 4.4) whose payload is the root. */
export function coseMessage(signer: CoseSigner, root: Uint8Array): Uint8Array {
  return encodeCbor(['Signature1', protectedHeader(signer), new Uint8Array(0), root]);
}

export function encodeCoseReceipt({ proof, signature, entry, ...signer }: CoseReceipt): Uint8Array {
  const [kind, numbers] =
    proof.kind === 'inclusion' ? [INCLUSION, [proof.treeSize, proof.index]] : [CONSISTENCY, [proof.from, proof.to]];
  const unprotected = new Map<number, Cbor>([
    [PROOFS, new Map([[kind, [encodeCbor([...numbers, proof.path])]]])],
    ...(entry === null ? [] : [[ENTRY, entry] as const]),
  ]);
  return encodeCbor(new CborTag(SIGN1, [protectedHeader(signer), unprotected, null, signature]));
}

/** Whether bytes begin as a COSE_Sign1 message does: tag 18 and an array of four. */
export function isCoseMessage([tag, array]: Uint8Array): boolean {
  return tag === 0xd2 && array === 0x84;
}

/**
 * Parses a receipt of a log of ours; does not check it.
 * @throws FormatError `cose-receipt-invalid` where it is no COSE message or breaks the format; `cose-receipt-foreign` where it
 *   may be a message or a receipt of another kind
 */
export function parseCoseReceipt(bytes: Uint8Array): CoseReceipt {
  if (bytes.length > MAX_COSE_RECEIPT_BYTES) throw foreign(`more than ${MAX_COSE_RECEIPT_BYTES} bytes`);
  const message = decoded(bytes);
  if (!(message instanceof CborTag) || message.tag !== SIGN1 || !isCborArray(message.value)) throw broken('no tag 18');
  const [header, unprotected, payload, signature, ...more] = message.value;
  if (!(header instanceof Uint8Array) || !isCborMap(unprotected) || more.length > 0) throw broken('no COSE_Sign1');
  if (!(signature instanceof Uint8Array)) throw broken('no signature');
  const signer = parseProtected(header);
  if (payload !== null) throw foreign('its payload is attached');
  if (signature.length !== SIGNATURE_SIZE) throw broken('a signature that has not 64 bytes');
  for (const label of unprotected.keys()) {
    if (label !== PROOFS && label !== ENTRY) throw foreign('unprotected headers that are not known here');
  }
  const proof = parseProof(unprotected.get(PROOFS));
  const entry = unprotected.get(ENTRY);
  if (entry === undefined) return { ...signer, proof, signature, entry: null };
  if (!(entry instanceof Uint8Array) || parseOpenEntry(entry) === null) throw broken('an entry that is none');
  return { ...signer, proof, signature, entry };
}

function parseProtected(header: Uint8Array): CoseSigner {
  const map = decoded(header);
  if (!isCborMap(map)) throw broken('a protected header that is no map');
  const [keyId, claims] = [map.get(KEY_ID), map.get(CLAIMS)];
  if (!(keyId instanceof Uint8Array) || keyId.length !== HASH_SIZE || !isCborMap(claims)) {
    throw foreign('its protected header is another');
  }
  const [issuer, log] = [claims.get(ISSUER), claims.get(SUBJECT)];
  if (typeof issuer !== 'string' || typeof log !== 'string' || Math.max(issuer.length, log.length) > MAX_ORIGIN) {
    throw foreign('its claims are others');
  }
  const signer = { keyId, issuer, log };
  if (!equalBytes(protectedHeader(signer), header)) throw foreign('its protected header is another');
  return signer;
}

function parseProof(proofs: Cbor | undefined): CoseReceipt['proof'] {
  if (!isCborMap(proofs)) throw broken('no proofs');
  const [[kind, all] = [], ...others] = [...proofs];
  if ((kind !== INCLUSION && kind !== CONSISTENCY) || others.length > 0) throw foreign('proofs of another kind');
  if (!isCborArray(all) || !(all[0] instanceof Uint8Array)) throw broken('no proof');
  if (all.length > 1) throw foreign('several proofs');
  const proof = decoded(all[0]);
  if (!isCborArray(proof) || proof.length !== 3) throw broken('a proof that has not three parts');
  const [first, second, path] = proof;
  if (typeof first !== 'number' || typeof second !== 'number' || first < 0 || second < 0) throw broken('no sizes');
  if (!isCborArray(path) || path.length === 0 || path.length > MAX_PATH) throw broken('a path of another length');
  const hashes = path.filter((hash) => hash instanceof Uint8Array && hash.length === HASH_SIZE);
  if (!areBytes(hashes) || hashes.length !== path.length) throw broken('a path of other than hashes');
  return kind === INCLUSION
    ? { kind: 'inclusion', treeSize: first, index: second, path: hashes }
    : { kind: 'consistency', from: first, to: second, path: hashes };
}

function areBytes(values: readonly Cbor[]): values is readonly Uint8Array[] {
  return values.every((value) => value instanceof Uint8Array);
}

function decoded(bytes: Uint8Array): Cbor {
  try {
    return decodeCbor(bytes);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw error.code === 'cbor-unsupported' ? foreign(error.message) : broken(error.message);
  }
}

function broken(what: string): FormatError {
  return new FormatError('cose-receipt-invalid', `not a COSE receipt: ${what}`);
}

function foreign(what: string): FormatError {
  return new FormatError('cose-receipt-foreign', `not a COSE receipt of a log of Antequem: ${what}`);
}
