// What would lead to a better verdict, for those who tell people what to do.

import { BITCOIN } from '../core/bitcoin-header.ts';
import type { Claim, Verdict } from '../core/verdict.ts';

/** A step, and the chains that it concerns (CAIP-2; an attestation to Bitcoin that names no chain counts as Bitcoin). */
export type NextStep =
  /** Give the content with the line ends that it had. */
  | { readonly step: 'line-ends' }
  /** Get the key that signed, or a receipt that the given key signed. */
  | { readonly step: 'key-of-log' }
  /** Ask other sources, since the times of two blocks contradict each other. */
  | { readonly step: 'other-times' }
  /** A tlog-proof or a COSE receipt has no time: the receipt has. */
  | { readonly step: 'receipt' }
  /** The place of the entry cannot be checked: give the content, or ask for a verifier of that application. */
  | { readonly step: 'leaf' }
  /** Get the COSE receipt with the entry in it. */
  | { readonly step: 'entry' }
  /** Get the receipt anew: a chain has changed since it was made. */
  | { readonly step: 'renew' }
  /** Get the receipt later: it is not on a chain yet, or not in a final block. */
  | { readonly step: 'later' }
  /** Ask the service of a timestamp authority again, once its next round has closed. */
  | { readonly step: 'later-round' }
  /** Have an .ots file completed by its calendars. */
  | { readonly step: 'complete' }
  /** Name a source; or give the hash of a block, where the proof has only its merkle root the whole header. */
  | { readonly step: 'source'; readonly chains: readonly string[]; readonly enough: 'hash' | 'header' }
  /** Name the CA of a timestamp authority. */
  | { readonly step: 'authority' }
  /** Ask another source: the one named could not say. */
  | { readonly step: 'other-source'; readonly chains: readonly string[] }
  /** Take a newer version of the verifier. */
  | { readonly step: 'version' }
  /** The time is proven, and whose log it is was not checked: give the log's key. */
  | { readonly step: 'key' };

const UNASKED = ['no-source', 'bitcoin-source-missing'];
const MUTE = ['source-failed', 'source-behind', 'source-without-index'];

/** What to do next, the most useful first; nothing after a refuted verdict. */
export function nextSteps({ result, claims }: Verdict): NextStep[] {
  if (result === 'refuted') return [];
  const has = (...codes: readonly string[]): boolean => claims.some(({ code }) => codes.includes(code));
  if (result === 'proven') return has('key-not-given') ? [{ step: 'key' }] : [];
  const steps: NextStep[] = [];
  if (has('content-re-ended')) steps.push({ step: 'line-ends' });
  if (has('signature-by-another-key', 'signature-not-found', 'key-not-for-this-log'))
    steps.push({ step: 'key-of-log' });
  if (has('times-contradict')) steps.push({ step: 'other-times' });
  if (has('leaf-unknown')) steps.push({ step: 'leaf' });
  if (has('cose-entry-missing')) steps.push({ step: 'entry' });
  const anchors = claims.filter(({ claim }) => claim === 'anchor');
  if (has('token-log-waiting')) steps.push({ step: 'later-round' });
  if (anchors.length === 0 && !has('round-pending', 'cose-consistency', 'cose-receipt-foreign'))
    steps.push({ step: 'receipt' });
  if (anchors.some(({ code }) => code === 'anchor-moved' || code === 'other-chain-instance'))
    steps.push({ step: 'renew' });
  if (has('round-pending', 'no-anchor', 'anchor-not-included', 'anchor-not-final')) steps.push({ step: 'later' });
  steps.push(...sourceSteps(anchors));
  if (has('authority-not-given', 'token-signer-missing', 'token-not-trusted')) steps.push({ step: 'authority' });
  if (has('attestation-pending')) steps.push({ step: 'complete' });
  if (
    has(
      'cose-receipt-foreign',
      'anchor-unknown',
      'proof-not-read',
      'attestation-unsupported',
      'attestation-unknown',
      'attestations-left-out',
      'token-unsupported',
    )
  ) {
    steps.push({ step: 'version' });
  }
  return steps;
}

function sourceSteps(anchors: readonly Claim[]): NextStep[] {
  const chainsOf = (codes: readonly string[]): string[] => [
    ...new Set(anchors.flatMap(({ code, chain = BITCOIN }) => (codes.includes(code) ? [chain] : []))),
  ];
  const [unasked, mute] = [chainsOf([...UNASKED, 'proof-missing']), chainsOf(MUTE)];
  // An attestation of an .ots file names no chain, and no block whose hash could be compared.
  const named = anchors.some(({ code, chain }) => chain !== undefined && UNASKED.includes(code));
  return [
    ...(unasked.length === 0 ? [] : [{ step: 'source', chains: unasked, enough: named ? 'hash' : 'header' } as const]),
    ...(mute.length === 0 ? [] : [{ step: 'other-source', chains: mute } as const]),
  ];
}
