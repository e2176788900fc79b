// Reads the form's fields: the sources that the user trusts.

import { openEsplora } from '../../bitcoin/esplora.ts';
import { utf8 } from '../../core/bytes.ts';
import { parseCoseKey } from '../../core/cose-key.ts';
import { FormatError, messageOf } from '../../core/errors.ts';
import { parseHttpUrl } from '../../core/http-url.ts';
import { parsePolicy } from '../../core/policy.ts';
import { rpcSource } from '../../evm/rpc-source.ts';
import type { Trust } from '../../verify/verify.ts';

export type TrustField = 'rpc' | 'confirmations' | 'esplora' | 'key' | 'policy' | 'authority';
/** As typed: URLs separated by white space; a number of blocks; the text of a policy or of certificates. */
export type TrustTexts = Readonly<Record<TrustField, string>>;

export type TrustReading =
  | { readonly trust: Trust; readonly notes: readonly string[] }
  | { readonly faults: Readonly<Partial<Record<TrustField, string>>> };

const MOST = 8;

const partsOf = (text: string): string[] => text.split(/[\s,]+/).filter((part) => part !== '');

/**
 * Opens the sources. A Bitcoin source that does not answer is noted, not reported as a fault of the form.
 * @param blockHashes as pasted; what is none proves nothing
 */
export async function readTrust(texts: TrustTexts, blockHashes: readonly string[], now: number): Promise<TrustReading> {
  const faults: Partial<Record<TrustField, string>> = {};
  const attempt = <T>(field: TrustField, read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      faults[field] = messageOf(error);
      return undefined;
    }
  };
  const bounded = (field: TrustField): string[] => {
    const parts = partsOf(texts[field]);
    if (parts.length > MOST) throw new FormatError('too-many', `Enter at most ${MOST} of these.`);
    return parts;
  };
  const deep = attempt('confirmations', () => confirmations(texts.confirmations.trim())) ?? null;
  const evm = attempt('rpc', () => bounded('rpc').map((url) => rpcSource(url, { confirmations: deep })));
  const key = attempt('key', () => {
    const text = texts.key.trim();
    // It takes keys of checkpoints, too.
    if (text !== '') parseCoseKey(text);
    return text === '' ? undefined : text;
  });
  const policy = attempt('policy', () => (texts.policy.trim() === '' ? undefined : parsePolicy(utf8(texts.policy))));
  const urls = attempt('esplora', () => bounded('esplora').map(httpUrl)) ?? [];
  const pem = utf8(texts.authority.trim());
  if (pem.length > 0) {
    const { readCertificates } = await import('../../tsa/certificate.ts');
    attempt('authority', () => readCertificates(pem));
  }
  if (evm === undefined || Object.keys(faults).length > 0) return { faults };
  const opened = await Promise.allSettled(urls.map((url) => openEsplora(url)));
  const bitcoin = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const notes = opened.flatMap((each) => (each.status === 'rejected' ? [messageOf(each.reason)] : []));
  const authorities = pem.length === 0 ? [] : [pem];
  return { trust: { key, policy, evm, bitcoin, authorities, blockHashes, now }, notes };
}

/** Null: none were entered. */
function confirmations(text: string): number | null {
  if (text === '') return null;
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new FormatError('confirmations', 'Enter a whole number of blocks from 1 on.');
}

function httpUrl(text: string): string {
  if (parseHttpUrl(text) === null) {
    throw new FormatError('bitcoin-url', 'The address of a source must begin with http:// or https:// and a host.');
  }
  return text;
}
