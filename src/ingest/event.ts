import { sha256 } from '#sha256';
import { utf8 } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { MAX_ENTRY_BYTES } from '../core/limits.ts';
import type { SetAsideReason } from './item-fault.ts';

/** Bytes of a body, decompressed. The API server bounds each event, not the batch: bodies of 16 to 39 MiB come. */
export const MAX_EVENT_BODY_BYTES = 64 << 20;
const MAX_EVENTS = 50_000;

/** One event, ready to be logged. */
export interface EventDraft {
  /** 32 bytes: SHA-256 of the line. */
  readonly digest: Uint8Array;
  /** The line; null where it is larger than an entry can be. */
  readonly payload: Uint8Array | null;
  /** 16 bytes that name the event; the log takes an event once. Absent: nothing names it. */
  readonly event?: Uint8Array;
  /** Whether the name covers what the event says, so that a line under the same name is this event, however it is told. */
  readonly idCoversContent?: true;
  /** Present where the line holds the item as it came; absent for an event that was made canonical. */
  readonly setAside?: SetAside;
}

export interface SetAside {
  readonly reason: SetAsideReason;
  /** Whether the line holds the item's bytes; false: their SHA-256 and length. */
  readonly kept: boolean;
}

/** A body whose structure holds. Its items become drafts one at a time, so that few of them are in memory. */
export interface EventBatch {
  readonly drafts: Iterable<EventDraft>;
}

/**
 * The draft of a line of JSON, without a newline.
 * @param event 16 bytes that name the event; null: nothing does
 */
export function eventDraft(line: string, event: Uint8Array | null): EventDraft {
  const bytes = utf8(line);
  const draft = { digest: sha256(bytes), payload: bytes.length > MAX_ENTRY_BYTES ? null : bytes };
  return event === null ? draft : { ...draft, event };
}

/** The first 16 bytes of SHA-256 of the strings as a JSON array. */
export function eventId(...identity: readonly string[]): Uint8Array {
  return sha256(utf8(JSON.stringify(identity))).slice(0, 16);
}

/** @throws FormatError `batch-too-large` */
export function checkEventCount(count: number): void {
  if (count > MAX_EVENTS) {
    throw new FormatError('batch-too-large', `a request brings ${MAX_EVENTS} events at most: send several batches`);
  }
}
