import { readFile } from 'node:fs/promises';
import { computeAddress, decryptKeystoreJson, isKeystoreJson, type Signature, SigningKey } from 'ethers';
import { AntequemError, FormatError } from '../core/errors.ts';

/** The key that pays. The interface is small, so that a key service can implement it. */
export interface EvmSigner {
  /** 0x and 40 lower-case hex digits. */
  readonly address: string;
  /** Signs 32 bytes, the Keccak-256 of an unsigned transaction (0x-hex). May throw, with or without having signed. */
  sign(digest: string): Promise<Signature>;
}

/** @param privateKey 64 hex digits, with or without 0x @throws FormatError `evm-key` */
export function keySigner(privateKey: string): EvmSigner {
  const [, digits] = /^(?:0x)?([0-9a-fA-F]{64})$/.exec(privateKey) ?? [];
  if (digits === undefined) {
    throw new FormatError('evm-key', 'not a private key: 64 hex digits, with or without 0x; the value is not shown');
  }
  const key = new SigningKey(`0x${digits}`);
  return { address: computeAddress(key).toLowerCase(), sign: async (digest) => key.sign(digest) };
}

/** A file with the key (64 hex digits, with or without 0x), or one with the encrypted key (Web3 secret storage, version 3). */
export type KeySource = { readonly file: string } | { readonly keystore: string; readonly passwordFile: string };

/**
 * The signer of a target. No message contains any part of a key or password.
 * @throws AntequemError `key-unreadable`, `keystore-password`, FormatError `evm-key`, `keystore-invalid`
 */
export async function openSigner(source: KeySource, target: string): Promise<EvmSigner> {
  if ('file' in source) {
    const key = (await readSecret(source.file, `the key of the target ${target}`)).trim();
    try {
      return keySigner(key);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      throw new FormatError(error.code, `the key of the target ${target}, ${source.file}: ${error.message}`);
    }
  }
  const [json, password] = await Promise.all([
    readSecret(source.keystore, `the keystore of the target ${target}`),
    readSecret(source.passwordFile, `the keystore's password of the target ${target}`),
  ]);
  return keystoreSigner(json, password, source.keystore);
}

/** @throws FormatError `keystore-invalid`, AntequemError `keystore-password` */
async function keystoreSigner(json: string, password: string, name: string): Promise<EvmSigner> {
  if (!isKeystoreJson(json)) {
    throw new FormatError(
      'keystore-invalid',
      `${name} is not a keystore (JSON of version 3, as geth and ethers write it)`,
    );
  }
  try {
    return keySigner((await decryptKeystoreJson(json, password)).privateKey);
  } catch (cause) {
    const wrong = cause instanceof Error && /incorrect password/i.test(cause.message);
    if (wrong) throw new AntequemError('keystore-password', `the password does not open the keystore ${name}`);
    throw new FormatError('keystore-invalid', `the keystore ${name} is damaged, or encrypted in an unknown way`);
  }
}

/** Without the line ends that editors add. Spaces stay: a password may begin or end with one. */
async function readSecret(file: string, what: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).replace(/(\r?\n)+$/, '');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
    throw new AntequemError('key-unreadable', `${what}, ${file}, cannot be read${code}`);
  }
}
