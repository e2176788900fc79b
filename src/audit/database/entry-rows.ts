// Reads entries in bulk: a page is one piece of memory, for a row object an entry would cost more than its hashes.

import { MAX_ENTRY_BYTES } from '../../core/limits.ts';
import { copyOut } from '../../store/copy-out.ts';
import type { Transaction } from '../../store/database.ts';

export const PAGE_ENTRIES = 4_096;
/** A payload up to this length comes with its page, 8 MiB at the most; a larger one is fetched by itself. */
const INLINE_BYTES = 2_048;
const FETCH_BYTES = 4 << 20;

// What is longer than it may be is not carried in full: whoever altered it must not fill the memory with it.
const bounded = (column: string): string =>
  `CASE WHEN length(${column}) <= 64 THEN ${column} ELSE substr(${column}, 1, 64) END`;
const COLUMNS = [
  'coalesce(index, -1)',
  'coalesce(received_at, -1)',
  ...['digest', 'nonce', 'commitment', 'leaf_hash'].map(bounded),
  'length(payload)',
  `CASE WHEN length(payload) <= ${INLINE_BYTES} THEN payload END`,
].join(', ');

/** Entries in the binary COPY format. */
export type EntryRows = Buffer;

/** Where entries lie. */
export interface PagePlace {
  readonly segment: number;
  readonly log: number;
  readonly begin: number;
  readonly end: number;
}

/** Entries of one log from `begin` on, before `end`, in one segment: {@link PAGE_ENTRIES} at the most. */
export function readRows(tx: Transaction, { segment, log, begin, end }: PagePlace): Promise<EntryRows> {
  const numbers = [segment, log, begin, end].map((number) => {
    if (!Number.isSafeInteger(number)) throw new RangeError(`not a whole number: ${number}`);
    return number;
  });
  return copyOut(
    tx,
    `SELECT ${COLUMNS} FROM entries
     WHERE segment = ${numbers[0]} AND log = ${numbers[1]} AND index >= ${numbers[2]} AND index < ${numbers[3]}
     ORDER BY index LIMIT ${PAGE_ENTRIES}`,
  );
}

/** An entry as a page has it; one object serves for all of them, one after the other. Lengths are −1 for NULL. */
export class EntryCursor {
  index = -1;
  receivedAt = -1;
  /** Where in the page the 8 bytes of the time begin. */
  receivedAtAt = 0;
  digestAt = 0;
  digestLength = -1;
  nonceAt = 0;
  nonceLength = -1;
  commitmentAt = 0;
  leafAt = 0;
  /** Whether commitment and leaf hash have the length of a hash. */
  whole = false;
  payloadAt = 0;
  payloadLength = -1;
  /** Whether the payload is not carried for its length. */
  payloadApart = false;
  readonly #page: EntryRows;
  #at = 0;

  constructor(page: EntryRows) {
    this.#page = page;
  }

  /** Moves on to the next entry of the page; false where it was the last. */
  next(): boolean {
    const page = this.#page;
    // Fields 2, then each after its length 4: index 8 and time 8 are never NULL.
    const at = this.#at;
    if (at >= page.length) return false;
    this.index = readInt64(page, at + 6);
    this.receivedAtAt = at + 18;
    this.receivedAt = readInt64(page, at + 18);
    this.digestLength = page.readInt32BE(at + 26);
    this.digestAt = at + 30;
    const nonce = this.digestAt + Math.max(0, this.digestLength);
    this.nonceLength = page.readInt32BE(nonce);
    this.nonceAt = nonce + 4;
    const commitment = this.nonceAt + Math.max(0, this.nonceLength);
    const commitmentLength = page.readInt32BE(commitment);
    this.commitmentAt = commitment + 4;
    const leaf = this.commitmentAt + Math.max(0, commitmentLength);
    const leafLength = page.readInt32BE(leaf);
    this.leafAt = leaf + 4;
    this.whole = commitmentLength === 32 && leafLength === 32;
    const length = this.leafAt + Math.max(0, leafLength);
    this.payloadLength = page.readInt32BE(length) === -1 ? -1 : page.readInt32BE(length + 4);
    const payload = length + (this.payloadLength === -1 ? 4 : 8);
    const carried = page.readInt32BE(payload);
    this.payloadAt = payload + 4;
    this.payloadApart = this.payloadLength > INLINE_BYTES;
    this.#at = this.payloadAt + Math.max(0, carried);
    return true;
  }

  /** The bytes of the payload, none where there is none or it is not carried. */
  payload(): Buffer {
    return this.#page.subarray(this.payloadAt, this.#at);
  }
}

/** A payload that did not come with its page, and the digest it should have. */
export interface LargePayload {
  readonly index: number;
  readonly length: number;
  readonly digest: Uint8Array;
}

/** Fetches large payloads, some megabytes at a time; those beyond what an entry may have are not asked for. */
export async function* readLarge(
  tx: Transaction,
  place: { readonly segment: number; readonly log: number },
  payloads: readonly LargePayload[],
): AsyncGenerator<{ readonly entry: LargePayload; readonly payload: Buffer | null }> {
  let from = 0;
  while (from < payloads.length) {
    const group: LargePayload[] = [];
    let bytes = 0;
    for (const entry of payloads.slice(from)) {
      if (bytes >= FETCH_BYTES) break;
      group.push(entry);
      if (entry.length <= MAX_ENTRY_BYTES) bytes += entry.length;
    }
    from += group.length;
    const { rows } = await tx.query<{ index: number; payload: Buffer | null }>(
      'SELECT index, payload FROM entries WHERE segment = $1 AND log = $2 AND index = ANY ($3::bigint[])',
      [place.segment, place.log, group.filter(({ length }) => length <= MAX_ENTRY_BYTES).map(({ index }) => index)],
    );
    const found = new Map(rows.map((row) => [row.index, row.payload]));
    for (const entry of group) yield { entry, payload: found.get(entry.index) ?? null };
  }
}

/** The signed 64-bit number there, as near as a double comes: what is not below 2^53 is wrong in any case. */
function readInt64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4);
}
