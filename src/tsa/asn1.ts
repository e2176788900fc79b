// Reading ASN.1 (BER and DER) by asn1js, with every part's exact bytes at hand: what was signed is never encoded anew.

import { BaseBlock, fromBER } from 'asn1js';
import { concatAll } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';

/** Tokens have some thousand bytes, certificates included; some authorities add revocation lists. */
export const MAX_TOKEN_BYTES = 65_536;

const LIMITS = { maxDepth: 32, maxNodes: 10_000, maxContentLength: MAX_TOKEN_BYTES, parseEmbedded: false };

/** Identifier octets, without the bit that marks constructed ones (X.690 section 8.1.2). */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  sequence: 0x10,
  set: 0x11,
  utcTime: 0x17,
  generalizedTime: 0x18,
} as const;

/** The tag of `[n]`. */
export const contextTag = (n: number): number => 0x80 | n;

export interface Asn1 {
  /** The identifier octet without the bit for constructed ones. */
  readonly tag: number;
  /** Identifier, length and content, as they were read. */
  readonly raw: Uint8Array;
  /** The parts of a constructed one; null: it is primitive. */
  readonly parts: readonly Asn1[] | null;
  /** The content of a primitive one. */
  readonly content: Uint8Array;
}

export const asn1Fault = (says: string): FormatError => new FormatError('token-invalid', says);

/** One value that fills the bytes. @throws FormatError `token-invalid` */
export function readAsn1(bytes: Uint8Array): Asn1 {
  if (bytes.length > MAX_TOKEN_BYTES) throw asn1Fault(`more than ${MAX_TOKEN_BYTES} bytes`);
  let read: ReturnType<typeof fromBER>;
  try {
    read = fromBER(new Uint8Array(bytes), LIMITS);
  } catch (cause) {
    throw new FormatError('token-invalid', 'not ASN.1', { cause });
  }
  if (read.offset === -1 || read.result.error !== '') throw asn1Fault('not ASN.1');
  if (read.offset !== bytes.length) throw asn1Fault('bytes follow the ASN.1 value');
  return nodeOf(read.result);
}

function nodeOf(block: BaseBlock): Asn1 {
  const raw = block.valueBeforeDecodeView;
  const tag = raw[0];
  if (tag === undefined || (tag & 0x1f) === 0x1f) throw asn1Fault('a tag that none of the formats has');
  const parts = (tag & 0x20) === 0 ? null : partsOf(block);
  const content = parts === null ? raw.subarray(raw.length - block.lenBlock.length) : new Uint8Array();
  return { tag: tag & 0xdf, raw, parts, content };
}

function partsOf({ valueBlock }: BaseBlock): Asn1[] {
  const inside: unknown = 'value' in valueBlock ? valueBlock.value : null;
  if (!Array.isArray(inside)) throw asn1Fault('a constructed value without parts');
  return inside.filter((each): each is BaseBlock => each instanceof BaseBlock).map(nodeOf);
}

/** The parts of a value, taken in their order. */
export class Fields {
  readonly #parts: readonly Asn1[];
  readonly #what: string;
  #next = 0;

  /** @param what such as `a certificate`, for errors @throws FormatError `token-invalid` where it is not this */
  constructor({ tag, parts }: Asn1, what: string, expected: number = TAG.sequence) {
    if (tag !== expected || parts === null) throw asn1Fault(`${what} has another form`);
    this.#parts = parts;
    this.#what = what;
  }

  /** @throws FormatError `token-invalid` */
  take(tag: number): Asn1 {
    const part = this.optional(tag);
    if (part === null) throw asn1Fault(`${this.#what} has another form`);
    return part;
  }

  optional(tag: number): Asn1 | null {
    const part = this.#parts[this.#next];
    if (part?.tag !== tag) return null;
    this.#next++;
    return part;
  }

  /** Whatever comes next. @throws FormatError `token-invalid` */
  any(): Asn1 {
    const part = this.#parts[this.#next++];
    if (part === undefined) throw asn1Fault(`${this.#what} is cut short`);
    return part;
  }

  /** @throws FormatError `token-invalid` where something is left */
  end(): void {
    if (this.#next < this.#parts.length) throw asn1Fault(`${this.#what} has more parts than it may`);
  }
}

/** The parts of a SEQUENCE OF or SET OF. @throws FormatError `token-invalid` */
export function itemsOf({ tag, parts }: Asn1, what: string, expected: number = TAG.sequence): readonly Asn1[] {
  if (tag !== expected || parts === null) throw asn1Fault(`${what} has another form`);
  return parts;
}

/** The bytes of an OCTET STRING, which BER may cut into several. @throws FormatError `token-invalid` */
export function octets({ tag, parts, content }: Asn1, what: string, expected: number = TAG.octetString): Uint8Array {
  if (tag !== expected) throw asn1Fault(`${what} is not an OCTET STRING`);
  return parts === null ? content : concatAll(parts.map((part) => octets(part, what)));
}

/** Dotted. @throws FormatError `token-invalid` */
export function oidText({ tag, content }: Asn1, what: string): string {
  const last = content[content.length - 1];
  if (tag !== TAG.oid || last === undefined || (last & 0x80) !== 0 || content.length > 40) {
    throw asn1Fault(`${what} is not an OBJECT IDENTIFIER`);
  }
  const arcs: bigint[] = [];
  let arc = 0n;
  for (const byte of content) {
    arc = (arc << 7n) | BigInt(byte & 0x7f);
    if ((byte & 0x80) !== 0) continue;
    arcs.push(arc);
    arc = 0n;
  }
  const [both = 0n, ...rest] = arcs;
  const first = both < 80n ? both / 40n : 2n;
  return [first, both - first * 40n, ...rest].join('.');
}

/** The content of an INTEGER: two's complement. @throws FormatError `token-invalid` */
export function integerBytes({ tag, parts, content }: Asn1, what: string, expected: number = TAG.integer): Uint8Array {
  if (tag !== expected || parts !== null || content.length === 0 || content.length > 64) {
    throw asn1Fault(`${what} is not an INTEGER`);
  }
  return content;
}

/** An INTEGER from 0 to 2^31. @throws FormatError `token-invalid` */
export function smallInteger(node: Asn1, what: string, expected: number = TAG.integer): number {
  const bytes = integerBytes(node, what, expected);
  const value = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  if ((bytes[0] ?? 0) > 127 || value > 0x7fff_ffff) throw asn1Fault(`${what} is out of range`);
  return value;
}

/** The bytes of a BIT STRING of whole bytes. @throws FormatError `token-invalid` */
export function bitStringBytes({ tag, parts, content }: Asn1, what: string): Uint8Array {
  if (tag !== TAG.bitString || parts !== null || content[0] !== 0)
    throw asn1Fault(`${what} is not a BIT STRING of bytes`);
  return content.subarray(1);
}

/** The OID of an AlgorithmIdentifier; its parameters are left to whoever knows the algorithm. @throws FormatError */
export function algorithmOf(node: Asn1, what: string): string {
  const fields = new Fields(node, what);
  return oidText(fields.take(TAG.oid), what);
}

/** Text of a primitive value in ASCII. @throws FormatError `token-invalid` */
export function asciiText({ parts, content }: Asn1, what: string): string {
  if (parts !== null || content.length > 64 || content.some((byte) => byte < 0x20 || byte > 0x7e)) {
    throw asn1Fault(`${what} is not plain text`);
  }
  return String.fromCharCode(...content);
}
