// X.509 certificates (RFC 5280): what verifying a timestamp needs of them.

import { equalBytes, fromBase64 } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import {
  type Asn1,
  asn1Fault,
  bitStringBytes,
  contextTag,
  Fields,
  integerBytes,
  itemsOf,
  octets,
  oidText,
  readAsn1,
  smallInteger,
  TAG,
} from './asn1.ts';
import { nameText } from './name.ts';
import { certificateTime } from './times.ts';

export interface X509Certificate {
  /** DER of the whole. */
  readonly raw: Uint8Array;
  /** DER of what its issuer signed. */
  readonly signed: Uint8Array;
  /** Content of the INTEGER. */
  readonly serial: Uint8Array;
  /** DER of the names. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly subjectText: string;
  /** Milliseconds since the Unix epoch, both included. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** DER of the SubjectPublicKeyInfo. */
  readonly publicKey: Uint8Array;
  readonly keyAlgorithm: string;
  readonly signatureAlgorithm: string;
  readonly signature: Uint8Array;
  readonly extensions: Extensions;
}

export interface Extensions {
  /** Null: it has none. */
  readonly basicConstraints: { readonly ca: boolean; readonly pathLength: number | null } | null;
  /** Bits of keyUsage, bit 0 first; null: it has none. */
  readonly keyUsage: readonly boolean[] | null;
  readonly extendedKeyUsage: { readonly critical: boolean; readonly purposes: readonly string[] } | null;
  readonly subjectKeyId: Uint8Array | null;
  /** OIDs of critical extensions that are not understood here. */
  readonly unknownCritical: readonly string[];
}

const BASIC_CONSTRAINTS = '2.5.29.19';
const KEY_USAGE = '2.5.29.15';
const EXTENDED_KEY_USAGE = '2.5.29.37';
const SUBJECT_KEY_ID = '2.5.29.14';
/** Nothing is asked of a policy, so that whatever stands there is met. */
const CERTIFICATE_POLICIES = '2.5.29.32';
const KNOWN = [BASIC_CONSTRAINTS, KEY_USAGE, EXTENDED_KEY_USAGE, SUBJECT_KEY_ID, CERTIFICATE_POLICIES];

/** @throws FormatError `token-invalid` */
export function readCertificate(der: Uint8Array): X509Certificate {
  return certificateOf(readAsn1(der));
}

/** @throws FormatError `token-invalid` */
export function certificateOf(node: Asn1): X509Certificate {
  const fields = new Fields(node, 'a certificate');
  const signed = fields.take(TAG.sequence);
  const algorithm = fields.take(TAG.sequence);
  const signature = bitStringBytes(fields.take(TAG.bitString), 'the signature of a certificate');
  fields.end();
  const body = new Fields(signed, 'a certificate');
  body.optional(contextTag(0));
  const serial = integerBytes(body.take(TAG.integer), 'the number of a certificate');
  if (!equalBytes(body.take(TAG.sequence).raw, algorithm.raw)) throw asn1Fault('a certificate names two algorithms');
  const issuer = body.take(TAG.sequence);
  const [from, to, more] = itemsOf(body.take(TAG.sequence), 'the validity of a certificate');
  if (from === undefined || to === undefined || more !== undefined) throw asn1Fault('a certificate without validity');
  const subject = body.take(TAG.sequence);
  const key = body.take(TAG.sequence);
  body.optional(contextTag(1));
  body.optional(contextTag(2));
  const extensions = body.optional(contextTag(3));
  body.end();
  return {
    raw: node.raw,
    signed: signed.raw,
    serial,
    issuer: issuer.raw,
    subject: subject.raw,
    subjectText: nameText(subject),
    notBefore: certificateTime(from),
    notAfter: certificateTime(to),
    publicKey: key.raw,
    keyAlgorithm: firstOid(new Fields(key, 'a public key').take(TAG.sequence)),
    signatureAlgorithm: firstOid(algorithm),
    signature,
    extensions: extensionsOf(extensions),
  };
}

