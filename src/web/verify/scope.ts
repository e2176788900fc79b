// How far a proof reaches: what it shows and what not, whether its block is final, how exact its time is.

import { type Moment, upperTime } from '../../core/moment.ts';
import type { Claim, Verdict } from '../../core/verdict.ts';
import { chainName } from '../parts/chains.ts';
import { formatMoment } from '../parts/units.ts';
import type { ChosenContent, VerifiedProof } from './state.ts';

/** Whether the content itself was read. Without it nothing is certified: the result speaks of a digest alone. */
export function wasRead(content: ChosenContent | null): content is Exclude<ChosenContent, { kind: 'digest' }> {
  return content !== null && content.kind !== 'digest';
}

export const NOT_PROVEN =
  'who wrote it, whether it is true, and when it was first written. It may be older than that time.';

/** What the time means for the content that was read; null where none was. */
export function unchanged({ content }: VerifiedProof): string | null {
  return wasRead(content) ? `The ${content.kind} that was read in this check is unchanged since that time.` : null;
}

/** Name and value of each row on paper; none where no time is proven. */
export function scopeRows(shown: VerifiedProof): [name: string, value: string][] {
  const { verdict } = shown;
  const { existedBefore } = verdict;
  if (existedBefore === null) return [];
  const time = formatMoment(upperTime(existedBefore));
  const final = finality(verdict);
  return [
    ['This is proven', `The digest was known before ${time}. ${unchanged(shown) ?? 'No file was read.'}`],
    ['This is not proven', NOT_PROVEN],
    ...(final === null ? [] : [['Final', final] as [string, string]]),
    ['Tolerance', toleranceOf(existedBefore)],
  ];
}

/** The claim that the proven time rests on. */
export function provingClaim({ claims, existedBefore }: Verdict): Claim | undefined {
  return claims.find(
    ({ claim, status, time }) => claim === 'anchor' && status === 'verified' && time === existedBefore?.time,
  );
}

/** Whether the block is final, and who says so; null where no block is concerned. */
export function finality(verdict: Verdict): string | null {
  const { existedBefore } = verdict;
  if (existedBefore === null || !('chain' in existedBefore)) return null;
  switch (provingClaim(verdict)?.grounds) {
    case 'rpc':
      return 'The block is final, by the node that was named.';
    case 'esplora':
    case 'bitcoin-node':
      return 'The block is final, by the source that was named: at least six blocks confirm it.';
    default:
      return `Whether the block is final was not checked, since it was entered by hand. ${howFinal(existedBefore.chain)}`;
  }
}

function howFinal(chain: string): string {
  if (chain.startsWith('bip122:')) return 'On Bitcoin six confirmations are enough; explorers show their number.';
  return chain === 'eip155:1'
    ? 'On Ethereum it takes about 15 minutes; explorers then call it finalized.'
    : 'Explorers of the chain show it.';
}

function toleranceOf(moment: Moment): string {
  const { tolerance = 0 } = moment;
  const by = 'chain' in moment ? chainName(moment.chain) : 'the authority';
  return tolerance === 0
    ? `None: the time that a block of ${by} is stamped with counts as it is.`
    : `A stamp of ${by} can be ${spanOf(tolerance)} off either way. That is counted in.`;
}

/** @param ms of whole hours or less than one */
export function spanOf(ms: number): string {
  return ms % 3_600_000 === 0 ? `${ms / 3_600_000} hours` : `${ms / 1_000} seconds`;
}
