import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat, fromHex, toBase64, utf8 } from '../../src/core/bytes.ts';
import {
  checkNote,
  formatNote,
  formatSignature,
  formatVerifierKey,
  joinNotes,
  type Note,
  noteKeyId,
  parseNote,
  parseVerifierKey,
} from '../../src/core/note.ts';

const code = (...codes: string[]): unknown =>
  expect.objectContaining({ name: 'FormatError', code: expect.stringMatching(new RegExp(`^(${codes.join('|')})$`)) });
const secret = new Uint8Array(32).fill(9);
const publicKey = ed25519.getPublicKey(secret);
const name = 'log.example.org/logs/demo';
const key = parseVerifierKey(formatVerifierKey(name, publicKey));
const signed = (text: string, who = name, by = secret): Note => ({
  text,
  signatures: [{ name: who, keyId: noteKeyId(who, ed25519.getPublicKey(by)), signature: ed25519.sign(utf8(text), by) }],
});

describe('notes', () => {
  const line = fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => text.replace(/\p{Cc}/gu, ''));
  const text = fc.array(line, { minLength: 1, maxLength: 6 }).map((lines) => `${lines.join('\n')}\n`);
  const signature = fc.record({
    name: fc.stringMatching(/^[a-z0-9./]{1,30}$/),
    keyId: fc.uint8Array({ minLength: 4, maxLength: 4 }),
    signature: fc.uint8Array({ minLength: 2, maxLength: 80 }),
  });

  test('come back, whatever the text', () =>
    fc.assert(
      fc.property(text, fc.array(signature, { minLength: 1, maxLength: 4 }), (t, signatures) => {
        expect(parseNote(formatNote({ text: t, signatures }))).toEqual({ text: t, signatures });
      }),
      { numRuns: 500 },
    ));

  test('a text that looks like signatures is text: the last blank line divides', () => {
    const inner = formatNote(signed('inner\n'));
    const note = signed(`${inner}tail\n`);
    expect(parseNote(formatNote(note))).toEqual(note);
    expect(checkNote(parseNote(formatNote(note)), key)).toBe('verified');
    expect(checkNote(parseNote(formatNote(note).replace('inner', 'other')), key)).toBe('refuted');
  });

  const note = formatNote(signed('one\ntwo\n'));

  test('no prefix is a note, except one that ends in a whole signature line', () => {
    for (let length = 0; length < note.length; length++) {
      expect(() => parseNote(note.slice(0, length))).toThrow(code('note-invalid', 'base64-invalid'));
    }
  });

  test.each([
    ['a tab', note.replace('one', 'o\te')],
    ['a null', note.replace('one', 'o\u0000e')],
    ['a carriage return', note.replace('one\n', 'one\r\n')],
    ['delete', note.replace('one', 'o\u007fe')],
    ['half a surrogate pair', note.replace('one', 'o\ud800e')],
    ['no signature', 'one\ntwo\n\n'],
    ['no blank line', note.replace('\n\n', '\n')],
    ['a hyphen for the dash', note.replace('— ', '- ')],
    ['no dash', note.replace('— ', '')],
    ['two spaces', note.replace(`${name} `, `${name}  `)],
    ['a name with a plus', note.replace(name, `${name}+`)],
    ['a name with a space', note.replace(name, 'a b')],
    ['an empty name', note.replace(name, '')],
    ['a space at the end', note.replace(/\n$/, ' \n')],
    ['no newline at the end', note.slice(0, -1)],
    ['a blank line behind', `${note}\n`],
    ['text behind', `${note}tail`],
    ['a text line behind', `${note}tail\n`],
    ['base64 of another alphabet', note.replace(/ [^ ]{8}([^ ]+)$/, ' AA-_AA-_$1')],
    ['a signature of four bytes', `a\n\n— ${name} AAAAAA==\n`],
    [
      '65 signatures',
      `a\n\n${formatSignature({ name, keyId: new Uint8Array(4), signature: new Uint8Array(64) }).repeat(65)}`,
    ],
    ['262,145 characters', `${'a'.repeat(262_145 - note.length)}${note}`],
  ])('%s', (_, text) => {
    expect(() => parseNote(text)).toThrow(code('note-invalid', 'base64-invalid'));
  });

  test('one signature more than 64, and no fewer', () => {
    const line = formatSignature({ name, keyId: new Uint8Array(4), signature: new Uint8Array(64) });
    expect(parseNote(`a\n\n${line.repeat(64)}`).signatures).toHaveLength(64);
  });

  test('a signature spelled in a second way', () => {
    const note = `a\n\n— ${name} ${toBase64(new Uint8Array(5))}\n`;
    expect(parseNote(note).signatures).toHaveLength(1);
    expect(() => parseNote(note.replace('A=', 'B='))).toThrow(code('base64-invalid'));
  });
});

