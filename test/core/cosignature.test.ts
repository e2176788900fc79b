import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { fromHex, toBase64, utf8 } from '../../src/core/bytes.ts';
import {
  checkCosignature,
  cosignatureOf,
  cosignedText,
  formatWitnessKey,
  parseWitnessKey,
} from '../../src/core/cosignature.ts';
import { formatNote, formatVerifierKey, type NoteSignature, parseNote } from '../../src/core/note.ts';

const NAME = 'witness.example/w1';
const TIME = 1_679_315_147;
// The example of C2SP tlog-cosignature.
const CHECKPOINT = 'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n';

// By Node's own Ed25519, which our code does not use.
const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, 5)]);
const secret = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
const publicKey = new Uint8Array(createPublicKey(secret).export({ format: 'der', type: 'spki' }).subarray(-32));
const key = parseWitnessKey(formatWitnessKey(NAME, publicKey));
const signed = (text: string): Uint8Array => new Uint8Array(sign(null, Buffer.from(text), secret));
const cosigned = (time = TIME, text = CHECKPOINT): NoteSignature =>
  cosignatureOf({ name: NAME, publicKey }, time, signed(cosignedText(text, time)));
const log: NoteSignature = {
  name: 'example.com/behind-the-sofa',
  keyId: fromHex('033de0ae'),
  signature: new Uint8Array(64),
};
const check = (...signatures: NoteSignature[]) =>
  checkCosignature(parseNote(formatNote({ text: CHECKPOINT, signatures: [log, ...signatures] })), key);

test('what is signed is two lines and the checkpoint', () => {
  expect(cosignedText(CHECKPOINT, TIME)).toBe(`cosignature/v1\ntime 1679315147\n${CHECKPOINT}`);
});

test('keys are those of the specification: type 0x04, id over name, newline, type and key', () => {
  const typed = Buffer.concat([Buffer.of(4), publicKey]);
  const id = createHash('sha256').update(`${NAME}\n`).update(typed).digest('hex').slice(0, 8);
  expect(formatWitnessKey(NAME, publicKey)).toBe(`${NAME}+${id}+${typed.toString('base64')}`);
});

test.each([
  [formatVerifierKey(NAME, publicKey), 'the key is not that of a witness (0x04 and 32 bytes, Ed25519)'],
  [formatVerifierKey(NAME, publicKey.slice(1), 4), 'the key is not that of a witness (0x04 and 32 bytes, Ed25519)'],
  [
    formatVerifierKey(NAME, new Uint8Array(1312), 6),
    'the key is one of ML-DSA-44 (0x06): take the Ed25519 key (0x04) of the witness',
  ],
  [
    `${NAME}+00000000+${toBase64(new Uint8Array([4, ...publicKey]))}`,
    'the key id 00000000 is not that of this name and key',
  ],
  ['w', 'not a verifier key (name+8 hex digits+base64): "w"'],
])('%.60s… is not the key of a witness', (text, says) => {
  expect(() => parseWitnessKey(text)).toThrow(says);
});

describe('a cosignature', () => {
  test('holds', () => {
    expect(check(cosigned())).toEqual({ status: 'verified', time: TIME, line: cosigned() });
  });

  test('is missing where only others signed', () => {
    expect(check()).toEqual({ status: 'absent' });
    expect(check({ ...cosigned(), name: 'witness.example/w2' })).toEqual({ status: 'absent' });
    expect(check({ ...cosigned(), keyId: fromHex('00000000') })).toEqual({ status: 'absent' });
  });

  test('the later counts where there are two', () => {
    expect(check(cosigned(TIME + 9), cosigned())).toMatchObject({ time: TIME + 9 });
  });

  test.each([
    ['of another checkpoint', cosigned(TIME, CHECKPOINT.replace('163', '164'))],
    ['of the checkpoint without time', { ...cosigned(), signature: cosigned().signature.slice(8) }],
    ['of no time', cosigned(0)],
    [
      'with an altered time',
      { ...cosigned(), signature: cosigned().signature.map((byte, i) => (i === 7 ? byte ^ 1 : byte)) },
    ],
    [
      'with an altered bit',
      { ...cosigned(), signature: cosigned().signature.map((byte, i) => (i === 71 ? byte ^ 1 : byte)) },
    ],
    ['beyond 2^53', { ...cosigned(), signature: cosigned().signature.map((byte, i) => (i === 0 ? 0x20 : byte)) }],
    ['that is a plain signature', { ...cosigned(), signature: signed(CHECKPOINT) }],
    ['one byte too long', { ...cosigned(), signature: new Uint8Array([...cosigned().signature, 0]) }],
  ])('%s is refuted, whatever stands beside it', (_, line) => {
    expect(check(line)).toEqual({ status: 'refuted' });
    expect(check(cosigned(), line)).toEqual({ status: 'refuted' });
    expect(check(line, cosigned())).toEqual({ status: 'refuted' });
  });

  test('is bound to the bytes of the text', () => {
    expect(utf8(cosignedText(CHECKPOINT, TIME))).toHaveLength(15 + 16 + CHECKPOINT.length);
  });
});
