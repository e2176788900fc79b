// Whether the times of a round fit together: what went into it must not be newer than what it went into.

import type { AnchorFinding } from '../core/anchor-verifier.ts';
import { lowerBound, lowerTime, lowest, upperBound, upperTime } from '../core/moment.ts';
import { type Claim, claimOf } from '../core/verdict.ts';
import type { NotBefore } from './not-before.ts';

/** What the sources say about a round. */
export interface RoundTimes {
  readonly notBefore: NotBefore;
  readonly findings: readonly AnchorFinding[];
}

/**
 * Where the lowest upper bound lies before the lower bound, one of the stamps is wrong by more than its tolerance, and the
 * verifier cannot tell which: neither is claimed (`times-contradict`).
 */
export function reconcile(times: RoundTimes): RoundTimes {
  const { notBefore, findings } = times;
  const upper = lowest(findings.flatMap(({ moment }) => (moment === null ? [] : [moment])));
  const lower = notBefore.moment;
  if (upper === null || lower === null || upperBound(upper) >= lowerBound(lower)) return times;
  const says =
    `The times contradict each other: by its anchor the round existed before ${upperTime(upper)}, by a block that it ` +
    `names it was formed after ${lowerTime(lower)}. One of the two blocks has a wrong time, so neither time counts: ask another source for both.`;
  const contradictory = ({ claim, time, chain }: Claim): Claim =>
    claimOf('times-contradict', {
      claim,
      ...(chain === undefined ? {} : { chain }),
      ...(time === undefined ? {} : { time }),
      grounds: 'none',
      says,
    });
  return {
    notBefore: {
      ...notBefore,
      moment: null,
      claims: notBefore.claims.map((claim) => (claim.status === 'verified' ? contradictory(claim) : claim)),
    },
    findings: findings.map(({ claim, moment }) =>
      claim.status === 'verified' ? { claim: contradictory(claim), moment: null } : { claim, moment },
    ),
  };
}
