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

test('a line of just the size of an entry passes, one byte more does not', async () => {
  const longest = 'x'.repeat(MAX_ENTRY_BYTES);
  expect(await bodies(chunksOf(longest))).toEqual([longest]);
  expect(await bodies(chunksOf('a\n', longest, '\n'))).toEqual(['a\n', `${longest}\n`]);
  for (const end of ['', '\n', '\nb\n']) {
    await expect(bodies(chunksOf('a\nb\n', `${longest}x${end}`))).rejects.toThrow(/line 3, which begins at byte 4,/);
  }
});

test('what is whole goes out when a pipe pauses', async () => {
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
