// `antequem-verdict/v1`: the one answer that command line, API, page and audit give.

import * as z from 'zod/mini';
import { blockHashSchema, chainSchema, countSchema, timeSchema } from './receipt-schema.ts';

export const VERDICT_FORMAT = 'antequem-verdict/v1';

const moment = z.strictObject({
  time: timeSchema,
  chain: chainSchema,
  block: z.strictObject({ number: countSchema(0), hash: blockHashSchema }),
});

const claim = z.strictObject({
  claim: z.enum(['content', 'position', 'checkpoint', 'round', 'not-before', 'received-at', 'anchor']),
  status: z.enum(['verified', 'refuted', 'unverified']),
  /** CAIP-2; of claims that speak of a chain. */
  chain: z.exactOptional(chainSchema),
  time: z.exactOptional(timeSchema),
  /** What the status rests on; `none` where nothing that could settle the claim was at hand. */
  grounds: z.enum(['bytes', 'key', 'rpc', 'block-hash', 'bitcoin-node', 'esplora', 'none']),
  /** Stable; docs/verdict-codes.md explains each. */
  code: z.string().check(z.regex(/^[a-z0-9]+(?:-[a-z0-9]+)*$/), z.maxLength(64)),
  /** One plain sentence. */
  says: z.string().check(z.minLength(1), z.maxLength(2_000)),
});

export const verdictSchema = z.strictObject({
  format: z.literal(VERDICT_FORMAT),
  result: z.enum(['proven', 'refuted', 'unproven']),
  /** The earliest block proven to hold the round's root: the digest was known before its time. */
  existedBefore: z.nullable(moment),
  /** The latest block proven to have gone into the round: the round is not older. The entry may be. */
  notBefore: z.nullable(moment),
  claims: z.array(claim).check(z.maxLength(64)),
});

export type Verdict = z.infer<typeof verdictSchema>;
export type Claim = z.infer<typeof claim>;
export type Moment = z.infer<typeof moment>;

/** Every code of a claim, and the status it stands for; docs/verdict-codes.md explains them. No code is ever reused. */
export const VERDICT_CODES = {
  'receipt-invalid': 'refuted',
  'tlog-proof-invalid': 'refuted',
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
  'witnesses-enough': 'verified',
  'witnesses-too-few': 'unverified',
  'witness-signature-broken': 'refuted',
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
  'anchor-unknown': 'unverified',
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
  'attestation-confirmed': 'verified',
  'attestation-differs': 'refuted',
  'attestation-pending': 'unverified',
  'attestation-unknown': 'unverified',
  'attestation-unsupported': 'unverified',
  'attestations-left-out': 'unverified',
  'timestamp-invalid': 'refuted',
  'bitcoin-source-missing': 'unverified',
  'round-not-shown': 'unverified',
} as const satisfies Record<string, Claim['status']>;

export type VerdictCode = keyof typeof VERDICT_CODES;

/** A claim whose status is the one its code stands for. */
export function claimOf(code: VerdictCode, rest: Omit<Claim, 'code' | 'status'>): Claim {
  const { claim, says, ...others } = rest;
  return { claim, status: VERDICT_CODES[code], ...others, code, says };
}

/** Claims that refute the whole when they are refuted, even if an anchor proves. */
const DECISIVE: readonly Claim['claim'][] = ['content', 'position', 'checkpoint', 'round'];

/** The verdict that the claims lead to. @param moments the blocks of the verified anchors */
export function verdictOf(claims: Claim[], moments: readonly Moment[], notBefore: Moment | null): Verdict {
  const refuted = claims.some(({ claim, status }) => status === 'refuted' && DECISIVE.includes(claim));
  const existedBefore = refuted ? null : earliest(moments);
  const anchorRefuted = claims.some(({ claim, status }) => claim === 'anchor' && status === 'refuted');
  return {
    format: VERDICT_FORMAT,
    result: existedBefore !== null ? 'proven' : refuted || anchorRefuted ? 'refuted' : 'unproven',
    existedBefore,
    notBefore: refuted ? null : notBefore,
    claims,
  };
}

/** Times of one form compare as text. */
function earliest(moments: readonly Moment[]): Moment | null {
  return moments.reduce<Moment | null>(
    (first, each) => (first === null || each.time < first.time ? each : first),
    null,
  );
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
