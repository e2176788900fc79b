// What a block of entries holds, and its bytes; docs/formats.md describes them. Pure.

import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { NONCE_SIZE } from '../../core/entry.ts';
import { FormatError, messageOf } from '../../core/errors.ts';
import { MAX_ENTRY_BYTES } from '../../core/limits.ts';
import { TILE_WIDTH } from '../../core/tiles.ts';

/** Payloads of a block have this many bytes together at most. */
export const MAX_BLOCK_BYTES = MAX_ENTRY_BYTES;

/** What is kept of one entry besides its time. */
export type StoredContent =
  | { readonly kind: 'payload'; readonly payload: Uint8Array; readonly nonce: Uint8Array }
  /** The payload stayed with the client. */
  | { readonly kind: 'digest'; readonly digest: Uint8Array; readonly nonce: Uint8Array }
  | { readonly kind: 'erased'; readonly commitment: Uint8Array };

// A part: version 1 ‖ packing 1 ‖ bytes of a nonce 1 ‖ u32 bytes of the lengths and payloads ‖ u32 the same as packed
const HEAD_BYTES = 11;
const VERSION = 0x01;
const PLAIN = 0;
const ZSTD = 1;
const LENGTH_BYTES = 4;
const HASH_BYTES = 32;
const DIGEST_ALONE = 0xffff_ffff;
const ERASED = 0xffff_fffe;
// Several parts, so that reading one entry does not unpack all: version 1 ‖ u16 entries in each part ‖ u32 length of each
const PARTS_VERSION = 0x02;
const PARTS_HEAD_BYTES = 3;
/** Payloads of a part have about so many bytes. */
const PART_BYTES = 128 << 10;
const MAX_UNPACKED_BYTES = MAX_BLOCK_BYTES + LENGTH_BYTES * TILE_WIDTH;
/** More than this no content has: what is longer was not written by the service. */
export const MAX_CONTENT_BYTES =
  PARTS_HEAD_BYTES + MAX_UNPACKED_BYTES + (LENGTH_BYTES + HEAD_BYTES + 32 + NONCE_SIZE) * TILE_WIDTH;
/** Below this, compression costs more time than it saves space. */
const MIN_PACKED_BYTES = 512;
/** Of Node: the smallest chunk. */
const MIN_CHUNK_BYTES = 64;
/** How parts are compressed: zstd, level 1. */
export const COMPRESSION = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** Memory for what is needed for a moment only: it is used again and again. */
export class Workspace {
  #bytes = Buffer.allocUnsafeSlow(0);

