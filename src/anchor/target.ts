import type { Beacon } from '../core/round.ts';
import type { RollbackState } from '../log/rollback.ts';

/** A final block, and the time in milliseconds since the Unix epoch that its header has. */
export interface FinalBlock extends Beacon {
  readonly time: number;
}

/** Where rounds are anchored, such as a contract on a chain and the account that pays. Each kind implements it. */
export interface AnchorTarget {
  /** Letters, digits and `-`. */
  readonly name: string;
  /** CAIP-2. */
  readonly chain: string;
  /** Adds the target to the database; called first. @throws AntequemError `target-differs` and those of its kind */
  register(): Promise<void>;
  /**
   * Takes these rounds as far as they go now, in bounded time. Failures outside are noted as problems of the rounds; only
   * errors of the database are thrown.
   * @returns for each round the milliseconds until the next look; null: none is needed
   */
  advance(rounds: readonly number[]): Promise<Map<number, number | null>>;
  /** At most this many unfinished rounds, the oldest first, whether or not jobs for them exist. */
  unfinished(most: number): Promise<number[]>;
  /** Checks what does not belong to single rounds, such as whether the chain is still the same one. */
  inspect(): Promise<void>;
  /** The newest final block of its chain; null if it cannot be read within two seconds. Never throws. */
  newestFinalBlock(): Promise<FinalBlock | null>;
  /** Looks for rounds that were anchored for this service and that the database lacks; if there are, it was set back. */
  compare(rollback: RollbackState): Promise<void>;
  /** What the clocks of those that it asks show now, milliseconds since the Unix epoch; null or absent: nothing. */
  readonly calendarTime?: number | null;
  close(): void;
}
