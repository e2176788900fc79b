import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { type LineHashing, LineHashingThread } from '../../src/api/line-hashing.ts';
import { concat } from '../../src/core/bytes.ts';
import { commitTo } from '../../src/core/entry.ts';
import { MAX_ENTRY_BYTES } from '../../src/core/limits.ts';
import { acceptLines, cutLines } from '../../src/log/accept.ts';
import type { Accepted, Log } from '../../src/log/log.ts';

const THREAD = new URL('../../src/start/hashing-thread.ts', import.meta.url);
const FAILING = new URL('data:text/javascript,throw new Error("broken")');
const logOf = (blinded: boolean): Log => ({
  ...{ id: 1, name: 'lines', origin: 'lines.test/lines', logId: new Uint8Array(32) },
  ...{ blinded, createdAt: 0 },
});
const ENTRIES = 40_000;
/** Blank lines beside the 40,000 that make the thread worth it. */
const many = Buffer.from(Array.from({ length: ENTRIES / 8 }, (_, i) => `{"line":${i}}\n \n`).join(''));

const open: LineHashing[] = [];
afterEach(async () => {
  for (const hashing of open.splice(0)) await hashing.close();
});

function start(file = THREAD, clock = () => 0): LineHashingThread {
  const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
  const hashing = new LineHashingThread({ file, random, clock });
  open.push(hashing);
  return hashing;
}

/** Until the thread is used. */
async function warmUp(hashing: LineHashing): Promise<void> {
  for (let i = 0; i < 8; i++) await hashing.accept(logOf(true), [many]);
}

function demandRight(accepted: Accepted, lines: readonly Uint8Array[], nonceSize: number): void {
  const { drafts, commitments } = accepted;
  expect(drafts.map(({ digest }) => Buffer.from(digest))).toEqual(lines.map((line) => Buffer.from(sha256(line))));
  expect(drafts.map(({ payload }) => payload)).toEqual(acceptLines(lines).map(({ payload }) => payload));
  if (commitments === undefined) throw new Error('the thread was not used');
  expect(commitments.nonces).toHaveLength(nonceSize * lines.length);
  const expected = lines.map((line, i) =>
    commitTo(sha256(line), commitments.nonces.subarray(nonceSize * i, nonceSize * (i + 1))),
  );
  expect(Buffer.from(commitments.commitments).equals(Buffer.concat(expected))).toBe(true);
}

test.each([
  ['blinded', true, 16],
  ['not blinded', false, 0],
])('what the thread computes for a log that is %s is what the entries have', async (_, blinded, nonceSize) => {
  const hashing = start();
  await warmUp(hashing);
  const line = fc.uint8Array({ minLength: 1, maxLength: 300 });
  await fc.assert(
    fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 400 }), fc.nat(3_000), async (some, cut) => {
      const body = concat(many.subarray(0, 65_536), ...some.map((each) => concat(each, Uint8Array.of(0x0a))));
      const pieces = [body.subarray(0, cut), body.subarray(cut, 2 * cut), body.subarray(2 * cut)];
      demandRight(await hashing.accept(logOf(blinded), pieces), cutLines(body), nonceSize);
    }),
    { numRuns: 30 },
  );
});

test('a line larger than an entry is its digest alone there, too', async () => {
  const hashing = start();
  await warmUp(hashing);
  const body = concat(new Uint8Array(MAX_ENTRY_BYTES + 1).fill(0x61), Buffer.from('\nnext'), new Uint8Array(3 << 20));
  demandRight(await hashing.accept(logOf(true), [body]), cutLines(body), 16);
});

test('bodies that come together are each told their own', async () => {
  const hashing = start();
  await warmUp(hashing);
  const bodies = Array.from({ length: 6 }, (_, i) => Buffer.from(`${i} and its line\n`.repeat(5_000)));
  const accepted = await Promise.all(bodies.map((body) => hashing.accept(logOf(true), [body])));
  const [first, second, ...rest] = accepted.map((each, i) => ({ each, lines: cutLines(bodies[i] ?? many) }));
  for (const one of [first, second]) demandRight(one?.each ?? { drafts: [] }, one?.lines ?? [], 16);
  // The thread has two of them at most.
  for (const { each, lines } of rest) expect(each).toEqual({ drafts: acceptLines(lines) });
});

test('the thread is not used for few lines, small bodies, or once few come again', async () => {
  let now = 0;
  const hashing = start(THREAD, () => now);
  const isAside = async (body: Uint8Array): Promise<boolean> =>
    (await hashing.accept(logOf(true), [body])).commitments !== undefined;
  expect(await isAside(many)).toBe(false);
  await warmUp(hashing);
  expect(await isAside(many)).toBe(true);
  expect(await isAside(many.subarray(0, 60_000))).toBe(false);
  now = 1_500;
  expect(await isAside(many)).toBe(true);
  now = 4_000;
  expect(await isAside(many)).toBe(false);
});

test('a thread that fails, and one that is closed, hold up nobody', async () => {
  const failing = start(FAILING);
  await warmUp(failing);
  expect(await failing.accept(logOf(true), [many])).toEqual({ drafts: acceptLines(cutLines(many)) });
  const closed = start();
  await warmUp(closed);
  await closed.close();
  expect(await closed.accept(logOf(true), [many])).toEqual({ drafts: acceptLines(cutLines(many)) });
});
