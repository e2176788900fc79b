// How the result follows from the claims.

import { type Claim, type Moment, VERDICT_FORMAT, type Verdict } from '../core/verdict.ts';

/** Claims that refute all when refuted, whatever the anchors prove. */
const DECISIVE: readonly Claim['claim'][] = ['content', 'position', 'checkpoint', 'round'];

/** The verdict that claims come to. @param moments the blocks of its verified anchors */
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
