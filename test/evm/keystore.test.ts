import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encryptKeystoreJson, Signature, SigningKey } from 'ethers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keySigner, openSigner } from '../../src/evm/signer.ts';
import { signTransaction } from '../../src/evm/transaction.ts';
import { SENDER, SENDER_KEY } from '../support/anchoring.ts';

// Test vector of the Web3 secret storage definition.
const GETH = {
  crypto: {
    cipher: 'aes-128-ctr',
    cipherparams: { iv: '6087dab2f9fdbbfaddc31a909735c1e6' },
    ciphertext: '5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46',
    kdf: 'pbkdf2',
    kdfparams: {
      c: 262_144,
      dklen: 32,
      prf: 'hmac-sha256',
      salt: 'ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd',
    },
    mac: '517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2',
  },
  id: '3198bc9c-6672-5ab3-d995-4942343ae5b6',
  version: 3,
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'antequem-keystore-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(name: string, content: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

test('the key in a file, and in a keystore: the same signer', async () => {
  const plain = await openSigner({ file: await file('key', `${SENDER_KEY}\n`) }, 'main');
  const account = { address: keySigner(SENDER_KEY).address, privateKey: SENDER_KEY };
  const keystore = await file('keystore', await encryptKeystoreJson(account, ' secret ', { scrypt: { N: 1024 } }));
  const sealed = await openSigner({ keystore, passwordFile: await file('password', ' secret \n') }, 'main');
  expect([plain.address, sealed.address]).toEqual([SENDER, SENDER]);
  const digest = `0x${'5a'.repeat(32)}`;
  expect(Signature.from(await sealed.sign(digest)).serialized).toBe(new SigningKey(SENDER_KEY).sign(digest).serialized);
});

test('the key with and without 0x, and nothing else', async () => {
  const bare = await openSigner({ file: await file('bare', `${SENDER_KEY.slice(2)}\n`) }, 'main');
  expect(bare.address).toBe(SENDER);
  for (const text of [
    `${SENDER_KEY}00`,
    SENDER_KEY.slice(3),
    `0X${SENDER_KEY.slice(2)}`,
    `0x0x${SENDER_KEY.slice(6)}`,
    '',
  ]) {
    expect(() => keySigner(text)).toThrow(expect.objectContaining({ code: 'evm-key' }));
  }
});

test('a keystore that another implementation wrote', async () => {
  const source = { keystore: await file('geth', JSON.stringify(GETH)), passwordFile: await file('pw', 'testpassword') };
  expect((await openSigner(source, 'main')).address).toBe('0x008aeeda4d805471df9b2a5b0f38a0c3bcba786b');
});

test('what is wrong is said, and nothing of a key or password', async () => {
  const account = { address: SENDER, privateKey: SENDER_KEY };
  const keystore = await file('sealed', await encryptKeystoreJson(account, 'hunter2', { scrypt: { N: 1024 } }));
  const passwordFile = await file('wrong', 'hunter3');
  const damaged = await file('damaged', JSON.stringify({ ...GETH, crypto: { ...GETH.crypto, kdf: 'none' } }));
  const none = join(folder, 'none');
  const cases = [
    [{ file: none }, 'key-unreadable', /^the key of the target main, .*none, cannot be read \(ENOENT\)$/],
    [
      { file: passwordFile },
      'evm-key',
      /^the key of the target main, .*wrong: not a private key: 64 hex digits, with or without 0x/,
    ],
    [{ keystore, passwordFile }, 'keystore-password', /^the password does not open the keystore .*sealed$/],
    [{ keystore: passwordFile, passwordFile }, 'keystore-invalid', /wrong is not a keystore/],
    [{ keystore: damaged, passwordFile }, 'keystore-invalid', /is damaged/],
    [{ keystore, passwordFile: none }, 'key-unreadable', /password of the target main/],
  ] as const;
  for (const [source, code, message] of cases) {
    const error: unknown = await openSigner(source, 'main').catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(String(error)).not.toMatch(/hunter|59c6995e/);
  }
});

test('a signer that signs for another account is not believed', async () => {
  const other = keySigner(`0x${'01'.repeat(32)}`);
  const fees = { maxFee: 2n, priorityFee: 1n, legacy: false };
  const unsigned = { chainId: 1, nonce: 0, to: SENDER, data: '0x', gasLimit: 21_000n, ...fees };
  await expect(signTransaction({ ...other, address: SENDER }, unsigned)).rejects.toMatchObject({
    code: 'signature-foreign',
  });
});
