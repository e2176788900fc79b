import { expect, test } from 'vitest';
import { concat, utf8 } from '../../src/core/bytes.ts';
import { formatCoseKey, parseCoseKey } from '../../src/core/cose-key.ts';
import { formatVerifierKey } from '../../src/core/note.ts';

const NAME = 'log.example/logs/demo';
const publicKey = new Uint8Array(32).fill(7);
const refused = expect.objectContaining({ name: 'FormatError', code: 'verifier-key' });

test('a key for COSE receipts is told from the one for checkpoints', () => {
  expect(parseCoseKey(formatCoseKey(NAME, publicKey))).toEqual({ name: NAME, publicKey });
  expect(parseCoseKey(formatVerifierKey(NAME, publicKey))).toBe('checkpoints');
});

test.each([
  ['named otherwise', formatVerifierKey(NAME, concat(utf8('jose'), publicKey), 0xff)],
  ['of another type', formatVerifierKey(NAME, concat(utf8('cose'), publicKey), 0xfe)],
  ['too short', formatVerifierKey(NAME, concat(utf8('cose'), publicKey.subarray(1)), 0xff)],
  ['too long', formatVerifierKey(NAME, concat(utf8('cose'), publicKey, publicKey), 0xff)],
  ['for checkpoints, but too long', formatVerifierKey(NAME, new Uint8Array(33), 1)],
])('a key %s is refused', (_, text) => {
  expect(() => parseCoseKey(text)).toThrow(refused);
});
