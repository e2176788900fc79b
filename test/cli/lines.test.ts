import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineBuffer, lineBatches } from '../../src/cli/lines.ts';
import { MAX_ENTRY_BYTES } from '../../src/core/limits.ts';

async function* chunksOf(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part, 'latin1');
}

const LIMITS = { lines: 3, bytes: MAX_ENTRY_BYTES + 2 };

async function bodies(chunks: AsyncIterable<Uint8Array>, limits = LIMITS): Promise<string[]> {
  const out: string[] = [];
  for await (const { body } of lineBatches(chunks, limits, 1000)) out.push(Buffer.from(body).toString('latin1'));
  return out;
}

test('however a stream is cut into chunks, the batches are its bytes, each of whole lines within the limit', async () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '\r', '\n', '\n', 'é'), maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(fc.array(text), async (parts) => {
      const whole = parts.join('');
      const batches = await bodies(chunksOf(...parts));
      expect(batches.join('')).toBe(whole);
      for (const [i, batch] of batches.entries()) {
        expect(batch).not.toBe('');
        expect(batch.split('\n').length - (batch.endsWith('\n') ? 1 : 0)).toBeLessThanOrEqual(3);
        if (i < batches.length - 1) expect(batch.endsWith('\n')).toBe(true);
      }
    }),
  );
});

test('blank lines are counted as lines and not as entries, a last line needs no newline', async () => {
  const batches = lineBatches(chunksOf('a\n\n \t\r\nb'), { ...LIMITS, lines: 100 }, 1000);
  expect((await batches.next()).value).toMatchObject({ entries: 2, lines: 4 });
});

test('a line of exactly the maximum size is sent unchanged', async () => {
  const longest = 'x'.repeat(MAX_ENTRY_BYTES);
  expect(await bodies(chunksOf(longest))).toEqual([longest]);
  expect(await bodies(chunksOf('a\n', longest, '\n'))).toEqual(['a\n', `${longest}\n`]);
});

test('larger lines become digests, in their places, however the stream is cut', async () => {
  const digestOf = (line: string): string => createHash('sha256').update(line, 'latin1').digest('hex');
  const long = (character: string, more: number): string => character.repeat(MAX_ENTRY_BYTES + more);
  const lines = ['a', long('x', 1), long(' ', 5), '', 'b', long('y', 3 << 20), long('z', 2)];
  const text = lines.join('\n');
  for (const end of ['', '\n']) {
    for (const step of [1_000_003, MAX_ENTRY_BYTES + 1, text.length]) {
      const parts: string[] = [];
      const whole = text + end;
      for (let at = 0; at < whole.length; at += step) parts.push(whole.slice(at, at + step));
      const seen: (string | undefined)[] = [];
      let bytes = 0;
      for await (const batch of lineBatches(chunksOf(...parts), LIMITS, 1000)) {
        if (batch.entries > 0) seen.push(batch.long?.digest ?? Buffer.from(batch.body).toString('latin1').trim());
        if (batch.long !== null) {
          const from = bytes;
          expect(batch.long.at.offset).toBe(from);
          const covered = whole.slice(from, from + batch.bytes);
          expect(Buffer.from(batch.long.first).toString('latin1')).toBe(covered.slice(0, 1_024));
          expect(Buffer.from(batch.long.last).toString('latin1')).toBe(covered.slice(-1_024));
        }
        bytes += batch.bytes;
      }
      expect(bytes).toBe(whole.length);
      expect(seen).toEqual(['a', ...[1, 4, 5, 6].map((i) => (i === 4 ? 'b' : digestOf(lines[i] ?? '')))]);
    }
  }
});

test('whole lines are sent when a pipe pauses', async () => {
  let release = (): void => {};
  const paused = new Promise<void>((resolve) => {
    release = resolve;
  });
  async function* pipe(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('first\nsec');
    await paused;
    yield Buffer.from('ond\n');
  }
  const batches = lineBatches(pipe(), LIMITS, 5);
  expect(Buffer.from((await batches.next()).value?.body ?? []).toString()).toBe('first\n');
  release();
  expect(Buffer.from((await batches.next()).value?.body ?? []).toString()).toBe('second\n');
  expect((await batches.next()).done).toBe(true);
});

test('a buffer keeps the beginning of a line for the next batch', () => {
  const lines = new LineBuffer(LIMITS, { offset: 0, line: 1 });
  lines.push(Buffer.from('a\nb'));
  expect(Buffer.from(lines.take()?.body ?? []).toString()).toBe('a\n');
  expect(lines.take()).toBeNull();
  lines.push(Buffer.from('c\n'));
  expect(Buffer.from(lines.take()?.body ?? []).toString()).toBe('bc\n');
});
