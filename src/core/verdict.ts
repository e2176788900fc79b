// `antequem-verdict/v1`: the one answer that command line, API, page and audit give.

import { lowest, type Moment } from './moment.ts';

export const VERDICT_FORMAT = 'antequem-verdict/v1';

export interface Claim {
  claim: 'content' | 'position' | 'checkpoint' | 'round' | 'not-before' | 'received-at' | 'anchor';
  status: 'verified' | 'refuted' | 'unverified';
  /** CAIP-2; of claims that speak of a chain. */
  chain?: string;
  time?: string;
  /** What the status rests on; `none`: nothing could settle the claim. */
  grounds: 'bytes' | 'key' | 'rpc' | 'block-hash' | 'bitcoin-node' | 'esplora' | 'tsa' | 'service' | 'none';
  /** Stable; docs/verdict-codes.md explains each. */
  code: string;
  /** One plain sentence. */
  says: string;
}

export interface Verdict {
  format: typeof VERDICT_FORMAT;
  result: 'proven' | 'refuted' | 'unproven';
  /** Of what is proven to hold the round's root the earliest: the digest was known before `time` plus `tolerance`. */
  existedBefore: Moment | null;
  /** Of what is proven to have gone into the round the latest: it is not older than `time` less `tolerance`; the entry may be. */
  notBefore: Moment | null;
  claims: Claim[];
}

/** Every code of a claim, and the status it stands for; docs/verdict-codes.md explains them. No code is ever reused. */
export const VERDICT_CODES = {
  'receipt-invalid': 'refuted',
  'receipt-ambiguous': 'unverified',
  'tlog-proof-invalid': 'refuted',
  'content-matches': 'verified',
  'content-differs': 'refuted',
  'content-re-ended': 'unverified',
  'content-not-given': 'unverified',
  'position-by-key': 'verified',
  'position-by-bytes': 'verified',
  'position-broken': 'refuted',
  'previous-differs': 'refuted',
  'leaf-unknown': 'unverified',
  'checkpoint-differs': 'refuted',
  'checkpoint-unreadable': 'refuted',
  'signature-holds': 'verified',
  'signature-broken': 'refuted',
  'signature-by-another-key': 'unverified',
  'signature-not-found': 'unverified',
  'key-not-for-this-log': 'unverified',
  'key-not-given': 'unverified',
  'witnesses-enough': 'verified',
  'witnesses-too-few': 'unverified',
  'witnesses-not-required': 'unverified',
  'witness-signature-broken': 'refuted',
  'cose-receipt-invalid': 'refuted',
  'cose-receipt-foreign': 'unverified',
  'cose-consistency': 'unverified',
  'cose-consistency-broken': 'refuted',
  'cose-consistency-by-key': 'verified',
  'cose-entry-missing': 'unverified',
  'cose-path-broken': 'refuted',
  'cose-position-by-key': 'verified',
  'cose-position-unchecked': 'unverified',
  'cose-signature-holds': 'verified',
  'cose-signature-broken': 'refuted',
  'round-holds': 'verified',
  'round-broken': 'refuted',
  'link-broken': 'refuted',
  'round-pending': 'unverified',
  'beacon-confirmed': 'verified',
  'beacon-not-on-chain': 'unverified',
  'beacon-not-final': 'unverified',
  'no-beacon': 'unverified',
  'operators-word': 'unverified',
  'received-after-close': 'refuted',
  'received-after-anchor': 'refuted',
  'received-ahead-of-clock': 'unverified',
  'times-contradict': 'unverified',
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
  'anchor-unknown': 'unverified',
  'anchor-moved': 'unverified',
  'no-anchor': 'unverified',
  'no-source': 'unverified',
  'source-behind': 'unverified',
  'source-failed': 'unverified',
  'source-without-index': 'unverified',
  'other-chain-instance': 'unverified',
  'proof-broken': 'refuted',
  'proof-missing': 'unverified',
  'proof-not-read': 'unverified',
  'attestation-confirmed': 'verified',
  'attestation-differs': 'refuted',
  'attestation-pending': 'unverified',
  'attestation-unknown': 'unverified',
  'attestation-unsupported': 'unverified',
  'attestations-left-out': 'unverified',
  'timestamp-invalid': 'refuted',
  'bitcoin-source-missing': 'unverified',
  'token-trusted': 'verified',
  'token-broken': 'refuted',
  'token-differs': 'refuted',
  'token-unfit': 'unverified',
  'token-not-trusted': 'unverified',
  'token-signer-missing': 'unverified',
  'token-unsupported': 'unverified',
  'authority-not-given': 'unverified',
  'token-logged': 'verified',
  'token-not-logged': 'refuted',
  'token-path-broken': 'refuted',
  'token-log-waiting': 'unverified',
  'token-log-unknown': 'unverified',
  'round-not-shown': 'unverified',
} as const satisfies Record<string, Claim['status']>;

