// The CBOR (RFC 8949) that COSE receipts are made of: integers, byte and text strings, arrays, maps, null and tags, in the
// deterministic encoding of section 4.2.1. Nothing else is written, and nothing else is read.

import { compareBytes, concat, utf8 } from './bytes.ts';
import { AntequemError, FormatError } from './errors.ts';

export type CborKey = number | string;
export type CborMap = ReadonlyMap<CborKey, Cbor>;
/** A number is an integer, below 2^53 either way. */
export type Cbor = number | string | Uint8Array | null | readonly Cbor[] | CborMap | CborTag;

export class CborTag {
  readonly tag: number;
  readonly value: Cbor;

  constructor(tag: number, value: Cbor) {
    this.tag = tag;
    this.value = value;
  }
}

/** Levels of arrays, maps and tags; a COSE receipt has six. */
const MAX_DEPTH = 8;
const NULL = 0xf6;

const UNSIGNED = 0;
const NEGATIVE = 1;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const TAG = 6;

export function isCborMap(value: Cbor | undefined): value is CborMap {
  return value instanceof Map;
}

export function isCborArray(value: Cbor | undefined): value is readonly Cbor[] {
  return Array.isArray(value);
}

/** The deterministic encoding: shortest lengths, keys of maps in the bytewise order of their encodings. */
export function encodeCbor(value: Cbor): Uint8Array {
  if (value === null) return Uint8Array.of(NULL);
  if (typeof value === 'number') return value < 0 ? head(NEGATIVE, -1 - value) : head(UNSIGNED, value);
  if (typeof value === 'string') return withLength(TEXT, utf8(value));
  if (value instanceof Uint8Array) return withLength(BYTES, value);
  if (value instanceof CborTag) return concat(head(TAG, value.tag), encodeCbor(value.value));
  if (isCborArray(value)) return concat(head(ARRAY, value.length), ...value.map(encodeCbor));
  if (!isCborMap(value)) throw new AntequemError('internal', 'not a value of CBOR');
  const members = [...value].map(([key, member]) => [encodeCbor(key), encodeCbor(member)] as const);
  members.sort(([a], [b]) => compareBytes(a, b));
  return concat(head(MAP, value.size), ...members.flat());
}

function withLength(type: number, bytes: Uint8Array): Uint8Array {
  return concat(head(type, bytes.length), bytes);
}

function head(type: number, argument: number): Uint8Array {
  if (!Number.isSafeInteger(argument) || argument < 0) throw new AntequemError('internal', 'not an integer of CBOR');
  const first = type << 5;
  if (argument < 24) return Uint8Array.of(first | argument);
  const size = argument < 2 ** 8 ? 1 : argument < 2 ** 16 ? 2 : argument < 2 ** 32 ? 4 : 8;
  const out = new Uint8Array(1 + size);
  out[0] = first | (24 + Math.log2(size));
  for (let i = size, rest = argument; i > 0; i--) {
    out[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return out;
}

/**
 * The one value that the bytes are the deterministic encoding of. Arrays and maps have at most as many members as there are
 * bytes.
 * @throws FormatError `cbor-invalid` where they are cut short, go on behind it or are not CBOR; `cbor-unsupported` where they
 *   may be CBOR of a kind that is not read here
 */
export function decodeCbor(bytes: Uint8Array): Cbor {
  const reader = new Reader(bytes);
  const value = reader.item(MAX_DEPTH);
  if (reader.offset !== bytes.length) throw invalid('there is something behind its end');
  return value;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

class Reader {
  offset = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  item(depth: number): Cbor {
    if (depth === 0) throw unsupported(`more than ${MAX_DEPTH} levels`);
    const [first = 0] = this.#take(1);
    if (first === NULL) return null;
    const type = first >> 5;
    if (type > TAG) throw unsupported('a float or a simple value');
    const argument = this.#argument(first & 0x1f);
    switch (type) {
      case UNSIGNED:
        return argument;
      case NEGATIVE:
        return -1 - argument;
      case BYTES:
        // A slice of a Buffer would be a view of it.
        return new Uint8Array(this.#take(argument));
      case TEXT:
        return this.#text(argument);
      case ARRAY:
        return this.#repeat(argument, () => this.item(depth - 1));
      case MAP:
        return this.#map(argument, depth);
      default:
        return new CborTag(argument, this.item(depth - 1));
    }
  }

  #argument(info: number): number {
    if (info < 24) return info;
    if (info === 31) throw unsupported('an indefinite length');
    if (info > 27) throw invalid('a reserved length');
    const size = 2 ** (info - 24);
    let value = 0;
    for (const byte of this.#take(size)) value = value * 256 + byte;
    if (!Number.isSafeInteger(value)) throw unsupported('an integer of 2^53 or more');
    if (value < (size === 1 ? 24 : 2 ** (4 * size))) throw unsupported('an integer that is not in its shortest form');
    return value;
  }

  #map(count: number, depth: number): CborMap {
    const members = new Map<CborKey, Cbor>();
    let before = new Uint8Array(0);
    this.#repeat(count, () => {
      const start = this.offset;
      const key = this.item(depth - 1);
      const encoded = this.#bytes.subarray(start, this.offset);
      if (typeof key !== 'number' && typeof key !== 'string') throw unsupported('a key that is no integer and no text');
      if (before.length > 0 && compareBytes(before, encoded) >= 0) throw unsupported('keys that are not in order');
      before = new Uint8Array(encoded);
      members.set(key, this.item(depth - 1));
    });
    return members;
  }

  /** Every member takes a byte at least: with a count beyond the bytes, reading ends where they do. */
  #repeat<T>(count: number, read: () => T): T[] {
    const all: T[] = [];
    for (let i = 0; i < count; i++) all.push(read());
    return all;
  }

  #text(length: number): string {
    try {
      return decoder.decode(this.#take(length));
    } catch (error) {
      if (error instanceof FormatError) throw error;
      throw invalid('a text that is not UTF-8');
    }
  }

  #take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.offset) throw invalid('cut short');
    this.offset += length;
    return this.#bytes.subarray(this.offset - length, this.offset);
  }
}

function invalid(what: string): FormatError {
  return new FormatError('cbor-invalid', `not CBOR: ${what}`);
}

function unsupported(what: string): FormatError {
  return new FormatError('cbor-unsupported', `CBOR that is not read here: ${what}`);
}
