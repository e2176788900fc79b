// The part of the walk that touches every entry: content, chain and tree of one log, a page at a time.

import { sha256Into } from '#sha256';
import { ENTRY_SIZE, NONCE_SIZE } from '../../core/entry.ts';
import type { Log } from '../../log/log.ts';
import type { EntryChain } from '../checks/entry-chain.ts';
import type { Findings } from '../checks/findings.ts';
import { EntryCursor, type EntryRows, type LargePayload } from './entry-rows.ts';

export interface EntryWalkOptions {
  readonly log: Log;
  readonly findings: Findings;
  /** The log up to where the walk begins. */
  readonly chain: EntryChain;
  /** Leaf hash of the entry before: the log id at index 0. */
  readonly leaf: Uint8Array;
  /** Indices that are recorded as erased, ascending. */
  readonly erased: Float64Array;
  /** Called with every payload that came with its page. */
  readonly onPayload?: (index: number, payload: Buffer) => void;
}

/** What was seen so far. */
export interface EntryCounts {
  erased: number;
  /** Entries whose payload stayed with the client, as far as the database tells. */
  digests: number;
  /** The first of them. */
  firstDigest: number | null;
}

export class EntryWalk {
  readonly counts: EntryCounts = { erased: 0, digests: 0, firstDigest: null };
  readonly #options: EntryWalkOptions;
  /** 0x00 ‖ entry, the previous leaf hash in its place. */
  readonly #input = Buffer.alloc(1 + ENTRY_SIZE);
  readonly #hash = Buffer.alloc(32);
  /** digest ‖ nonce. */
  readonly #secret = Buffer.alloc(32 + NONCE_SIZE);
  readonly #nonceLength: number;
  #erasedAt = 0;

  constructor(options: EntryWalkOptions) {
    this.#options = options;
    this.#input[1] = 0x01;
    this.#input.set(options.leaf, 10);
    this.#nonceLength = options.log.blinded ? NONCE_SIZE : 0;
    const { erased, chain } = options;
    while ((erased[this.#erasedAt] ?? Number.POSITIVE_INFINITY) < chain.size) this.#erasedAt++;
  }

  /** Leaf hash of the entry before. */
  get leaf(): Uint8Array {
    return new Uint8Array(this.#input.subarray(10, 42));
  }

  /**
   * Walks a page, up to where an entry is not the one that comes next; the chain tells how far that was.
   * @returns payloads that did not come with it
   */
  walk(page: EntryRows): LargePayload[] {
    const { log, findings, chain } = this.#options;
    const large: LargePayload[] = [];
    const cursor = new EntryCursor(page);
    while (cursor.next()) {
      const index = chain.size;
      if (cursor.index < index) {
        const says = `entry ${cursor.index} of ${log.name} is there twice`;
        findings.add('entry-stray', { log: log.name, index: cursor.index }, says);
        continue;
      }
      if (cursor.index > index) break;
      this.#checkContent(cursor, page, large);
      this.#checkChain(cursor, page);
      // What is stored goes on, not what was computed: one altered entry is one finding.
      chain.append(new Uint8Array(page.subarray(cursor.leafAt, cursor.leafAt + 32)), cursor.receivedAt);
    }
    return large;
  }

  #checkContent(cursor: EntryCursor, page: EntryRows, large: LargePayload[]): void {
    const { log, findings, erased, onPayload } = this.#options;
    const { index } = cursor;
    const onRecord = erased[this.#erasedAt] === index;
    while (erased[this.#erasedAt] === index) this.#erasedAt++;
    const place = { log: log.name, index };
    const name = `entry ${index} of ${log.name}`;
    if (cursor.digestLength < 0 || cursor.nonceLength < 0) {
      this.counts.erased++;
      if (cursor.digestLength >= 0 || cursor.nonceLength >= 0 || cursor.payloadLength >= 0) {
        findings.add('erased-in-part', place, `${name} lacks some of payload, digest and nonce and has others`);
      } else if (!onRecord) {
        findings.add(
          'erased-unrecorded',
          place,
          `payload, digest and nonce of ${name} are gone, and _system tells of no erasure`,
        );
      }
      return;
    }
    if (onRecord) findings.add('erased-still-there', place, `${name} was erased by _system, and is there`);
    const payload = cursor.payload();
    const sound = cursor.digestLength === 32 && cursor.nonceLength === this.#nonceLength && cursor.whole;
    if (!sound || !this.#isHash(this.#secretOf(cursor, page), page, cursor.commitmentAt)) {
      findings.add(
        'commitment-differs',
        place,
        `the commitment of ${name} is not that of its digest and nonce${this.#culprit(cursor, page)}`,
      );
    } else if (cursor.payloadApart) {
      const digest = new Uint8Array(page.subarray(cursor.digestAt, cursor.digestAt + 32));
      large.push({ index, length: cursor.payloadLength, digest });
      return;
    } else if (cursor.payloadLength >= 0 && !this.#isHash(payload, page, cursor.digestAt)) {
      findings.add('payload-differs', place, `the payload of ${name} does not have its digest`);
    }
    if (cursor.payloadLength < 0) {
      this.counts.digests++;
      this.counts.firstDigest ??= index;
    } else if (!cursor.payloadApart) onPayload?.(index, payload);
  }

  /** Which of the two it was, where the payload tells. */
  #culprit(cursor: EntryCursor, page: EntryRows): string {
    if (cursor.payloadLength < 0 || cursor.payloadApart || cursor.digestLength !== 32) return '';
    return this.#isHash(cursor.payload(), page, cursor.digestAt)
      ? '; the digest is that of the payload'
      : ', nor is the digest that of the payload';
  }

  #secretOf(cursor: EntryCursor, page: EntryRows): Uint8Array {
    page.copy(this.#secret, 0, cursor.digestAt, cursor.digestAt + 32);
    if (this.#nonceLength === 0) return this.#secret.subarray(0, 32);
    page.copy(this.#secret, 32, cursor.nonceAt, cursor.nonceAt + NONCE_SIZE);
    return this.#secret;
  }

  #checkChain(cursor: EntryCursor, page: EntryRows): void {
    const { chain } = this.#options;
    const input = this.#input;
    page.copy(input, 2, cursor.receivedAtAt, cursor.receivedAtAt + 8);
    page.copy(input, 42, cursor.commitmentAt, cursor.commitmentAt + 32);
    if (!cursor.whole || !this.#isHash(input, page, cursor.leafAt)) {
      chain.altered(cursor.index, 'has another leaf hash than its time, its commitment and the entry before make');
    }
    page.copy(input, 10, cursor.leafAt, cursor.leafAt + 32);
    chain.checkTime(cursor.index, cursor.receivedAt);
  }

  #isHash(data: Uint8Array, bytes: Buffer, at: number): boolean {
    sha256Into(data, this.#hash, 0);
    return this.#hash.compare(bytes, at, at + 32) === 0;
  }
}
