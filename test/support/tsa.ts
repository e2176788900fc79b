// Certificates and tokens made on the spot, true ones and ones that lack a property.

import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { concat, utf8 } from '../../src/core/bytes.ts';
import { readCertificate } from '../../src/tsa/certificate.ts';
import {
  boolean,
  context,
  der,
  derSequence,
  generalizedTimeOf,
  integer,
  octetString,
  oid,
  setOf,
  utf8String,
} from '../../src/tsa/der.ts';
import { sha256Imprint } from '../../src/tsa/request.ts';
import { ATTRIBUTE, SIGNED_DATA, TST_INFO } from '../../src/tsa/token.ts';

export type KeyName = 'rsa' | 'rsa-1024' | 'p256' | 'p384' | 'p521' | 'ed25519';

interface Algorithm {
  readonly signature: string;
  readonly hash: 'sha256' | 'sha384' | 'sha512' | null;
  readonly make: () => KeyObject;
}

const ALGORITHMS: Readonly<Record<KeyName, Algorithm>> = {
  rsa: {
    signature: '1.2.840.113549.1.1.11',
    hash: 'sha256',
    make: () => generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey,
  },
  'rsa-1024': {
    signature: '1.2.840.113549.1.1.11',
    hash: 'sha256',
    make: () => generateKeyPairSync('rsa', { modulusLength: 1_024 }).privateKey,
  },
  p256: {
    signature: '1.2.840.10045.4.3.2',
    hash: 'sha256',
    make: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  },
  p384: {
    signature: '1.2.840.10045.4.3.3',
    hash: 'sha384',
    make: () => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
  },
  p521: {
    signature: '1.2.840.10045.4.3.4',
    hash: 'sha512',
    make: () => generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey,
  },
  ed25519: { signature: '1.3.101.112', hash: null, make: () => generateKeyPairSync('ed25519').privateKey },
};

const keys = new Map<string, KeyObject>();

/** One key for each name and purpose: making RSA keys takes long. */
function keyOf(name: KeyName, purpose: string): KeyObject {
  const id = `${name} ${purpose}`;
  const key = keys.get(id) ?? ALGORITHMS[name].make();
  keys.set(id, key);
  return key;
}

export interface Signer {
  /** DER. */
  readonly certificate: Uint8Array;
  readonly name: Uint8Array;
  readonly serial: number;
  readonly key: KeyObject;
  readonly algorithm: KeyName;
}

export interface CertificateOptions {
  readonly subject: string;
  /** Without: it signs itself. */
  readonly issuer?: Signer;
  readonly algorithm?: KeyName;
  /** Milliseconds. */
  readonly from?: number;
  readonly to?: number;
  readonly extensions: readonly Uint8Array[];
  /** Tells keys of one algorithm apart; default: the subject. */
  readonly keyOf?: string;
  readonly serial?: number;
}

const YEAR_MS = 365 * 24 * 3_600_000;
/** The time of tokens unless something else is said. */
export const TIME: number = Date.UTC(2026, 5, 1, 12);

export const nameOf = (text: string): Uint8Array => derSequence(setOf(derSequence(oid('2.5.4.3'), utf8String(text))));

/** Certificates have no fractions of seconds. */
const wholeSeconds = (ms: number): number => Math.floor(ms / 1_000) * 1_000;

let serials = 1_000;

export function makeCertificate(options: CertificateOptions): Signer {
  const { subject, algorithm = 'p256', from = TIME - YEAR_MS, to = TIME + YEAR_MS, extensions } = options;
  const { serial = ++serials } = options;
  const key = keyOf(algorithm, options.keyOf ?? subject);
  const name = nameOf(subject);
  const issuer = options.issuer ?? { name, key, algorithm };
  const signature = derSequence(oid(ALGORITHMS[issuer.algorithm].signature));
  const signed = derSequence(
    context(0, integer(2)),
    integer(serial),
    signature,
    issuer.name,
    derSequence(generalizedTimeOf(wholeSeconds(from)), generalizedTimeOf(wholeSeconds(to))),
    name,
    new Uint8Array(createPublicKey(key).export({ format: 'der', type: 'spki' })),
    ...(extensions.length === 0 ? [] : [context(3, derSequence(...extensions))]),
  );
  const bits = signBy(issuer, signed);
  const certificate = derSequence(signed, signature, der(0x03, Uint8Array.of(0), bits));
  return { certificate, name, serial, key, algorithm };
}

function signBy({ key, algorithm }: Pick<Signer, 'key' | 'algorithm'>, data: Uint8Array): Uint8Array {
  return new Uint8Array(sign(ALGORITHMS[algorithm].hash, data, key));
}

export function extension(type: string, value: Uint8Array, critical = false): Uint8Array {
  return derSequence(oid(type), ...(critical ? [boolean(true)] : []), octetString(value));
}

export const TIME_STAMPING = '1.3.6.1.5.5.7.3.8';
export const purposes = (critical: boolean, ...types: string[]): Uint8Array =>
  extension('2.5.29.37', derSequence(...types.map(oid)), critical);
