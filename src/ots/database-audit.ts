// The audit of what a database has of OpenTimestamps: the calendars' answers against the rounds, and the blocks that they
// lead to against Bitcoin.

import type { AuditedSnapshot, DatabaseAudit } from '../anchor/kind.ts';
import type { AnchorFaults, AuditTrust, ChainAnswer, ChainOutcome } from '../core/anchor-audit.ts';
import { sourceFailure } from '../core/anchor-verifier.ts';
import type { HeaderSource } from '../core/bitcoin-source.ts';
import { AntequemError } from '../core/errors.ts';
import { LruCache } from '../core/lru.ts';
import { blockMoment } from '../core/moment.ts';
import { formatTime } from '../core/time.ts';
import { type StoredBlock, storedTimestamps } from './stored-timestamp.ts';

/** Blocks, the block itself included, after which a source's word is final. */
const FINAL_BLOCKS = 6;
const MOST_REMEMBERED = 1_000;

export async function openOtsAudit({ headers }: AuditTrust): Promise<DatabaseAudit> {
  return {
    check: async (snapshot) => {
      const { rows } = await snapshot.db.query<{ name: string; chain: string }>(
        "SELECT name, chain FROM targets WHERE kind = 'opentimestamps' ORDER BY name",
      );
      const outcomes: ChainOutcome[] = [];
      for (const { name, chain } of rows) outcomes.push(await checkTarget(snapshot, headers, name, chain));
      return outcomes;
    },
  };
}

async function checkTarget(
  { db, faults, onProgress }: AuditedSnapshot,
  headers: readonly HeaderSource[],
  target: string,
  chain: string,
): Promise<ChainOutcome> {
  const source = headers.find((each) => each.chain === chain);
  const view = source === undefined ? null : new HeaderView(source, faults);
  let confirmed = 0;
  for await (const { round, blocks, faults: found } of storedTimestamps(db, target)) {
    onProgress(`${target} round ${round}`);
    if (blocks.length > 0) confirmed++;
    for (const { where, says } of found) {
      faults.add(where === 'anchor' ? 'anchor-differs' : 'timestamp-broken', { round }, `of round ${round} ${says}`);
    }
    if (found.length === 0) await view?.take(round, blocks);
  }
  return view === null ? { kind: 'no-source', chain, rounds: confirmed } : view.outcome();
}

/** The blocks as the source has them. */
class HeaderView {
  readonly #source: HeaderSource;
  readonly #faults: AnchorFaults;
  /** Rounds that follow each other are mostly in one block. */
  readonly #hashes = new LruCache<number, string | null>(MOST_REMEMBERED);
  #tip: number | null = null;
  #count = 0;
  #newest: ChainAnswer['newest'] = null;
  #failure: string | null = null;

  constructor(source: HeaderSource, faults: AnchorFaults) {
    this.#source = source;
    this.#faults = faults;
  }

  async take(round: number, blocks: readonly StoredBlock[]): Promise<void> {
    if (this.#failure !== null) return;
    try {
      let held: StoredBlock | null = null;
      for (const block of blocks) {
        const hash = await this.#hashAt(block.height);
        if (hash === null) continue;
        if (hash === block.hash) held ??= block;
        else {
          const says = `by ${this.#source.describe()} block ${block.height} is ${hash}, and round ${round} is confirmed by ${block.hash}`;
          this.#faults.add('anchor-missing', { round }, says);
        }
      }
      if (held !== null) this.#hold(round, held);
    } catch (error) {
      if (!(error instanceof AntequemError)) throw error;
      this.#failure = sourceFailure(this.#source, error);
    }
  }

  outcome(): ChainOutcome {
    const { chain, grounds } = this.#source;
    if (this.#failure !== null) return { kind: 'failed', chain, says: this.#failure };
    const answer = { count: this.#count, newest: this.#newest, lost: 0 };
    return { kind: 'asked', chain, node: this.#source.describe(), grounds, answer };
  }

  /** Null: the source has no block there that is deep enough. */
  async #hashAt(height: number): Promise<string | null> {
    this.#tip ??= await this.#source.height();
    if (this.#tip - height + 1 < FINAL_BLOCKS) return null;
    const known = this.#hashes.get(height);
    if (known !== undefined) return known;
    const hash = (await this.#source.header(height))?.hash ?? null;
    this.#hashes.set(height, hash);
    return hash;
  }

  #hold(round: number, { height, hash, time }: StoredBlock): void {
    this.#count++;
    const { chain } = this.#source;
    this.#newest = { round, moment: blockMoment(chain, formatTime(time), { number: height, hash }) };
  }
}
