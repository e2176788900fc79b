// Digests and signatures of tokens and certificates, by WebCrypto: the same in Node and browsers.

import { toHex } from '../core/bytes.ts';
import { parsed } from '../core/errors.ts';
import { asn1Fault, Fields, integerBytes, oidText, readAsn1, TAG } from './asn1.ts';

export type TokenHash = 'SHA-1' | 'SHA-256' | 'SHA-384' | 'SHA-512';

/** SHA-1 names certificates (ESSCertID, RFC 2634); nothing else may rest on it. */
const HASHES: Readonly<Record<string, TokenHash>> = {
  '2.16.840.1.101.3.4.2.1': 'SHA-256',
  '2.16.840.1.101.3.4.2.2': 'SHA-384',
  '2.16.840.1.101.3.4.2.3': 'SHA-512',
};

const RSA = '1.2.840.113549.1.1.1';
const EC = '1.2.840.10045.2.1';
const ED25519 = '1.3.101.112';

/** Null: the digest algorithm of the signature's owner. */
const SIGNATURES: Readonly<Record<string, { readonly key: string; readonly hash: TokenHash | null }>> = {
  [RSA]: { key: RSA, hash: null },
  '1.2.840.113549.1.1.11': { key: RSA, hash: 'SHA-256' },
  '1.2.840.113549.1.1.12': { key: RSA, hash: 'SHA-384' },
  '1.2.840.113549.1.1.13': { key: RSA, hash: 'SHA-512' },
  '1.2.840.10045.4.3.2': { key: EC, hash: 'SHA-256' },
  '1.2.840.10045.4.3.3': { key: EC, hash: 'SHA-384' },
  '1.2.840.10045.4.3.4': { key: EC, hash: 'SHA-512' },
  [ED25519]: { key: ED25519, hash: null },
};

const CURVES: Readonly<Record<string, { readonly name: string; readonly bytes: number }>> = {
  // DER of the OIDs.
  '06082a8648ce3d030107': { name: 'P-256', bytes: 32 },
  '06052b81040022': { name: 'P-384', bytes: 48 },
};

/** RSA keys below are broken too easily, those above take too long. */
const RSA_BITS = { least: 2_048, most: 8_192 } as const;

/** This verifier cannot check it: which says nothing against the token. */
export class Unsupported extends Error {}

/** @throws Unsupported */
export function tokenHash(oid: string): TokenHash {
  const name = HASHES[oid];
  if (name === undefined) throw new Unsupported(`the hash ${oid} is not one of SHA-256, SHA-384 and SHA-512`);
  return name;
}

/** @throws Unsupported where there is no WebCrypto */
export async function digestBy(hash: TokenHash, data: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await subtle().digest(hash, new Uint8Array(data)));
}

export interface SignatureCheck {
  /** OID of the signature's algorithm. */
  readonly algorithm: string;
  /** Of the data, where the algorithm does not name it. */
  readonly hash: TokenHash | null;
  /** DER of the SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  readonly signature: Uint8Array;
  readonly data: Uint8Array;
}

/**
 * Whether the signature holds.
 * @throws Unsupported for algorithms and keys beyond RSA (PKCS #1 v1.5), ECDSA on P-256 and P-384, and Ed25519
 * @throws FormatError `token-invalid`
 */
export async function signatureHolds(check: SignatureCheck): Promise<boolean> {
  const { algorithm, hash, publicKey, signature } = check;
  const known = SIGNATURES[algorithm];
  if (known === undefined) throw new Unsupported(`the signature algorithm ${algorithm} is not known here`);
  const [type, curve] = keyType(publicKey);
  if (type !== known.key) return false;
  const used = known.hash ?? hash;
  if (type === ED25519) return verified({ name: 'Ed25519' }, check, signature);
  if (used === null) throw new Unsupported(`the signature algorithm ${algorithm} names no hash`);
  if (type === RSA) return verified({ name: 'RSASSA-PKCS1-v1_5', hash: used }, check, signature);
  const named = CURVES[curve];
  if (named === undefined) throw new Unsupported('the curve of a key is neither P-256 nor P-384');
  const plain = plainSignature(signature, named.bytes);
  if (plain === null) return false;
  return verified({ name: 'ECDSA', namedCurve: named.name, hash: used }, check, plain);
}

/** The OID of a key's algorithm, and DER of its parameters where these are an OID, in hex. */
function keyType(publicKey: Uint8Array): [type: string, curve: string] {
  const key = new Fields(readAsn1(publicKey), 'a public key');
  const algorithm = new Fields(key.take(TAG.sequence), 'the algorithm of a key');
  const type = oidText(algorithm.take(TAG.oid), 'the algorithm of a key');
  const curve = algorithm.optional(TAG.oid);
  return [type, curve === null ? '' : toHex(curve.raw)];
}

/** r and s one after the other, as WebCrypto wants them (from RFC 3279 section 2.2.3); null: it is no such signature. */
function plainSignature(der: Uint8Array, bytes: number): Uint8Array | null {
  return parsed(() => {
    const fields = new Fields(readAsn1(der), 'a signature');
    const numbers = [fields.take(TAG.integer), fields.take(TAG.integer)];
    fields.end();
    const plain = new Uint8Array(2 * bytes);
    for (const [i, number] of numbers.entries()) {
      const content = integerBytes(number, 'a part of a signature');
      const digits = content[0] === 0 ? content.subarray(1) : content;
      if (digits.length > bytes) throw asn1Fault('a part of a signature is too long');
      plain.set(digits, (i + 1) * bytes - digits.length);
    }
    return plain;
  });
}

interface Algorithm {
  readonly name: string;
  readonly namedCurve?: string;
  readonly hash?: string;
}

async function verified(
  algorithm: Algorithm,
  { publicKey, data }: SignatureCheck,
  signature: Uint8Array,
): Promise<boolean> {
  const key = await importKey(algorithm, publicKey);
  const bits = 'modulusLength' in key.algorithm ? key.algorithm.modulusLength : null;
  if (typeof bits === 'number' && (bits < RSA_BITS.least || bits > RSA_BITS.most)) {
    throw new Unsupported(`an RSA key has ${bits} bits, which is not from ${RSA_BITS.least} to ${RSA_BITS.most}`);
  }
  return subtle().verify(algorithm, key, new Uint8Array(signature), new Uint8Array(data));
}

async function importKey(algorithm: Algorithm, publicKey: Uint8Array) {
  try {
    return await subtle().importKey('spki', new Uint8Array(publicKey), algorithm, false, ['verify']);
  } catch {
    throw new Unsupported(`WebCrypto here cannot use a key for ${algorithm.name}`);
  }
}

function subtle(): typeof crypto.subtle {
  // Browsers withhold it from pages that came without https.
  if (!('crypto' in globalThis) || crypto.subtle === undefined) {
    throw new Unsupported('there is no WebCrypto here: open the page by https or from a file');
  }
  return crypto.subtle;
}