  take(length: number): Buffer {
    if (this.#bytes.length < length) this.#bytes = Buffer.allocUnsafeSlow(Math.max(length, MAX_UNPACKED_BYTES));
    return this.#bytes.subarray(0, length);
  }
}

const workspace = new Workspace();

/** The bytes of these contents. @param nonceSize bytes of each nonce */
export function packContents(contents: readonly StoredContent[], nonceSize: number): Buffer {
  const parts = cutParts(contents);
  return joinParts(
    parts,
    parts.map((part) => {
      const unpacked = layOut(part, workspace);
      const smaller = isWorthPacking(unpacked) ? compressed(unpacked) : null;
      return sealPart(part, nonceSize, unpacked, smaller);
    }),
  );
}

/** In chunks of a quarter: most of it becomes smaller than one, and to get memory for all of it takes longer than to compress it. */
function compressed(bytes: Buffer): Buffer {
  return zstdCompressSync(bytes, { ...COMPRESSION, chunkSize: (bytes.length >> 2) + MIN_CHUNK_BYTES });
}

/** Contents in parts, all of one width but the last. */
export function cutParts(contents: readonly StoredContent[]): (readonly StoredContent[])[] {
  const width = Math.ceil(contents.length / Math.max(1, Math.ceil(bytesOfPayloads(contents) / PART_BYTES)));
  if (width >= contents.length) return [contents];
  const parts: StoredContent[][] = [];
  for (let at = 0; at < contents.length; at += width) parts.push(contents.slice(at, at + width));
  return parts;
}

/** The bytes of a block out of those of its parts. */
export function joinParts(parts: readonly (readonly StoredContent[])[], sealed: readonly Buffer[]): Buffer {
  const [only] = sealed;
  if (only !== undefined && sealed.length === 1) return only;
  const head = Buffer.allocUnsafe(PARTS_HEAD_BYTES + LENGTH_BYTES * sealed.length);
  head[0] = PARTS_VERSION;
  head.writeUInt16BE(parts[0]?.length ?? 0, 1);
  for (const [i, { length }] of sealed.entries()) head.writeUInt32BE(length, PARTS_HEAD_BYTES + LENGTH_BYTES * i);
  return Buffer.concat([head, ...sealed]);
}

/** Of all payloads together. */
export function bytesOfPayloads(contents: readonly StoredContent[]): number {
  let bytes = 0;
  for (const content of contents) if (content.kind === 'payload') bytes += content.payload.length;
  return bytes;
}

/** The lengths and payloads of a part, which may be compressed. */
export function layOut(contents: readonly StoredContent[], memory: Workspace): Buffer {
  const unpacked = memory.take(LENGTH_BYTES * contents.length + bytesOfPayloads(contents));
  let lengthAt = 0;
  let at = LENGTH_BYTES * contents.length;
  for (const content of contents) {
    if (content.kind === 'payload') {
      unpacked.writeUInt32BE(content.payload.length, lengthAt);
      unpacked.set(content.payload, at);
      at += content.payload.length;
    } else {
      unpacked.writeUInt32BE(content.kind === 'digest' ? DIGEST_ALONE : ERASED, lengthAt);
    }
    lengthAt += LENGTH_BYTES;
  }
  return unpacked;
}

export const isWorthPacking = (unpacked: Buffer): boolean => unpacked.length >= MIN_PACKED_BYTES;

/**
 * The bytes of a part.
 * @param unpacked as {@link layOut} made it
 * @param compressed the same compressed; null: it is not
 */
export function sealPart(
  contents: readonly StoredContent[],
  nonceSize: number,
  unpacked: Buffer,
  compressed: Uint8Array | null,
): Buffer {
  const isSmaller = compressed !== null && compressed.length < unpacked.length;
  const packed = isSmaller ? compressed : unpacked;
  let restBytes = 0;
  for (const { kind } of contents) restBytes += kind === 'erased' ? 32 : kind === 'digest' ? 32 + nonceSize : nonceSize;
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + packed.length + restBytes);
  bytes[0] = VERSION;
  bytes[1] = isSmaller ? ZSTD : PLAIN;
  bytes[2] = nonceSize;
  bytes.writeUInt32BE(unpacked.length, 3);
  bytes.writeUInt32BE(packed.length, 7);
  bytes.set(packed, HEAD_BYTES);
  let end = HEAD_BYTES + packed.length;
  for (const content of contents) {
    if (content.kind === 'erased') continue;
    bytes.set(content.nonce, end);
    end += nonceSize;
  }
  for (const content of contents) {
    if (content.kind === 'payload') continue;
    bytes.set(content.kind === 'digest' ? content.digest : content.commitment, end);
    end += 32;
  }
  return bytes;
}

/** SQL of a number in bytes, from this one on, counted from 1; what is not there counts as zeros. */
const numberIn = (bytes: string, from: string, length: number): string =>
  `('x' || encode(substring(${bytes} FROM ${from} FOR ${length}), 'hex'))::bit(${8 * length})::bigint`;

/**
 * SQL of the nonce of an entry that is not erased, in the content of a block, of which it reads some bytes; NULL without content.
 * Of a damaged content it is anything.
 * @param block its row @param position of the entry in it
 */
