import { toHex } from '../core/bytes.ts';

/** How far something was published: a log up to this size with this root, or the rounds up to this number. */
export interface Mark {
  readonly size: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
}

export interface Change {
  /** Origin of a log, or what the rounds of a service go by. */
  readonly subject: string;
  /** What must be recorded now; null: nothing. */
  readonly from: Mark | null;
  readonly to: Mark;
}

/**
 * Remembers what was published, in a place that is not restored together with the database: what the database has lost
 * shows in it. Any number of processes use one store at the same time.
 *
 * Every method throws AntequemError `guard-unavailable` where the store does not do it in a few seconds; whether a change
 * took place is then unknown.
 */
export interface PublishedStore {
  /** Where it is, for people; without secrets. */
  readonly name: string;
  /** What an operator should know: that a record was lost or damaged; null: nothing. */
  readonly problem?: string | null;
  /** What is recorded, one for each subject; null: nothing. Not older than any change that was made before. */
  read(subjects: readonly string[]): Promise<(Mark | null)[]>;
  /** All that is recorded. */
  all(): Promise<ReadonlyMap<string, Mark>>;
  /**
   * Records each change whose subject still is as `from` says, and tells for each whether that was so. Of two processes
   * that change the same subject from the same mark one is told no. Durable once it returns, as durable as the store is.
   */
  compareAndSet(changes: readonly Change[]): Promise<boolean[]>;
  close(): Promise<void>;
}

export function sameMark(a: Mark | null, b: Mark | null): boolean {
  return markText(a) === markText(b);
}

/** A mark in one word; two marks are the same where their texts are. */
export function markText(mark: Mark | null): string {
  return mark === null ? '-' : `${mark.size}:${toHex(mark.root)}`;
}
