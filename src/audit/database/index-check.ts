// Whether each entry is found by its digest: compares what the walk over the logs made with what the index of digests holds.
// Sums tell where the two differ, so that memory stays the same however many entries there are; only there each entry is
// looked for. A hint too many is no fault: a search compares the entry itself.

import type { BlockArchive } from '../../log/blocks/archived-block.ts';
import { blocksBetween } from '../../log/blocks/blocks.ts';
import { prefixOf } from '../../log/blocks/digest-record.ts';
import { scanIndex } from '../../log/digest-index.ts';
import type { Queryable } from '../../store/database.ts';
import type { Findings } from '../checks/findings.ts';

/** Entries whose hints are added up together. */
const RANGE_ENTRIES = 65_536;
const SUMS = 65_536;
/** Ranges in which each entry is looked for at a time: 600 kB each. */
const RANGES_AT_ONCE = 16;
const KEYS = 8;

/** Entries of one log that the sums of two sides may tell apart. */
interface SuspectRange {
  readonly log: WalkedLog;
  readonly begin: number;
  /** By position: the prefix of the digest, 0 of what was erased or found. */
  readonly unseen: Float64Array;
}

/** A log as the audit walked it. */
interface WalkedLog {
  readonly id: number;
  readonly name: string;
  readonly size: number;
  /** The first entry that was read. */
  readonly from: number;
}

export class IndexCheck {
  readonly #archive: BlockArchive | null;
  readonly #keys: Uint32Array;
  /** Two words for each sum: of what entries make less what the index holds. */
  readonly #sums = new Int32Array(2 * SUMS);
  /** Logs that were not read from their first entry on. */
  readonly #from = new Map<number, number>();

  /**
   * @param random 32 bytes that nobody knows who could alter the index
   * @param archive where old contents of entries lie; null: nowhere
   */
  constructor(random: Uint8Array, archive: BlockArchive | null) {
    this.#archive = archive;
    const bytes = new DataView(random.buffer, random.byteOffset, random.byteLength);
    this.#keys = Uint32Array.from({ length: KEYS }, (_, i) => bytes.getUint32(4 * i) | 1);
  }

  /** The walk over a log begins with this entry. */
  begin(log: number, from: number): void {
    if (from > 0) this.#from.set(log, from);
  }

  /** The entry that the walk over a log began with. */
  from(log: number): number {
    return this.#from.get(log) ?? 0;
  }

  /** An entry with its digest. */
  note(log: number, index: number, digest: Uint8Array): void {
    const prefix = prefixOf(digest);
    if (prefix !== 0) this.#add(log, index, prefix, 1);
  }

  /** @param logs all that were walked, some at a time */
  async finish(db: Queryable, logs: AsyncIterable<WalkedLog>, findings: Findings): Promise<void> {
    await scanIndex(db, (log, index, prefix) => {
      if (index >= this.from(log)) this.#add(log, index, prefix, -1);
    });
    if (this.#sums.every((word) => word === 0)) return;
    let suspects: SuspectRange[] = [];
    for await (const log of logs) {
      if (findings.concern(log.name)) continue;
      for (let begin = log.from - (log.from % RANGE_ENTRIES); begin < log.size; begin += RANGE_ENTRIES) {
        const at = 2 * this.#sumOf(log.id, begin);
        if (this.#sums[at] === 0 && this.#sums[at + 1] === 0) continue;
        suspects.push({ log, begin, unseen: new Float64Array(RANGE_ENTRIES) });
        if (suspects.length < RANGES_AT_ONCE) continue;
        await lookFor(db, suspects, findings, this.#archive);
        suspects = [];
        if (findings.concern(log.name)) break;
      }
    }
    await lookFor(db, suspects, findings, this.#archive);
  }

  #add(log: number, index: number, prefix: number, sign: 1 | -1): void {
    const at = 2 * this.#sumOf(log, index);
    const sums = this.#sums;
    const high = Math.floor(prefix / 2 ** 24);
    const low = prefix % 2 ** 24;
    sums[at] = ((sums[at] ?? 0) + sign * this.#mix(0, log, index, high, low)) | 0;
    sums[at + 1] = ((sums[at + 1] ?? 0) + sign * this.#mix(3, log, index, high, low)) | 0;
  }

  /** Which sum the entries around this one have. */
  #sumOf(log: number, index: number): number {
    const range = Math.floor(index / RANGE_ENTRIES);
    return stirred((Math.imul(log, this.#keys[6] ?? 1) + Math.imul(range, this.#keys[7] ?? 1)) | 0) & (SUMS - 1);
  }

  #mix(first: number, log: number, index: number, high: number, low: number): number {
    const keys = this.#keys;
    let word = stirred(Math.imul(high ^ (keys[first] ?? 1), keys[first + 1] ?? 1) + log);
    word = stirred(Math.imul(word ^ low, keys[first + 2] ?? 1) + (index >>> 0));
    return stirred(Math.imul(word, keys[first] ?? 1) + Math.floor(index / 2 ** 32));
  }
}

function stirred(word: number): number {
  let next = Math.imul(word ^ (word >>> 16), 0x7feb352d);
  next = Math.imul(next ^ (next >>> 15), 0x846ca68b);
  return next ^ (next >>> 16);
}

/** Looks for each entry of some ranges, and names the first of each log that the index does not have. */
async function lookFor(
  db: Queryable,
  suspects: readonly SuspectRange[],
  findings: Findings,
  archive: BlockArchive | null,
): Promise<void> {
  if (suspects.length === 0) return;
  const byLog = Map.groupBy(suspects, ({ log }) => log.id);
  for (const { log, begin, unseen } of suspects) {
    const from = Math.max(begin, log.from);
    const end = Math.min(begin + RANGE_ENTRIES, log.size);
    for await (const block of blocksBetween(db, log, from, end, { archive, tiles: false })) {
      for (let index = Math.max(block.first, from); index < Math.min(block.end, end); index++) {
        const digest = block.digest(index);
        if (digest !== null) unseen[index - begin] = prefixOf(digest);
      }
    }
  }
  await scanIndex(db, (log, index, prefix) => {
    for (const { begin, unseen } of byLog.get(log) ?? []) {
      const at = index - begin;
      if (unseen[at] === prefix) unseen[at] = 0;
    }
  });
  for (const { log, begin, unseen } of suspects) {
    const at = unseen.findIndex((prefix) => prefix !== 0);
    if (at < 0) continue;
    const says = `entry ${begin + at} of ${log.name} is not where the index of digests would find it`;
    findings.add('digest-unindexed', { log: log.name, index: begin + at }, says);
  }
}
