import { sha256 } from '#sha256';
import { utf8 } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { MAX_BATCH_ENTRIES, MAX_ENTRY_BYTES } from '../core/limits.ts';

/** Of what senders batch for themselves: the API server's batches have 10 MiB at most unless told otherwise. */
export const MAX_EVENT_BODY = 12 << 20;

/** One event, ready to be logged: what an entry before it has a place is. */
export interface EventDraft {
  /** 32 bytes: SHA-256 of the line. */
  readonly digest: Uint8Array;
  /** The line; null where it is larger than an entry can be. */
  readonly payload: Uint8Array | null;
  /** 16 bytes that name the event; with the digest it is what the log takes once. */
  readonly event?: Uint8Array;
}

/**
 * The draft of a line of JSON, in UTF-8 and without a newline.
 * @param identity the strings that name the event; null: nothing does
 */
export function eventDraft(line: string, identity: readonly string[] | null): EventDraft {
  const bytes = utf8(line);
  const draft = { digest: sha256(bytes), payload: bytes.length > MAX_ENTRY_BYTES ? null : bytes };
  return identity === null ? draft : { ...draft, event: eventId(identity) };
}

/** The first 16 bytes of SHA-256 of the strings as a JSON array. */
function eventId(identity: readonly string[]): Uint8Array {
  return sha256(utf8(JSON.stringify(identity))).slice(0, 16);
}

/** @throws FormatError `batch-too-large` */
export function checkEventCount(count: number): void {
  if (count > MAX_BATCH_ENTRIES) {
    throw new FormatError(
      'batch-too-large',
      `${count} events came at once; ${MAX_BATCH_ENTRIES} are the most: send several batches`,
    );
  }
}
