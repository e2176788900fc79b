import { randomBytes } from 'node:crypto';
import { zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AntequemError } from '../../src/core/errors.ts';
import {
  MAX_CONTENT_BYTES,
  PackedContents,
  packContents,
  type StoredContent,
  unpackContents,
} from '../../src/log/blocks/block.ts';
import { packAside } from '../../src/log/blocks/block-packer.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

function contents(nonceSize: number): fc.Arbitrary<StoredContent[]> {
  const nonce = bytes(nonceSize);
  const content: fc.Arbitrary<StoredContent> = fc.oneof(
    fc.record({ kind: fc.constant('payload' as const), payload: fc.uint8Array({ maxLength: 2_000 }), nonce }),
    fc.record({ kind: fc.constant('digest' as const), digest: bytes(32), nonce }),
    fc.record({ kind: fc.constant('erased' as const), commitment: bytes(32) }),
  );
  return fc.array(content, { minLength: 1, maxLength: 256, size: 'medium' });
}

const packed = fc
  .constantFrom(0, 16)
  .chain((nonceSize) => contents(nonceSize).map((list) => ({ list, nonceSize, bytes: packContents(list, nonceSize) })));

const plain = (list: readonly StoredContent[]): unknown[] =>
  list.map((content) =>
    Object.fromEntries(
      Object.entries(content).map(([name, value]) => [name, typeof value === 'string' ? value : toText(value)]),
    ),
  );
const toText = (value: Uint8Array): string => Buffer.from(value).toString('hex');

/** What unpacking answers: contents, or the code of its refusal. */
function unpacked(block: Uint8Array, count: number): unknown {
  try {
    return plain(unpackContents(block, count));
  } catch (error) {
    if (error instanceof AntequemError) return error.code;
    throw error;
  }
}

describe('the content of a block', () => {
  test('comes back as it was put in', () => {
    fc.assert(
      fc.property(packed, ({ list, bytes }) => {
        expect(plain(unpackContents(bytes, list.length))).toEqual(plain(list));
      }),
      { numRuns: 200 },
    );
  });

  test('is the same when it is packed on other threads, several at a time', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(packed, { minLength: 1, maxLength: 5 }), async (blocks) => {
        const aside = await Promise.all(blocks.map(({ list, nonceSize }) => packAside(list, nonceSize)));
        expect(aside.map(toText)).toEqual(blocks.map((block) => toText(block.bytes)));
      }),
      { numRuns: 50 },
    );
  });

  test('of large payloads is in parts, of which only the one asked for is unpacked', () => {
    const list: StoredContent[] = Array.from({ length: 200 }, (_, i) => {
      if (i % 50 === 7) return { kind: 'erased', commitment: randomBytes(32) };
      if (i % 50 === 8) return { kind: 'digest', digest: randomBytes(32), nonce: randomBytes(16) };
      return { kind: 'payload', payload: Buffer.alloc(2_000 + i, i), nonce: randomBytes(16) };
    });
    const block = packContents(list, 16);
    expect(block[0]).toBe(2);
    expect(plain(unpackContents(block, 200))).toEqual(plain(list));
    // Four parts of 50; the last byte is a digest of the last.
    expect(block.readUInt16BE(1)).toBe(50);
    const damaged = Buffer.from(block);
    damaged[damaged.length - block.readUInt32BE(15)] = 9;
    const read = new PackedContents(damaged, 200);
    expect(plain([0, 57, 149].map((at) => read.at(at)))).toEqual(plain([0, 57, 149].flatMap((at) => list[at] ?? [])));
    expect(() => read.at(150)).toThrow(AntequemError);
    expect(unpacked(damaged, 200)).toBe('block-invalid');
    for (const [width, count] of [
      [0, 200],
      [49, 200],
      [51, 200],
      [200, 200],
      [50, 201],
      [50, 150],
    ] as const) {
      const other = Buffer.from(block);
      other.writeUInt16BE(width, 1);
      expect(unpacked(other, count)).toBe('block-invalid');
    }
    expect(unpacked(block.subarray(0, -1), 200)).toBe('block-invalid');
    expect(unpacked(Buffer.concat([block, Buffer.alloc(1)]), 200)).toBe('block-invalid');
    expect(unpacked(block.subarray(0, 12), 200)).toBe('block-invalid');
  });

  test('cut anywhere, or with bytes behind it, is refused', () => {
    fc.assert(
      fc.property(packed, fc.nat(), ({ list, bytes }, at) => {
        expect(unpacked(bytes.subarray(0, at % bytes.length), list.length)).toBe('block-invalid');
        expect(unpacked(Buffer.concat([bytes, Buffer.alloc(1)]), list.length)).toBe('block-invalid');
      }),
      { numRuns: 200 },
    );
  });

  test('taken for another number of entries, it is refused or is not what it was', () => {
    fc.assert(
      fc.property(packed, fc.integer({ min: 1, max: 256 }), ({ list, bytes }, count) => {
        fc.pre(count !== list.length);
        expect(unpacked(bytes, count)).not.toEqual(plain(list));
      }),
      { numRuns: 200 },
    );
  });

  test('altered in any byte, it is refused or is not what it was', () => {
    fc.assert(
      fc.property(packed, fc.nat(), fc.integer({ min: 1, max: 255 }), ({ list, bytes }, at, by) => {
        const other = Buffer.from(bytes);
        const place = at % bytes.length;
        other[place] = (other[place] ?? 0) ^ by;
        const result = unpacked(other, list.length);
        // A frame of zstd has bits that change nothing; the content is then what it was.
        if (typeof result !== 'string') expect(result).toHaveLength(list.length);
      }),
      { numRuns: 300 },
    );
  });

  test('is compressed where that helps, and only there', () => {
    const nonce = Buffer.alloc(16);
    const repeated = Array.from(
      { length: 256 },
      (): StoredContent => ({ kind: 'payload', payload: Buffer.alloc(200, 'line'), nonce }),
    );
    expect(packContents(repeated, 16).length).toBeLessThan(256 * 20);
    const random = Array.from(
      { length: 8 },
      (): StoredContent => ({ kind: 'payload', payload: randomBytes(1_000), nonce }),
    );
    expect(packContents(random, 16)[1]).toBe(0);
  });

  test('that unpacks to more than it says is not unpacked', () => {
    const bomb = zstdCompressSync(Buffer.alloc(64 << 20));
    const head = Buffer.from([1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    head.writeUInt32BE(bomb.length, 7);
    for (const length of [0, 4, 1 << 20, 64 << 20]) {
      head.writeUInt32BE(length, 3);
      expect(unpacked(Buffer.concat([head, bomb]), 1)).toBe('block-invalid');
    }
    expect(unpacked(Buffer.alloc(MAX_CONTENT_BYTES + 1, 1), 1)).toBe('block-invalid');
  });
});
