// A point in time that something outside the service vouches for, and how far its stamp may be off.

import { formatTime, MAX_TIME, parseTime } from './time.ts';

/** Miners may set the time of a Bitcoin block back to the median of the eleven before it, or two hours ahead. */
export const BITCOIN_TOLERANCE_MS = 7_200_000;

/** How far the time of a token may be off whose authority does not say. */
export const TOKEN_TOLERANCE_MS = 60_000;

interface Stamp {
  /** `YYYY-MM-DDTHH:MM:SS.sssZ`, as stamped. */
  time: string;
  /** Milliseconds that the stamp may be off either way; without it none. */
  tolerance?: number;
}

export interface BlockMoment extends Stamp {
  /** CAIP-2. */
  chain: string;
  block: { number: number; hash: string };
}

export interface AuthorityMoment extends Stamp {
  /** Subject of the signer's certificate (RFC 3161). */
  authority: string;
}

export type Moment = BlockMoment | AuthorityMoment;

/** The moment that a block of this chain stands for. Proof of stake and rollups stamp blocks exactly enough. */
export function blockMoment(chain: string, time: string, block: BlockMoment['block']): BlockMoment {
  return { time, ...(chain.startsWith('bip122:') ? { tolerance: BITCOIN_TOLERANCE_MS } : {}), chain, block };
}

/** The latest time that the stamp allows, in milliseconds: what the moment proves existed before this. */
export function upperBound({ time, tolerance: off = 0 }: Moment): number {
  return Math.min(parseTime(time) + off, MAX_TIME);
}

/** The earliest time that the stamp allows, in milliseconds: what was made after the moment is not older than this. */
export function lowerBound({ time, tolerance: off = 0 }: Moment): number {
  return Math.max(parseTime(time) - off, 0);
}

/** As `YYYY-MM-DDTHH:MM:SS.sssZ`. */
export const upperTime = (moment: Moment): string => formatTime(upperBound(moment));
export const lowerTime = (moment: Moment): string => formatTime(lowerBound(moment));

/** The one with the lowest upper bound; the first of equals. */
export function lowest<M extends Moment>(moments: readonly M[]): M | null {
  return moments.reduce<M | null>(
    (found, each) => (found === null || upperBound(each) < upperBound(found) ? each : found),
    null,
  );
}