export type VerdictCode = keyof typeof VERDICT_CODES;

/** A claim whose status is the one its code stands for. Its sentence begins with a capital letter. */
export function claimOf(code: VerdictCode, rest: Omit<Claim, 'code' | 'status'>): Claim {
  const { claim, says, ...others } = rest;
  const sentence = `${says.slice(0, 1).toUpperCase()}${says.slice(1)}`;
  return { claim, status: VERDICT_CODES[code], ...others, code, says: sentence };
}

/** Claims that refute the whole when they are refuted, even if an anchor proves. */
const DECISIVE: readonly Claim['claim'][] = ['content', 'position', 'checkpoint', 'round'];

/** Whether the claim refutes the whole, whatever an anchor says. */
export function isRefuting({ claim, status }: Claim): boolean {
  return status === 'refuted' && DECISIVE.includes(claim);
}

/**
 * What the user gave is not what the proof is about, without contradicting it; or the times do not fit together. Then
 * nothing is proven, whatever an anchor says.
 */
const WITHHOLDING: readonly string[] = [
  'content-re-ended',
  'signature-by-another-key',
  'signature-not-found',
  'key-not-for-this-log',
  'times-contradict',
] satisfies VerdictCode[];

/** Whether nothing is proven by this claim, whatever an anchor says. */
export function isWithholding({ code }: Claim): boolean {
  return WITHHOLDING.includes(code);
}

/** A trusted source has something else in this place. That need not contradict the proof, but no other source outvotes it. */
const OTHERWISE: readonly string[] = ['anchor-moved', 'beacon-not-on-chain'] satisfies VerdictCode[];

/** Whether a source's answer stands against those of others that confirm. */
export function isObjection({ status, code }: Claim): boolean {
  return status === 'refuted' || OTHERWISE.includes(code);
}

/** Of the answers of several sources the one that counts: an objection, else a confirmation, else the first. */
export function weightiest<T extends { readonly claim: Claim }>(answers: readonly T[]): T | null {
  return (
    answers.find(({ claim }) => isObjection(claim)) ??
    answers.find(({ claim }) => claim.status === 'verified') ??
    answers[0] ??
    null
  );
}

/** The verdict that the claims lead to. @param moments of the verified anchors */
export function verdictOf(claims: Claim[], moments: readonly Moment[], notBefore: Moment | null): Verdict {
  const refuted = claims.some(isRefuting);
  const withheld = claims.some(isWithholding);
  const proven = refuted ? null : lowest(moments);
  const existedBefore = withheld ? null : proven;
  const anchorRefuted = claims.some(({ claim, status }) => claim === 'anchor' && status === 'refuted');
  return {
    format: VERDICT_FORMAT,
    result: existedBefore !== null ? 'proven' : refuted || (anchorRefuted && proven === null) ? 'refuted' : 'unproven',
    existedBefore,
    notBefore: refuted ? null : notBefore,
    claims,
  };
}

/** Exit code of `verify` and `audit`: 0 proven against a trusted source, 1 refuted, 2 consistent but not proven. */
export function exitCode(verdict: Pick<Verdict, 'result'>): 0 | 1 | 2 {
  switch (verdict.result) {
    case 'proven':
      return 0;
    case 'refuted':
      return 1;
    case 'unproven':
      return 2;
  }
}