function firstOid(algorithm: Asn1): string {
  return oidText(new Fields(algorithm, 'an algorithm').take(TAG.oid), 'an algorithm');
}

interface Extension {
  readonly critical: boolean;
  readonly value: Uint8Array;
}

function extensionsOf(node: Asn1 | null): Extensions {
  const found = new Map<string, Extension>();
  const list =
    node === null ? [] : itemsOf(new Fields(node, 'extensions', contextTag(3)).take(TAG.sequence), 'extensions');
  for (const each of list) {
    const fields = new Fields(each, 'an extension');
    const type = oidText(fields.take(TAG.oid), 'an extension');
    const critical = (fields.optional(TAG.boolean)?.content[0] ?? 0) !== 0;
    const value = octets(fields.take(TAG.octetString), 'an extension');
    fields.end();
    if (found.has(type)) throw asn1Fault(`a certificate has the extension ${type} twice`);
    found.set(type, { critical, value });
  }
  const read = <T>(type: string, parse: (node: Asn1, critical: boolean) => T): T | null => {
    const extension = found.get(type);
    return extension === undefined ? null : parse(readAsn1(extension.value), extension.critical);
  };
  return {
    basicConstraints: read(BASIC_CONSTRAINTS, (each) => {
      const fields = new Fields(each, 'basicConstraints');
      const ca = (fields.optional(TAG.boolean)?.content[0] ?? 0) !== 0;
      const length = fields.optional(TAG.integer);
      fields.end();
      return { ca, pathLength: length === null ? null : smallInteger(length, 'a path length') };
    }),
    keyUsage: read(KEY_USAGE, keyUsageBits),
    extendedKeyUsage: read(EXTENDED_KEY_USAGE, (each, critical) => ({
      critical,
      purposes: itemsOf(each, 'extendedKeyUsage').map((purpose) => oidText(purpose, 'a purpose')),
    })),
    subjectKeyId: read(SUBJECT_KEY_ID, (each) => octets(each, 'a key id')),
    unknownCritical: [...found].flatMap(([type, { critical }]) => (critical && !KNOWN.includes(type) ? [type] : [])),
  };
}

function keyUsageBits({ tag, parts, content }: Asn1): boolean[] {
  const [unused = 8, ...bytes] = content;
  if (tag !== TAG.bitString || parts !== null || unused > 7) throw asn1Fault('keyUsage has another form');
  return bytes.flatMap((byte) => Array.from({ length: 8 }, (_, bit) => ((byte << bit) & 0x80) !== 0));
}

/** Certificates that one file may have: the CA, those between, and the signer's. */
const MAX_CERTIFICATES = 64;

/**
 * The certificates of PEM text (RFC 7468), or of one certificate as DER.
 * @throws FormatError `certificate-invalid` where there is none, or one cannot be read
 */
export function readCertificates(file: Uint8Array): X509Certificate[] {
  if (file[0] === 0x30) return [orFault(() => readCertificate(file), 'the certificate')];
  const text = new TextDecoder().decode(new Uint8Array(file));
  const blocks = [...text.matchAll(/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----([^-]*)-----END/g)];
  if (blocks.length === 0) throw new FormatError('certificate-invalid', 'there is no certificate (PEM or DER) in it');
  if (blocks.length > MAX_CERTIFICATES) {
    throw new FormatError('certificate-invalid', `more than ${MAX_CERTIFICATES} certificates`);
  }
  return blocks.map(([, body = ''], i) =>
    orFault(() => readCertificate(fromBase64(body.replaceAll(/\s/g, ''))), `certificate ${i + 1}`),
  );
}

function orFault<T>(read: () => T, which: string): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new FormatError('certificate-invalid', `${which} cannot be read: ${cause.message}`, { cause });
  }
}
