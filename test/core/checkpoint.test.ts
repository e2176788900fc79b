import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatCheckpoint, parseCheckpoint } from '../../src/core/checkpoint.ts';

const root = fc.uint8Array({ minLength: 32, maxLength: 32 });
const origin = fc.stringMatching(/^[a-z0-9./:_-]{1,100}$/);
const valid = 'log.example.org/logs/demo\n12\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n';

test('comes back', () =>
  fc.assert(
    fc.property(origin, fc.maxSafeNat(), root, (o, size, r) => {
      const checkpoint = { origin: o, size, root: r };
      expect(parseCheckpoint(formatCheckpoint(checkpoint))).toEqual(checkpoint);
    }),
  ));

test('no prefix or extension of a checkpoint is a checkpoint', () => {
  expect(parseCheckpoint(valid).size).toBe(12);
  for (let length = 0; length < valid.length; length++) {
    expect(() => parseCheckpoint(valid.slice(0, length))).toThrow(
      expect.objectContaining({ code: 'checkpoint-invalid' }),
    );
  }
  for (const tail of ['\n', ' ', 'extension\n', '\n\n', '\u0000']) {
    expect(() => parseCheckpoint(valid + tail)).toThrow(expect.objectContaining({ code: 'checkpoint-invalid' }));
  }
});

test.each([
  ['a size with a zero before it', valid.replace('12', '012')],
  ['a signed size', valid.replace('12', '+12')],
  ['a negative size', valid.replace('12', '-12')],
  ['a fraction', valid.replace('12', '1.2')],
  ['an exponent', valid.replace('12', '1e2')],
  ['2^53', valid.replace('12', '9007199254740992')],
  ['2^64', valid.replace('12', '18446744073709551616')],
  ['no size', valid.replace('12', '')],
  ['digits of another script', valid.replace('12', '١٢')],
  ['no origin', valid.replace(/^.*\n/, '\n')],
  ['an origin with a space', valid.replace('demo', 'de mo')],
  ['an origin with a plus', valid.replace('demo', 'de+mo')],
  ['an origin of 401 characters', valid.replace('demo', 'd'.repeat(401))],
  ['a short root', valid.replace('AAAA', '')],
  ['a long root', valid.replace('AAAA', 'AAAAAAAA')],
  ['a root in another alphabet', valid.replace('AAAA', 'AA-_')],
  ['an unpadded root', valid.replace('=', '')],
  ['line ends of Windows', valid.replaceAll('\n', '\r\n')],
  ['a byte order mark', `\ufeff${valid}`],
])('%s', (_, text) => {
  expect(() => parseCheckpoint(text)).toThrow(expect.objectContaining({ code: 'checkpoint-invalid' }));
});

test('a second spelling of the same root', () => {
  const text = valid.replace('A=', 'B=');
  expect(() => parseCheckpoint(text)).toThrow(expect.objectContaining({ code: 'base64-invalid' }));
});