/** @param bits as one byte, bit 0 first */
export const usage = (bits: number): Uint8Array => extension('2.5.29.15', der(0x03, Uint8Array.of(0, bits)), true);
export const basic = (ca: boolean, pathLength?: number): Uint8Array =>
  extension(
    '2.5.29.19',
    derSequence(...(ca ? [boolean(true)] : []), ...(pathLength === undefined ? [] : [integer(pathLength)])),
    true,
  );

export const SIGNS = 0x80;
export const SIGNS_CERTIFICATES = 0x06;
export const AUTHORITY: readonly Uint8Array[] = [basic(false), usage(SIGNS), purposes(true, TIME_STAMPING)];

export function makeCa(options: Partial<CertificateOptions> = {}): Signer {
  return makeCertificate({ subject: 'Test CA', extensions: [basic(true), usage(SIGNS_CERTIFICATES)], ...options });
}

export function makeAuthority(issuer: Signer, options: Partial<CertificateOptions> = {}): Signer {
  return makeCertificate({ subject: 'Test TSA', issuer, extensions: AUTHORITY, ...options });
}

export interface TokenOptions {
  readonly signer: Signer;
  /** SHA-256. */
  readonly digest: Uint8Array;
  /** In place of the time: GeneralizedTime as text. */
  readonly time?: string;
  readonly accuracy?: Uint8Array | null;
  readonly policy?: string;
  readonly serial?: number;
  readonly nonce?: Uint8Array | null;
  /** In the token. Default: the signer's. */
  readonly certificates?: readonly Signer[];
  /** Makes the TSTInfo that is carried; what is signed is the true one. */
  readonly spoilContent?: (content: Uint8Array) => Uint8Array;
  readonly spoilSignature?: (signature: Uint8Array) => Uint8Array;
  /** The certificate that ESSCertID names; null: there is none. Default: the signer's. */
  readonly named?: Uint8Array | null;
  readonly essVersion?: 1 | 2;
  readonly signers?: number;
  readonly contentType?: string;
}

const SHA256 = '2.16.840.1.101.3.4.2.1';
const hash = (algorithm: string, data: Uint8Array): Uint8Array =>
  new Uint8Array(createHash(algorithm).update(data).digest());

/** A TimeStampToken. */
export function makeToken(options: TokenOptions): Uint8Array {
  const { signer, digest, policy = '1.2.3.4.1', serial = 7, nonce = null, accuracy = null, essVersion = 2 } = options;
  const { named = signer.certificate, contentType = TST_INFO } = options;
  const time = options.time === undefined ? generalizedTimeOf(TIME) : der(0x18, utf8(options.time));
  const content = derSequence(
    integer(1),
    oid(policy),
    sha256Imprint(digest),
    integer(serial),
    time,
    ...(accuracy === null ? [] : [accuracy]),
    ...(nonce === null ? [] : [integer(nonce)]),
  );
  const attribute = (type: string, value: Uint8Array): Uint8Array => derSequence(oid(type), setOf(value));
  const certificateHash = (der: Uint8Array): Uint8Array =>
    essVersion === 2
      ? attribute(
          ATTRIBUTE.signingCertificateV2,
          derSequence(derSequence(derSequence(octetString(hash('sha256', der))))),
        )
      : attribute(ATTRIBUTE.signingCertificate, derSequence(derSequence(derSequence(octetString(hash('sha1', der))))));
  const attributes = [
    attribute(ATTRIBUTE.contentType, oid(contentType)),
    attribute(ATTRIBUTE.messageDigest, octetString(hash('sha256', content))),
    ...(named === null ? [] : [certificateHash(named)]),
  ];
  const signature = signBy(signer, setOf(...attributes));
  const signed = setOf(...attributes);
  const signerInfo = derSequence(
    integer(1),
    derSequence(nameOfIssuer(signer), integer(signer.serial)),
    derSequence(oid(SHA256)),
    concat(Uint8Array.of(0xa0), signed.subarray(1)),
    derSequence(oid(ALGORITHMS[signer.algorithm].signature)),
    octetString(options.spoilSignature?.(signature) ?? signature),
  );
  const certificates = (options.certificates ?? [signer]).map(({ certificate }) => certificate);
  const carried = options.spoilContent?.(content) ?? content;
  return derSequence(
    oid(SIGNED_DATA),
    context(
      0,
      derSequence(
        integer(3),
        setOf(derSequence(oid(SHA256))),
        derSequence(oid(TST_INFO), context(0, octetString(carried))),
        ...(certificates.length === 0 ? [] : [context(0, ...certificates)]),
        der(0x31, ...Array.from({ length: options.signers ?? 1 }, () => signerInfo)),
      ),
    ),
  );
}

/** The issuer stands in the certificate. */
function nameOfIssuer({ certificate }: Signer): Uint8Array {
  return readCertificate(certificate).issuer;
}

/** A TimeStampResp that grants the token. */
export const granting = (token: Uint8Array): Uint8Array => derSequence(derSequence(integer(0)), token);

export function pem(...certificates: Uint8Array[]): string {
  return certificates
    .map((der) => `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`)
    .join('');
}