export const nonceInContent = (block: string, position: string): string => `
  SELECT CASE WHEN size = ANY ('{0,${NONCE_SIZE}}') THEN
           substring(content FROM least(begin + ${HEAD_BYTES} + packed + size * before, ${MAX_CONTENT_BYTES})::int FOR size::int) END
  FROM (SELECT content, begin, ${numberIn('content', 'begin + 2', 1)} AS size, ${numberIn('content', 'begin + 7', LENGTH_BYTES)} AS packed,
               ${position} - part_first - (SELECT count(*) FROM unnest(${block}.erased) AS e WHERE e >= part_first AND e < ${position}) AS before
        FROM (SELECT content, coalesce(${position} / width * width, 0) AS part_first,
                     CASE WHEN width IS NULL THEN 1 ELSE least(${MAX_CONTENT_BYTES},
                       1 + ${PARTS_HEAD_BYTES} + ${LENGTH_BYTES} * ((${block}.count + width - 1) / width)
                         + (SELECT coalesce(sum(${numberIn('content', `1 + ${PARTS_HEAD_BYTES} + ${LENGTH_BYTES} * n::int`, LENGTH_BYTES)}), 0)
                            FROM generate_series(0, ${position} / width - 1) AS n))::int END AS begin
              FROM (SELECT ${block}.content, CASE ${numberIn(`${block}.content`, '1', 1)}
                             WHEN ${PARTS_VERSION} THEN greatest(1, ${numberIn(`${block}.content`, '2', 2)}) END AS width
                    OFFSET 0) AS whole
              OFFSET 0) AS parts
        OFFSET 0) AS part`;

/** The contents of `count` entries; views of the bytes. @throws FormatError `block-invalid` */
export function unpackContents(bytes: Uint8Array, count: number): StoredContent[] {
  const contents = new PackedContents(bytes, count);
  return Array.from({ length: count }, (_, position) => contents.at(position));
}

/** The contents of `count` entries, of which only the parts are unpacked that are asked for. */
export class PackedContents {
  readonly #count: number;
  /** Entries of each part; the last may have fewer. */
  readonly #width: number;
  readonly #packed: readonly Buffer[];
  readonly #parts: (Part | undefined)[] = [];

  /** @throws FormatError `block-invalid` */
  constructor(bytes: Uint8Array, count: number) {
    const content = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (content.length < HEAD_BYTES || content.length > MAX_CONTENT_BYTES) throw invalid('has a wrong length');
    const hasParts = content[0] === PARTS_VERSION;
    this.#count = count;
    this.#width = hasParts ? content.readUInt16BE(1) : count;
    this.#packed = hasParts ? partsOf(content, count, this.#width) : [content];
  }

