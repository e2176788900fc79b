import { expect, test } from 'vitest';
import { encodingOf, proofText } from '../../src/core/proof-text.ts';

const utf16 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'utf16le'));
const swapped = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'utf16le').swap16());

test.each([
  ['utf-16le', utf16('{"a": 1}')],
  ['utf-16le', utf16('\uFEFF{"a": 1}')],
  ['utf-16be', swapped('{"a": 1}')],
  ['utf-16be', swapped('\uFEFF{"a": 1}')],
  ['utf-8', new Uint8Array(Buffer.from('{"a": 1}'))],
  ['utf-8', new Uint8Array(Buffer.from('\uFEFF{"a": 1}'))],
] as const)('text in %s is told and read', (encoding, bytes) => {
  expect(encodingOf(bytes)).toBe(encoding);
  expect(proofText(bytes)).toBe('{"a": 1}');
});

test.each([[], [0x7b], [0x00], [0xff], [0xfe], [0x00, 0x00], [0xfe, 0xfe], [0xff, 0xff], [0x7b, 0x22]])(
  'bytes that begin with %s %s count as UTF-8',
  (...bytes) => {
    expect(encodingOf(Uint8Array.from(bytes))).toBe('utf-8');
  },
);
