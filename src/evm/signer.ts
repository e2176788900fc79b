import { computeAddress, type Signature, SigningKey } from 'ethers';
import { FormatError } from '../core/errors.ts';

/** A key that pays. Small enough for a key service to stand behind it. */
export interface EvmSigner {
  /** 0x and 40 lower-case hex digits. */
  readonly address: string;
  /** Signs 32 bytes, the Keccak-256 of an unsigned transaction (0x-hex). May throw, with or without having signed. */
  sign(digest: string): Promise<Signature>;
}

/** @param privateKey 0x and 64 hex digits @throws FormatError `evm-key` */
export function keySigner(privateKey: string): EvmSigner {
  if (!/^0x[0-9a-fA-F]{64}$/.test(privateKey)) {
    throw new FormatError('evm-key', 'not a private key: 0x and 64 hex digits; what was given is not shown');
  }
  const key = new SigningKey(privateKey);
  return { address: computeAddress(key).toLowerCase(), sign: async (digest) => key.sign(digest) };
}
