// Timestamp tokens and responses (RFC 3161 section 2.4.2): CMS SignedData (RFC 5652) over a TSTInfo.

import { concat, equalBytes } from '../core/bytes.ts';
import { parsed } from '../core/errors.ts';
import {
  type Asn1,
  algorithmOf,
  asn1Fault,
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
import { certificateOf, type X509Certificate } from './certificate.ts';
import { SHA256 } from './request.ts';
import { parseTstInfo, type TstInfo } from './tst-info.ts';

export const SIGNED_DATA = '1.2.840.113549.1.7.2';
export const TST_INFO = '1.2.840.113549.1.9.16.1.4';

export const ATTRIBUTE = {
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  signingCertificate: '1.2.840.113549.1.9.16.2.12',
  signingCertificateV2: '1.2.840.113549.1.9.16.2.47',
} as const;

/** How a token names the certificate of its signer (RFC 5652 section 5.3). */
export type SignerId =
  | { readonly issuer: Uint8Array; readonly serial: Uint8Array }
  | { readonly subjectKeyId: Uint8Array };

/** A certificate by its hash (RFC 5035). */
export interface CertificateHash {
  /** OID; null: SHA-1, by the first version. */
  readonly algorithm: string | null;
  readonly hash: Uint8Array;
  /** Content of its serial number, if it is named. */
  readonly serial: Uint8Array | null;
}

export interface Token {
  readonly info: TstInfo;
  /** The bytes of the TSTInfo. */
  readonly content: Uint8Array;
  /** What can be read of the certificates in it. */
  readonly certificates: readonly X509Certificate[];
  readonly signer: SignerId;
  readonly digestAlgorithm: string;
  readonly signatureAlgorithm: string;
  readonly signature: Uint8Array;
  /** DER of the signed attributes, as they are signed. */
  readonly attributes: Uint8Array;
  readonly messageDigest: Uint8Array;
  /** Of each version that it has, the first: it names the signer's certificate. */
  readonly signedFor: readonly CertificateHash[];
}

/** A TimeStampToken. @throws FormatError `token-invalid` */
export function parseToken(der: Uint8Array): Token {
  const info = new Fields(readAsn1(der), 'a token');
  if (oidText(info.take(TAG.oid), 'a token') !== SIGNED_DATA) throw asn1Fault('a token is not SignedData');
  const explicit = new Fields(info.take(contextTag(0)), 'a token', contextTag(0));
  info.end();
  const data = new Fields(explicit.take(TAG.sequence), 'SignedData');
  explicit.end();
  smallInteger(data.take(TAG.integer), 'the version of SignedData');
  data.take(TAG.set);
  const content = contentOf(data.take(TAG.sequence));
  const certificates = data.optional(contextTag(0));
  data.optional(contextTag(1));
  const signers = itemsOf(data.take(TAG.set), 'the signers', TAG.set);
  data.end();
  const [signer, another] = signers;
  if (signer === undefined || another !== undefined) throw asn1Fault('a token must have exactly one signer');
  return {
    info: parseTstInfo(content),
    content,
    certificates: (certificates?.parts ?? []).flatMap((each) => parsed(() => certificateOf(each)) ?? []),
    ...signerOf(signer),
  };
}

function contentOf(node: Asn1): Uint8Array {
  const fields = new Fields(node, 'the content of a token');
  if (oidText(fields.take(TAG.oid), 'the content of a token') !== TST_INFO) {
    throw asn1Fault('the content of a token is not TSTInfo');
  }
  const explicit = new Fields(fields.take(contextTag(0)), 'the content of a token', contextTag(0));
  const content = octets(explicit.take(TAG.octetString), 'TSTInfo');
  explicit.end();
  fields.end();
  return content;
}

function signerOf(node: Asn1): Omit<Token, 'info' | 'content' | 'certificates'> {
  const fields = new Fields(node, 'the signer');
  smallInteger(fields.take(TAG.integer), 'the version of the signer');
  const keyId = fields.optional(contextTag(0));
  const signer =
    keyId === null
      ? issuerAndSerial(fields.take(TAG.sequence))
      : { subjectKeyId: octets(keyId, 'the key id of the signer', contextTag(0)) };
  const digestAlgorithm = algorithmOf(fields.take(TAG.sequence), 'the hash of the signer');
  const attributes = fields.take(contextTag(0));
  const signatureAlgorithm = algorithmOf(fields.take(TAG.sequence), 'the algorithm of the signer');
  const signature = octets(fields.take(TAG.octetString), 'the signature');
  fields.optional(contextTag(1));
  fields.end();
  const values = readAttributes(attributes);
  const only = (type: string, what: string): Asn1 => {
    const value = values.get(type);
    if (value === undefined) throw asn1Fault(`the signed attributes lack ${what}`);
    return value;
  };
  if (oidText(only(ATTRIBUTE.contentType, 'the content type'), 'the content type') !== TST_INFO) {
    throw asn1Fault('the signed attributes are for content other than TSTInfo');
  }
  const first = values.get(ATTRIBUTE.signingCertificate);
  const second = values.get(ATTRIBUTE.signingCertificateV2);
  const signedFor = [...(first === undefined ? [] : [certificateHash(first, 1)])];
  if (second !== undefined) signedFor.push(certificateHash(second, 2));
  if (signedFor.length === 0) throw asn1Fault("the signed attributes do not name the signer's certificate (ESSCertID)");
  return {
    signer,
    digestAlgorithm,
    signatureAlgorithm,
    signature,
    // Signed is a SET OF; in its place in the token it has the tag [0] (RFC 5652 section 5.4).
    attributes: concat(Uint8Array.of(0x31), attributes.raw.subarray(1)),
    messageDigest: octets(only(ATTRIBUTE.messageDigest, 'the digest of the content'), 'the digest of the content'),
    signedFor,
  };
}

function issuerAndSerial(node: Asn1): SignerId {
  const fields = new Fields(node, 'the name of the signer');
  const issuer = fields.take(TAG.sequence).raw;
  const serial = integerBytes(fields.take(TAG.integer), 'the number of a certificate');
  fields.end();
  return { issuer, serial };
}

/** The only value of each attribute, by type. */
function readAttributes(node: Asn1): Map<string, Asn1> {
  const found = new Map<string, Asn1>();
  for (const each of itemsOf(node, 'the signed attributes', contextTag(0))) {
    const fields = new Fields(each, 'a signed attribute');
    const type = oidText(fields.take(TAG.oid), 'a signed attribute');
    const [value, another] = itemsOf(fields.take(TAG.set), 'a signed attribute', TAG.set);
    fields.end();
    if (found.has(type)) throw asn1Fault(`the signed attribute ${type} is there twice`);
    if (value === undefined || another !== undefined) throw asn1Fault(`the signed attribute ${type} has not one value`);
    found.set(type, value);
  }
  return found;
}

/** The first certificate of a SigningCertificate (RFC 2634) or SigningCertificateV2 (RFC 5035). */
function certificateHash(node: Asn1, version: 1 | 2): CertificateHash {
  const [first] = itemsOf(new Fields(node, 'ESSCertID').take(TAG.sequence), 'ESSCertID');
  if (first === undefined) throw asn1Fault('ESSCertID names no certificate');
  const fields = new Fields(first, 'ESSCertID');
  const algorithm = version === 1 ? null : fields.optional(TAG.sequence);
  const hash = octets(fields.take(TAG.octetString), 'ESSCertID');
  const issuerSerial = fields.optional(TAG.sequence);
  fields.end();
  return {
    algorithm: version === 1 ? null : algorithm === null ? SHA256 : algorithmOf(algorithm, 'ESSCertID'),
    hash,
    serial: issuerSerial === null ? null : serialOf(issuerSerial),
  };
}

function serialOf(node: Asn1): Uint8Array {
  const fields = new Fields(node, 'ESSCertID');
  fields.take(TAG.sequence);
  return integerBytes(fields.take(TAG.integer), 'the number of a certificate');
}

/** What an authority answers. */
export type TimeStampResponse =
  | { readonly granted: true /** DER. */; readonly token: Uint8Array }
  | { readonly granted: false /** Its status and what it says about it. */; readonly says: string };

const STATUS = ['granted', 'granted with changes', 'rejected', 'waiting', 'revocation warning', 'revoked'];
const FAILURES: Readonly<Record<number, string>> = {
  0: 'badAlg',
  2: 'badRequest',
  5: 'badDataFormat',
  14: 'timeNotAvailable',
  15: 'unacceptedPolicy',
  16: 'unacceptedExtension',
  17: 'addInfoNotAvailable',
  25: 'systemFailure',
};

/** A TimeStampResp. @throws FormatError `token-invalid` */
export function parseResponse(der: Uint8Array): TimeStampResponse {
  const fields = new Fields(readAsn1(der), 'a response');
  const info = new Fields(fields.take(TAG.sequence), 'the status of a response');
  const status = smallInteger(info.take(TAG.integer), 'the status of a response');
  const texts = info.optional(TAG.sequence);
  const failure = info.optional(0x03);
  const token = fields.optional(TAG.sequence);
  fields.end();
  if (status <= 1) {
    if (token === null) throw asn1Fault('a response grants a token and has none');
    return { granted: true, token: token.raw };
  }
  const words = (texts?.parts ?? []).map(({ content }) => new TextDecoder().decode(new Uint8Array(content)));
  const says = [STATUS[status] ?? `status ${status}`, ...failuresOf(failure), ...words].join(': ');
  return { granted: false, says: says.replaceAll(/\p{C}/gu, ' ').slice(0, 200) };
}

function failuresOf(node: Asn1 | null): string[] {
  const bytes = [...(node?.content.subarray(1) ?? [])];
  const set = bytes.flatMap((byte, i) =>
    Array.from({ length: 8 }, (_, bit) => (((byte << bit) & 0x80) === 0 ? null : 8 * i + bit)),
  );
  return set.flatMap((bit) => (bit === null ? [] : [FAILURES[bit] ?? `failure ${bit}`]));
}

/** Whether the certificate is the one that the token names as its signer's. */
export function isSigner({ signer }: Pick<Token, 'signer'>, { issuer, serial, extensions }: X509Certificate): boolean {
  if ('issuer' in signer) return equalBytes(signer.issuer, issuer) && equalBytes(signer.serial, serial);
  return extensions.subjectKeyId !== null && equalBytes(extensions.subjectKeyId, signer.subjectKeyId);
}
