import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { concat, fromHex, toHex } from '../../src/core/bytes.ts';
import { commitTo, encodeEntry, entryLeafHash, parseEntry } from '../../src/core/entry.ts';

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
const entry = fc.record({ receivedAt: fc.maxSafeNat(), previous: hash, commitment: hash });
const code = (value: string): unknown => expect.objectContaining({ name: 'FormatError', code: value });

test('73 bytes that come back', () =>
  fc.assert(
    fc.property(entry, (e) => {
      const bytes = encodeEntry(e);
      expect(bytes.length).toBe(73);
      expect(parseEntry(bytes)).toEqual(e);
      expect(entryLeafHash(e)).toEqual(sha256(concat(new Uint8Array([0]), bytes)));
    }),
  ));

test('every entry that is read encodes to the same bytes', () =>
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 73, maxLength: 73 }), fc.boolean(), (bytes, versioned) => {
      if (versioned) bytes.set([0x01, 0x00, 0x0f]);
      try {
        expect(toHex(encodeEntry(parseEntry(bytes)))).toBe(toHex(bytes));
      } catch (error) {
        expect(versioned).toBe(false);
        expect(error).toHaveProperty('code', expect.stringMatching(/^(entry-version|integer-range)$/));
      }
    }),
  ));

test('a byte too few or too many, another version, a time beyond 2^53', () => {
  const bytes = encodeEntry({ receivedAt: 1, previous: new Uint8Array(32), commitment: new Uint8Array(32) });
  for (let length = 0; length < 73; length++) {
    expect(() => parseEntry(bytes.slice(0, length))).toThrow(code('entry-length'));
  }
  expect(() => parseEntry(concat(bytes, new Uint8Array(1)))).toThrow(code('entry-length'));
  for (const version of [0, 2, 255]) {
    expect(() => parseEntry(concat(new Uint8Array([version]), bytes.slice(1)))).toThrow(
      expect.objectContaining({ code: 'entry-version', message: `unknown entry version ${version}` }),
    );
  }
  expect(() => parseEntry(concat(fromHex('010020000000000000'), bytes.slice(9)))).toThrow(code('integer-range'));
});

test('fields of other lengths are not encoded', () => {
  const e = { receivedAt: 1, previous: new Uint8Array(32), commitment: new Uint8Array(32) };
  for (const length of [0, 31, 33]) {
    expect(() => encodeEntry({ ...e, previous: new Uint8Array(length) })).toThrow(code('entry-length'));
    expect(() => encodeEntry({ ...e, commitment: new Uint8Array(length) })).toThrow(code('entry-length'));
    expect(() => commitTo(new Uint8Array(length), new Uint8Array(16))).toThrow(code('digest-length'));
  }
  for (const length of [1, 15, 17, 32]) {
    expect(() => commitTo(new Uint8Array(32), new Uint8Array(length))).toThrow(code('nonce-length'));
  }
  expect(() => encodeEntry({ ...e, receivedAt: -1 })).toThrow(code('integer-range'));
  expect(() => encodeEntry({ ...e, receivedAt: 1.5 })).toThrow(code('integer-range'));
});

test('a commitment is SHA-256(digest ‖ nonce), the nonce 16 bytes or none', () =>
  fc.assert(
    fc.property(hash, fc.uint8Array({ minLength: 16, maxLength: 16 }), (digest, nonce) => {
      expect(commitTo(digest, nonce)).toEqual(sha256(concat(digest, nonce)));
      expect(commitTo(digest, new Uint8Array(0))).toEqual(sha256(digest));
    }),
  ));
