// Parses arguments of the command line. Error messages say what was expected.

import { InvalidArgumentError } from 'commander';
import { fromHex, HASH_HEX } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { parseHttpUrl } from '../core/http-url.ts';
import { checkLogName } from '../core/origin.ts';

/** The default address of a service. */
export const DEFAULT_URL = 'http://127.0.0.1:3963';

/** A parser of whole numbers from `min` to `max`. */
export function wholeNumberArgument(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) {
      throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

export function logName(text: string): string {
  try {
    checkLogName(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof AntequemError ? error.message : String(error));
  }
  return text;
}

/** 32 bytes of hex. */
export function digest(text: string): Uint8Array {
  return hexBytes(text, HASH_HEX, '64 hex digits');
}

/** A nonce: 16 bytes of hex, or none. */
export function nonce(text: string): Uint8Array {
  return hexBytes(text, /^(?:[0-9a-f]{32})?$/, '32 hex digits');
}

/** A digest by one of the hashes that .ots files and timestamp tokens name: 20, 32, 48 or 64 bytes of hex. */
export function fileDigestOption(text: string): Uint8Array {
  const form = /^(?:[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})$/;
  return hexBytes(text, form, '64 hex digits; 40 of SHA-1 or RIPEMD-160, 96 of SHA-384, 128 of SHA-512');
}

/** Upper-case digits are taken, too: some tools print them. */
function hexBytes(text: string, form: RegExp, expected: string): Uint8Array {
  const hex = text.toLowerCase();
  if (!form.test(hex)) throw new InvalidArgumentError(`Expected ${expected}.`);
  return fromHex(hex);
}

/** A block hash as EVM nodes write it, or Bitcoin's tools; or the header of a Bitcoin block. */
export function blockHash(text: string): string {
  if (!/^(?:(?:0x)?[0-9a-f]{64}|[0-9a-f]{160})$/i.test(text)) {
    throw new InvalidArgumentError(
      'Expected 64 hex digits, with 0x before them unless it is a Bitcoin block; or the 160 of a Bitcoin header.',
    );
  }
  return text.toLowerCase();
}

export function httpUrl(text: string): string {
  if (parseHttpUrl(text) === null) {
    throw new InvalidArgumentError('Expected a URL that begins with http:// or https://.');
  }
  return text;
}

/** Blocks that make final. */
export const confirmations = wholeNumberArgument(1, 1_000_000);

/** What `--confirmations` does. */
export const CONFIRMATIONS_HELP =
  'how many blocks make final on a chain whose nodes name no final block; the block of the anchor counts';

/** What `--tsa-ca` does. */
export const TSA_CA_HELP =
  'certificates (PEM or DER) of a CA of timestamp authorities (RFC 3161) that you trust, with those that tokens lack; may be repeated';

/** An option that may be given more than once. */
export function repeated<T>(parse: (text: string) => T): (text: string, before?: T[]) => T[] {
  return (text, before = []) => [...before, parse(text)];
}
