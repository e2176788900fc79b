// One stage of the path, and the status that its claims lead to.

import type { Claim } from '../../core/verdict.ts';
import type { Fact } from './facts.ts';

export interface PathStage {
  readonly id: string;
  readonly title: string;
  readonly status: Claim['status'];
  /** One line beside the title. */
  readonly gist: string;
  readonly claims: readonly Claim[];
  readonly facts: readonly Fact[];
  /** The position of a leaf, for the picture of a tree. */
  readonly leaf?: { readonly index: number; readonly size: number };
  /** Where it stands in the picture; on the path itself if it is not said. */
  readonly place?: 'beside' | 'anchor';
  /** CAIP-2; of anchors. */
  readonly chain?: string;
}

export function refutedBy(claims: readonly Claim[]): 'refuted' | null {
  return claims.some(({ status }) => status === 'refuted') ? 'refuted' : null;
}

export function worst(claims: readonly Claim[]): Claim['status'] {
  return refutedBy(claims) ?? (claims.length > 0 && claims.every(isVerified) ? 'verified' : 'unverified');
}

/** One of several attestations is enough. */
export function best(claims: readonly Claim[]): Claim['status'] {
  return claims.some(isVerified) ? 'verified' : (refutedBy(claims) ?? 'unverified');
}

const isVerified = ({ status }: Claim): boolean => status === 'verified';
