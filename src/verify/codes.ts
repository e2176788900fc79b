import type { Claim } from '../core/verdict.ts';

/** Every code a claim can bear, and the status it stands for; docs/verdict-codes.md explains them. Never reused. */
export const CODES = {
  'receipt-invalid': 'refuted',
  'content-matches': 'verified',
  'content-differs': 'refuted',
  'content-not-given': 'unverified',
  'position-by-key': 'verified',
  'position-by-bytes': 'verified',
  'position-broken': 'refuted',
  'previous-differs': 'refuted',
  'checkpoint-differs': 'refuted',
  'checkpoint-unreadable': 'refuted',
  'signature-holds': 'verified',
  'signature-broken': 'refuted',
  'signature-absent': 'refuted',
  'key-of-another-log': 'refuted',
  'key-not-given': 'unverified',
  'round-holds': 'verified',
  'round-broken': 'refuted',
  'link-broken': 'refuted',
  'round-pending': 'unverified',
  'beacon-confirmed': 'verified',
  'beacon-differs': 'refuted',
  'beacon-not-final': 'unverified',
  'no-beacon': 'unverified',
  'operators-word': 'unverified',
  'received-after-close': 'refuted',
  'received-after-anchor': 'refuted',
  'received-in-future': 'refuted',
  'anchor-final': 'verified',
  'anchor-proven': 'verified',
  'anchor-not-final': 'unverified',
  'anchor-not-included': 'unverified',
  'anchor-block-differs': 'refuted',
  'anchor-call-differs': 'refuted',
  'anchor-chain-differs': 'refuted',
  'anchor-event-missing': 'refuted',
  'anchor-transaction-failed': 'refuted',
  'anchor-transaction-missing': 'refuted',
  'anchor-reorganised': 'refuted',
  'no-anchor': 'unverified',
  'no-source': 'unverified',
  'source-behind': 'unverified',
  'source-failed': 'unverified',
  'source-without-index': 'unverified',
  'other-chain-instance': 'unverified',
  'proof-broken': 'refuted',
  'proof-missing': 'unverified',
  'proof-not-read': 'unverified',
  'bitcoin-source-missing': 'unverified',
  'round-not-shown': 'unverified',
} as const satisfies Record<string, Claim['status']>;

export type Code = keyof typeof CODES;

/** A claim whose status is the one its code stands for. */
export function claimOf(code: Code, rest: Omit<Claim, 'code' | 'status'>): Claim {
  const { claim, says, ...others } = rest;
  return { claim, status: CODES[code], ...others, code, says };
}
