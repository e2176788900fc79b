import type { Beacon } from '../core/round.ts';

/**
 * Somewhere that rounds are anchored: a contract on a chain and the account that pays for it, or calendars and the chain
 * they stamp into.
 */
export interface AnchorTarget {
  /** Letters, digits and `-`. */
  readonly name: string;
  /** CAIP-2. */
  readonly chain: string;
  /** Makes the target known to the database, before anything else. @throws AntequemError where it contradicts that */
  register(): Promise<void>;
  /**
   * Takes these rounds as far as they go now, in a time that is bounded. Tells for each after how many milliseconds to
   * look again; null: no more. What the outside does is no error but a problem noted; throws what the database throws.
   */
  advance(rounds: readonly number[]): Promise<Map<number, number | null>>;
  /** Rounds that are not done with and that nobody need be waiting for, the oldest first, so many at most. */
  unfinished(most: number): Promise<number[]>;
  /** Looks after what concerns no round in particular, such as whether the chain is still the same. */
  inspect(): Promise<void>;
  /** The newest final block of its chain; null where that is not to be had within two seconds. Never throws. */
  newestFinalBlock(): Promise<Beacon | null>;
  close(): void;
}