test('notes of one text are joined, with the lines of all; notes of different texts are refused', () => {
  const [a, b] = [signed('a\n'), signed('a\n', 'other.example.org/logs/x', new Uint8Array(32).fill(8))];
  const joined = { text: 'a\n', signatures: [...a.signatures, ...b.signatures] };
  expect(joinNotes([formatNote(a), formatNote(b)])).toBe(formatNote(joined));
  expect(joinNotes([formatNote(a)])).toBe(formatNote(a));
  for (const others of [[], [formatNote(signed('b\n'))], [formatNote(a), formatNote(signed('a\n\nb\n'))], ['a\n']]) {
    const notes = others.length === 1 ? [formatNote(a), ...others] : others;
    expect(() => joinNotes(notes)).toThrow(code('note-invalid'));
  }
});

describe('checking', () => {
  test('agrees with the signatures of node:crypto', () => {
    const der = concat(fromHex('302e020100300506032b657004220420'), secret);
    const nodeKey = createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' });
    expect(createPublicKey(nodeKey).export({ format: 'der', type: 'spki' }).subarray(-32)).toEqual(
      Buffer.from(publicKey),
    );
    const text = 'ä text\n';
    const signature = new Uint8Array(sign(null, utf8(text), nodeKey));
    const note = { text, signatures: [{ name, keyId: key.keyId, signature }] };
    expect(checkNote(parseNote(formatNote(note)), key)).toBe('verified');
  });

  test('any flipped bit of text or signature refutes, of the key id makes absent', () => {
    const note = signed('a\n');
    const [own] = note.signatures;
    const flip = (bytes: Uint8Array, bit: number): Uint8Array =>
      bytes.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
    for (let bit = 0; bit < 512; bit++) {
      const broken = { ...note, signatures: [{ ...own!, signature: flip(own!.signature, bit) }] };
      expect(checkNote(broken, key)).toBe('refuted');
    }
    for (let bit = 0; bit < 32; bit++) {
      expect(checkNote({ ...note, signatures: [{ ...own!, keyId: flip(own!.keyId, bit) }] }, key)).toBe('absent');
    }
    expect(checkNote({ ...note, text: 'b\n' }, key)).toBe('refuted');
    expect(checkNote({ ...note, signatures: [] }, key)).toBe('absent');
  });

  test('others’ signatures neither help nor harm; a second broken one of our own harms', () => {
    const other = signed('a\n', 'other.example.org/logs/x', new Uint8Array(32).fill(8)).signatures;
    const own = signed('a\n').signatures;
    const broken = own.map((s) => ({ ...s, signature: new Uint8Array(64) }));
    expect(checkNote({ text: 'a\n', signatures: [...other, ...own] }, key)).toBe('verified');
    expect(checkNote({ text: 'a\n', signatures: other }, key)).toBe('absent');
    expect(checkNote({ text: 'a\n', signatures: [...own, ...broken] }, key)).toBe('refuted');
    const short = own.map((s) => ({ ...s, signature: s.signature.slice(1) }));
    expect(checkNote({ text: 'a\n', signatures: short }, key)).toBe('refuted');
  });
});

describe('verifier keys', () => {
  const text = formatVerifierKey(name, publicKey);

  test('come back', () => expect(key).toEqual({ name, keyId: noteKeyId(name, publicKey), publicKey }));

  test('no prefix is one', () => {
    for (let length = 0; length < text.length; length++) {
      expect(() => parseVerifierKey(text.slice(0, length))).toThrow(code('verifier-key', 'base64-invalid'));
    }
  });

  test.each([
    ['another name', text.replace('demo', 'demp')],
    ['another id', text.replace(/\+[0-9a-f]/, '+z')],
    ['an id in upper case', text.replace(/\+([0-9a-f]{8})\+/, (_, id: string) => `+${id.toUpperCase()}A+`)],
    ['another type of key', `${name}+00000000+${toBase64(concat(new Uint8Array([2]), publicKey))}`],
    ['a short key', `${name}+00000000+${toBase64(concat(new Uint8Array([1]), publicKey.slice(1)))}`],
    ['no name', text.slice(name.length)],
    ['a newline behind', `${text}\n`],
    ['a space before', ` ${text}`],
  ])('%s', (_, other) => {
    expect(() => parseVerifierKey(other)).toThrow(code('verifier-key', 'base64-invalid'));
  });
});
