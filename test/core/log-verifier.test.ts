import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { expect, test } from 'vitest';
import { utf8 } from '../../src/core/bytes.ts';
import { cosignatureOf, cosignedMessage, formatWitnessKey, parseWitnessKey } from '../../src/core/cosignature.ts';
import { checkLogSignature, parseLogVerifier } from '../../src/core/log-verifier.ts';
import { formatVerifierKey } from '../../src/core/note.ts';

const NAME = 'log.example/logs/demo';
const CHECKPOINT = `${NAME}\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n`;
const pkcs8 = Buffer.concat([Buffer.from('3034020100300b060960864801650304031104228020', 'hex'), Buffer.alloc(32, 5)]);
const secret = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
const publicKey = new Uint8Array(createPublicKey(secret).export({ format: 'der', type: 'spki' }).subarray(-1_312));
const text = formatWitnessKey(NAME, publicKey, 6);
const refused = expect.objectContaining({ name: 'FormatError', code: 'verifier-key' });

test('a key of a log is Ed25519 or ML-DSA-44', () => {
  expect(parseLogVerifier(text)).toMatchObject({ type: 6, name: NAME, publicKey });
  expect(parseLogVerifier(formatVerifierKey(NAME, new Uint8Array(32)))).toMatchObject({ type: 1, name: NAME });
});

test.each([
  ['of a witness', formatWitnessKey(NAME, new Uint8Array(32), 4)],
  ['of ML-DSA-44 that is too short', formatVerifierKey(NAME, new Uint8Array(1_311), 6)],
  ['of ML-DSA-44 with the wrong id', text.replace(/\+[0-9a-f]{8}\+/, '+00000000+')],
  ['of Ed25519 that is too long', formatVerifierKey(NAME, new Uint8Array(33))],
])('a key %s is refused', (_, key) => {
  expect(() => parseLogVerifier(key)).toThrow(refused);
});

test('a log signs by ML-DSA-44 without a time, which a witness may not', () => {
  const key = parseLogVerifier(text);
  const signed = (time: number, over = CHECKPOINT) =>
    cosignatureOf(parseWitnessKey(text), time, new Uint8Array(sign(null, cosignedMessage(NAME, over, time), secret)));
  const check = (...signatures: ReturnType<typeof signed>[]) =>
    checkLogSignature({ text: CHECKPOINT, signatures }, key);
  expect(check(signed(0))).toBe('verified');
  expect(check()).toBe('absent');
  expect(check(signed(0, CHECKPOINT.replace('\n1\n', '\n2\n')))).toBe('refuted');
  expect(check({ ...signed(0), signature: utf8('short') })).toBe('refuted');
});
