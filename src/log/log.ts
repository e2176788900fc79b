import type { TimeSource } from '../clock/clock.ts';

/** A log as its row describes it. */
export interface Log {
  readonly id: number;
  readonly name: string;
  readonly origin: string;
  /** 32 bytes: SHA-256(origin). */
  readonly logId: Uint8Array;
  /** Whether its entries bear nonces. */
  readonly blinded: boolean;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
}

/** So many entries, this root. */
export interface LogHead {
  readonly size: number;
  readonly root: Uint8Array;
}

/** One entry before it has a place. */
export interface Draft {
  /** 32 bytes: SHA-256 of the payload. */
  readonly digest: Uint8Array;
  /** Null where the client keeps it. */
  readonly payload: Uint8Array | null;
  /** 16 bytes that name the event it is: the log takes what it says once. Absent: it is nothing but an entry. */
  readonly event?: Uint8Array;
}

/** What makes the second sending of a request the first one's echo. */
export interface Idempotency {
  /** Whose key it is: the id of the API key, or empty. */
  readonly owner: string;
  readonly key: string;
  /** 32 bytes over what was asked. */
  readonly requestHash: Uint8Array;
  /** Milliseconds that the answer is kept for. Default and maximum: IDEMPOTENCY_TTL. */
  readonly lifetime?: number;
}

/** What one request asks to have appended: all of it, or nothing. */
export interface Submission {
  readonly drafts: readonly Draft[];
  readonly idempotency: Idempotency | null;
}

/** Where a submission stands, once that is durable. */
export interface Appended {
  /** Of the first entry. */
  readonly index: number;
  readonly count: number;
  /** Milliseconds since the Unix epoch. */
  readonly receivedAt: number;
  /** Of the last entry. */
  readonly digest: Uint8Array;
  /** Of the last entry. */
  readonly leafHash: Uint8Array;
}

/** Which of a submission's events the log knew. */
export interface Repeats {
  /** Events that were not appended: they stand in the log already, with this content. */
  readonly count: number;
  /** Events that were appended although the log knew their ids, as they came with other content. */
  readonly conflicting: number;
}

/** What became of a submission of events. */
export interface Logged {
  /** Those that were new; null: none was. */
  readonly appended: Appended | null;
  /** Positions of those among the drafts; null: all of them. */
  readonly fresh: readonly number[] | null;
  readonly repeats: Repeats;
}

/** The outside the log depends on. */
export interface Effects extends TimeSource {
  /** So many unpredictable bytes. */
  readonly random: (length: number) => Uint8Array;
}