  /** A view of the bytes. @throws FormatError `block-invalid` */
  at(position: number): StoredContent {
    const part = Math.floor(position / this.#width);
    return this.#part(part).at(position - part * this.#width);
  }

  /** The payloads of the part that this entry is in, one behind the other, and the position behind its last entry. */
  partWith(position: number): { readonly payloads: Uint8Array; readonly end: number } {
    const part = Math.floor(position / this.#width);
    return { payloads: this.#part(part).payloads, end: Math.min(this.#count, (part + 1) * this.#width) };
  }

  /**
   * Gives back the memory of what was unpacked, once nobody has a view of it any more: the garbage collector would mark the whole
   * heap for it many times a second.
   */
  release(): void {
    for (const part of this.#parts.splice(0)) part?.release();
  }

  #part(part: number): Part {
    const packed = this.#packed[part];
    if (packed === undefined) throw invalid('has too few parts');
    const unpacked = this.#parts[part] ?? new Part(packed, Math.min(this.#width, this.#count - part * this.#width));
    this.#parts[part] = unpacked;
    return unpacked;
  }
}

function partsOf(content: Buffer, count: number, width: number): Buffer[] {
  const parts = Math.ceil(count / width);
  let at = PARTS_HEAD_BYTES + LENGTH_BYTES * parts;
  if (width === 0 || parts < 2 || at > content.length) throw invalid('has a wrong number of parts');
  const found = Array.from({ length: parts }, (_, i) => {
    const begin = at;
    at += content.readUInt32BE(PARTS_HEAD_BYTES + LENGTH_BYTES * i);
    return content.subarray(begin, at);
  });
  if (at !== content.length) throw invalid('does not have the length it names');
  return found;
}

/** One part, unpacked: where everything is in it. Views are made of the entries that are asked for. */
class Part {
  readonly #nonceSize: number;
  readonly #lengths: Uint32Array;
  /** Lengths, then payloads. */
  readonly #unpacked: Buffer;
  /** Where the payload of each entry begins in it. */
  readonly #payloadsAt: Uint32Array;
  /** Nonces, then hashes. */
  readonly #rest: Buffer;
  /** Where the nonce of each entry begins in it, and its hash. */
  readonly #noncesAt: Uint32Array;
  readonly #hashesAt: Uint32Array;

  /** @throws FormatError `block-invalid` */
  constructor(content: Buffer, count: number) {
    if (content.length < HEAD_BYTES) throw invalid('has a wrong length');
    const nonceSize = content[2];
    if (content[0] !== VERSION) throw invalid('has an unknown version');
    if (nonceSize !== 0 && nonceSize !== NONCE_SIZE) throw invalid('has nonces of a wrong length');
    const packedEnd = HEAD_BYTES + content.readUInt32BE(7);
    if (packedEnd > content.length) throw invalid('is cut short');
    const unpacked = unpack(content[1], content.subarray(HEAD_BYTES, packedEnd), content.readUInt32BE(3));
    if (unpacked.length < LENGTH_BYTES * count) throw invalid('has too few lengths');

    this.#nonceSize = nonceSize;
    this.#unpacked = unpacked;
    this.#rest = content.subarray(packedEnd);
    this.#lengths = new Uint32Array(count);
    this.#payloadsAt = new Uint32Array(count);
    this.#noncesAt = new Uint32Array(count);
    this.#hashesAt = new Uint32Array(count);
    let payloadsEnd = LENGTH_BYTES * count;
    let noncesEnd = 0;
    let hashesEnd = 0;
    for (let i = 0; i < count; i++) {
      const length = unpacked.readUInt32BE(LENGTH_BYTES * i);
      this.#lengths[i] = length;
      this.#payloadsAt[i] = payloadsEnd;
      this.#noncesAt[i] = noncesEnd;
      this.#hashesAt[i] = hashesEnd;
      if (length !== ERASED) noncesEnd += nonceSize;
      if (length === ERASED || length === DIGEST_ALONE) hashesEnd += HASH_BYTES;
      else payloadsEnd += length;
    }
    if (payloadsEnd !== unpacked.length || noncesEnd + hashesEnd !== this.#rest.length) {
      throw invalid('does not have the length it names');
    }
    for (let i = 0; i < count; i++) this.#hashesAt[i] = (this.#hashesAt[i] ?? 0) + noncesEnd;
  }

  release(): void {
    const { buffer } = this.#unpacked;
    // Of another size it is a slab of Node, with what others have, or what was read.
    if (buffer instanceof ArrayBuffer && buffer.byteLength === this.#unpacked.length + MIN_CHUNK_BYTES)
      buffer.transfer(0);
  }

  /** Of all entries, one behind the other. */
  get payloads(): Uint8Array {
    return this.#unpacked.subarray(LENGTH_BYTES * this.#lengths.length);
  }

  /** A view of the bytes. @throws FormatError `block-invalid` */
  at(position: number): StoredContent {
    const length = this.#lengths[position];
    if (length === undefined) throw invalid('has too few entries');
    const hash = (): Uint8Array => slice(this.#rest, this.#hashesAt[position], HASH_BYTES);
    if (length === ERASED) return { kind: 'erased', commitment: hash() };
    const nonce = slice(this.#rest, this.#noncesAt[position], this.#nonceSize);
    if (length === DIGEST_ALONE) return { kind: 'digest', digest: hash(), nonce };
    return { kind: 'payload', payload: slice(this.#unpacked, this.#payloadsAt[position], length), nonce };
  }
}

function slice(bytes: Buffer, from = 0, length = 0): Uint8Array {
  return bytes.subarray(from, from + length);
}

function unpack(packing: number | undefined, packed: Buffer, length: number): Buffer {
  if (length > MAX_UNPACKED_BYTES) throw invalid('is too large');
  if (packing === PLAIN && packed.length === length) return packed;
  if (packing !== ZSTD) throw invalid('is packed in an unknown way');
  let unpacked: Buffer;
  try {
    // One chunk, and room to see that nothing follows: by chunks of 16 kB it takes twice as long.
    unpacked = zstdDecompressSync(packed, {
      chunkSize: length + MIN_CHUNK_BYTES,
      maxOutputLength: Math.max(1, length),
    });
  } catch (cause) {
    throw new FormatError('block-invalid', `a block cannot be unpacked: ${messageOf(cause)}`, { cause });
  }
  if (unpacked.length !== length) throw invalid('does not have the length it names');
  return unpacked;
}

function invalid(how: string): FormatError {
  return new FormatError('block-invalid', `a block ${how}`);
}
