import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { fromHex, toBase64, utf8 } from '../../src/core/bytes.ts';
import {
  checkCosignature,
  cosignatureOf,
  cosignedMessage,
  cosignedText,
  formatWitnessKey,
  isCheckable,
  parseWitnessKey,
} from '../../src/core/cosignature.ts';
import { verifyMlDsa44 as byNoble } from '../../src/core/ml-dsa.noble.ts';
import { verifyMlDsa44 as byNode } from '../../src/core/ml-dsa.node.ts';
import { formatNote, formatVerifierKey, type NoteSignature, parseNote } from '../../src/core/note.ts';

const NAME = 'witness.example/w1';
const TIME = 1_679_315_147;
// The example of C2SP tlog-cosignature.
const CHECKPOINT = 'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n';
const log: NoteSignature = {
  name: 'example.com/behind-the-sofa',
  keyId: fromHex('033de0ae'),
  signature: new Uint8Array(64),
};

// Signed by Node's own crypto.
function signer(type: number, prefix: string, length: number, messageOf: (text: string, time: number) => Uint8Array) {
  const pkcs8 = Buffer.concat([Buffer.from(prefix, 'hex'), Buffer.alloc(32, 5)]);
  const secret = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(secret).export({ format: 'der', type: 'spki' });
  const publicKey = new Uint8Array(spki.subarray(-length));
  const key = parseWitnessKey(formatWitnessKey(NAME, publicKey, type));
  const signed = (message: Uint8Array): Uint8Array => new Uint8Array(sign(null, message, secret));
  const cosigned = (time = TIME, text = CHECKPOINT): NoteSignature =>
    cosignatureOf(key, time, signed(messageOf(text, time)));
  const check = (...signatures: NoteSignature[]) =>
    checkCosignature(parseNote(formatNote({ text: CHECKPOINT, signatures: [log, ...signatures] })), key);
  return { key, publicKey, signed, cosigned, check };
}

const ed25519 = signer(4, '302e020100300506032b657004220420', 32, (text, time) => utf8(cosignedText(text, time)));
const mlDsa = signer(6, '3034020100300b060960864801650304031104228020', 1_312, (text, time) =>
  cosignedMessage(NAME, text, time),
);
const { publicKey } = ed25519;

test('what is signed is two lines and the checkpoint', () => {
  expect(cosignedText(CHECKPOINT, TIME)).toBe(`cosignature/v1\ntime 1679315147\n${CHECKPOINT}`);
});

test('with ML-DSA-44 it is the structure of the specification, with the name of the witness', () => {
  expect(Buffer.from(cosignedMessage('w', CHECKPOINT, TIME)).toString('hex')).toBe(
    [
      Buffer.from('subtree/v1\n\0').toString('hex'),
      '0177',
      '00000000641850cb',
      `1b${Buffer.from('example.com/behind-the-sofa').toString('hex')}`,
      '0000000000000000',
      '00000000013e2dc3',
      '0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62',
    ].join(''),
  );
});

test.each([
  [4, ed25519.publicKey],
  [6, mlDsa.publicKey],
])('keys are those of the specification: type %i, id over name, newline, type and key', (type, publicKey) => {
  const typed = Buffer.concat([Buffer.of(type), publicKey]);
  const id = createHash('sha256').update(`${NAME}\n`).update(typed).digest('hex').slice(0, 8);
  expect(formatWitnessKey(NAME, publicKey, type)).toBe(`${NAME}+${id}+${typed.toString('base64')}`);
});

test('a key of another type is read, and says nothing', () => {
  const unknown = parseWitnessKey(formatWitnessKey(NAME, publicKey, 0x25));
  expect([unknown, ed25519.key, mlDsa.key].map(isCheckable)).toEqual([false, true, true]);
  const line = { ...ed25519.cosigned(), keyId: unknown.keyId };
  expect(checkCosignature(parseNote(formatNote({ text: CHECKPOINT, signatures: [line] })), unknown)).toEqual({
    status: 'absent',
  });
});

test('Node and the code for browsers agree about ML-DSA-44', () => {
  const [message, wrong] = [utf8('a message'), utf8('another')];
  const signature = mlDsa.signed(message);
  for (const verify of [byNode, byNoble]) {
    expect(verify(signature, message, mlDsa.publicKey)).toBe(true);
    expect(verify(signature, wrong, mlDsa.publicKey)).toBe(false);
    expect(verify(new Uint8Array(2_420), message, mlDsa.publicKey)).toBe(false);
    expect(verify(signature, message, new Uint8Array(1_312))).toBe(false);
  }
});

test.each([
  [formatVerifierKey(NAME, publicKey), 'the key is that of a log (0x01), not of a witness (0x04 or 0x06)'],
  [formatVerifierKey(NAME, publicKey.slice(1), 4), 'the key has 31 bytes, one of Ed25519 (0x04) has 32'],
  [formatVerifierKey(NAME, new Uint8Array(1_311), 6), 'the key has 1311 bytes, one of ML-DSA-44 (0x06) has 1312'],
  [
    formatVerifierKey('n'.repeat(256), new Uint8Array(1_312), 6),
    'the name of a key of ML-DSA-44 has at most 255 bytes',
  ],
  [
    `${NAME}+00000000+${toBase64(new Uint8Array([4, ...publicKey]))}`,
    'the key id 00000000 is not that of this name and key',
  ],
  ['w', 'not a verifier key (name+8 hex digits+base64): "w"'],
])('%.60s… is not the key of a witness', (text, says) => {
  expect(() => parseWitnessKey(text)).toThrow(says);
});

describe.each([
  ['Ed25519', ed25519],
  ['ML-DSA-44', mlDsa],
])('a cosignature by %s', (_, { signed, cosigned, check }) => {
  test('holds', () => {
    const line = cosigned();
    expect(check(line)).toEqual({ status: 'verified', time: TIME, line });
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
      {
        ...cosigned(),
        signature: cosigned().signature.map((byte, i, { length }) => (i === length - 1 ? byte ^ 1 : byte)),
      },
    ],
    ['beyond 2^53', { ...cosigned(), signature: cosigned().signature.map((byte, i) => (i === 0 ? 0x20 : byte)) }],
    ['that is a plain signature', { ...cosigned(), signature: signed(utf8(CHECKPOINT)) }],
    ['one byte too long', { ...cosigned(), signature: new Uint8Array([...cosigned().signature, 0]) }],
  ])('%s is refuted, whatever stands beside it', (_, line) => {
    expect(check(line)).toEqual({ status: 'refuted' });
    expect(check(cosigned(), line)).toEqual({ status: 'refuted' });
    expect(check(line, cosigned())).toEqual({ status: 'refuted' });
  });
});
