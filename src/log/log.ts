import type { TimeSource } from '../clock/clock.ts';
import type { Commitments } from './commitments.ts';

/** A log as its row describes it. */
export interface Log {
  readonly id: number;
  readonly name: string;
  readonly origin: string;
  /** 32 bytes: SHA-256(origin). */
  readonly logId: Uint8Array;
  /** Whether its entries have nonces. */
  readonly blinded: boolean;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: number;
}

/** Size and root. */
export interface LogHead {
  readonly size: number;
  readonly root: Uint8Array;
}

/** An entry that has no index yet. */
export interface Draft {
  /** 32 bytes: SHA-256 of the payload. */
  readonly digest: Uint8Array;
  /** Null where the client keeps it. */
  readonly payload: Uint8Array | null;
  /** 16 bytes that identify the event, which the log takes once. Absent: it is no event. */
  readonly event?: Uint8Array;
  /** Whether that covers the content: a repeat may then have another payload, such as a newer signature. */
  readonly idCoversContent?: true;
}

/** The key under which a repeated request gets its first answer. */
export interface Idempotency {
  /** The id of the API key, or empty. */
  readonly owner: string;
  readonly key: string;
  /** 32 bytes: a hash of the request. */
  readonly requestHash: Uint8Array;
  /** Milliseconds that the answer is kept for. Default and maximum: IDEMPOTENCY_TTL. */
  readonly lifetime?: number;
}

/** The entries of one request. */
export interface Accepted {
  readonly drafts: readonly Draft[];
  /** Of the drafts, for the log that they are appended to. Absent: they are not computed yet. */
  readonly commitments?: Commitments;
}

/** Entries that are appended all or none. */
export interface Submission extends Accepted {
  readonly idempotency: Idempotency | null;
}

/** The place of a durable submission. */
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

/** The events of a submission that the log knew. */
export interface Repeats {
  /** Events that were not appended, because the log has them with this content. */
  readonly count: number;
  /** Events that were appended although the log knew their ids, as they came with other content. */
  readonly conflicting: number;
}

/** The result of a submission of events. */
export interface Logged {
  /** The new ones; null: there were none. */
  readonly appended: Appended | null;
  /** Positions of those among the drafts; null: all of them. */
  readonly fresh: readonly number[] | null;
  readonly repeats: Repeats;
}

/** Time and randomness, passed in. */
export interface Effects extends TimeSource {
  /** Unpredictable bytes. */
  readonly random: (length: number) => Uint8Array;
}
