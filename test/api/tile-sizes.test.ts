// The tile API where tiles become full: C2SP tlog-tiles, by its formulas written down anew.

import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TestService, testService } from '../support/service.ts';

const SIZES = [1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537];

let service: TestService;

beforeAll(async () => {
  service = await testService();
  await service.send('PUT', '/v1/logs/grown');
});
afterAll(() => service[Symbol.asyncDispose]());

const sha256 = (...parts: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest();
const node = (left: Uint8Array, right: Uint8Array): Buffer => sha256(Buffer.of(1), left, right);

/** MTH of RFC 6962 section 2.1 over hashes. */
function mth(hashes: readonly Buffer[]): Buffer {
  const [first] = hashes;
  if (first !== undefined && hashes.length === 1) return first;
  let k = 1;
  while (k * 2 < hashes.length) k *= 2;
  return node(mth(hashes.slice(0, k)), mth(hashes.slice(k)));
}

const slices = (bytes: Buffer): Buffer[] =>
  Array.from({ length: bytes.length / 32 }, (_, i) => bytes.subarray(i * 32, i * 32 + 32));

/** Indices below a million, as the specification spells them. */
function spell(index: number): string {
  const digits = String(index).padStart(6, '0');
  return index < 1_000 ? digits.slice(3) : `x${digits.slice(0, 3)}/${digits.slice(3)}`;
}

/** Appends until the log has so many entries. */
async function growTo(from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += 10_000) {
    const body = 'x\n'.repeat(Math.min(10_000, to - at));
    expect((await service.send('POST', '/v1/logs/grown/entries?split=lines', { body })).status).toBe(201);
  }
}

const get = (location: string) => service.send('GET', `/logs/grown/${location}`);

describe('at every size', () => {
  test.each(SIZES.map((size, i) => [size, SIZES[i - 1] ?? 0]))('%i', async (size, before) => {
    await growTo(before, size);
    const checkpoint = (await get('checkpoint')).text.split('\n');
    expect(checkpoint[1]).toBe(String(size));

    const status = async (location: string): Promise<number> => (await get(location)).status;
    const edge: Buffer[][] = [];
    for (let level = 0; level <= 3; level++) {
      const nodes = Math.floor(size / 256 ** level);
      const [full, width] = [Math.floor(nodes / 256), nodes % 256];
      for (const [kind, height] of level === 0
        ? ([
            ['entries', 75],
            ['0', 32],
          ] as const)
        : ([[level, 32]] as const)) {
        if (full > 0) {
          const { status, bytes } = await get(`tile/${kind}/${spell(full - 1)}`);
          expect([kind, status, bytes.length]).toEqual([kind, 200, 256 * height]);
        }
        const partial = await get(`tile/${kind}/${spell(full)}.p/${width === 0 ? 1 : width}`);
        expect([kind, partial.status]).toEqual([kind, width === 0 ? 404 : 200]);
        if (width > 0) expect([kind, partial.bytes.length]).toEqual([kind, width * height]);
        if (level === Number(kind)) edge[level] = width === 0 ? [] : slices(partial.bytes);
        // Nothing that is not full under the name of a full one, and nothing beyond.
        expect(await status(`tile/${kind}/${spell(full)}`)).toBe(404);
        if (width < 255) expect(await status(`tile/${kind}/${spell(full)}.p/${width + 1}`)).toBe(404);
        expect(await status(`tile/${kind}/${spell(full + 1)}.p/1`)).toBe(404);
      }
      // A hash of a level is the root over the full tile below it.
      const last = edge[level]?.at(-1);
      if (level > 0 && last !== undefined) {
        expect(mth(slices((await get(`tile/${level - 1}/${spell(nodes - 1)}`)).bytes))).toEqual(last);
      }
    }
    // Right of every full tile hangs what is left over.
    const root = edge.flatMap((hashes) => (hashes.length === 0 ? [] : [perfectParts(hashes)])).reduce(join);
    expect(checkpoint[2]).toBe(mthOfParts(root).toString('base64'));
  });

  test('and partial tiles of every size before stay', async () => {
    for (const [size, width] of [
      [255, 255],
      [1, 1],
    ] as const) {
      const [tile, full] = [await get(`tile/0/000.p/${width}`), await get('tile/0/000')];
      expect([size, tile.status]).toEqual([size, 200]);
      expect(tile.bytes).toEqual(full.bytes.subarray(0, width * 32));
    }
    expect((await get('tile/1/000.p/255')).bytes).toEqual((await get('tile/1/000')).bytes.subarray(0, 255 * 32));
  });
});

/** Perfect subtrees over equal hashes, the largest first. */
function perfectParts(hashes: readonly Buffer[]): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0, left = hashes.length; left > 0; ) {
    const width = 2 ** Math.floor(Math.log2(left));
    parts.push(mth(hashes.slice(at, at + width)));
    at += width;
    left -= width;
  }
  return parts;
}

const join = (right: Buffer[], left: Buffer[]): Buffer[] => [...left, ...right];
const mthOfParts = (parts: readonly Buffer[]): Buffer => parts.reduceRight((right, left) => node(left, right));
