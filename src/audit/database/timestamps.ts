// Holds the rounds against what OpenTimestamps calendars made of them, and that against Bitcoin.

import { sourceFailure } from '../../core/anchor-verifier.ts';
import type { HeaderSource } from '../../core/bitcoin-source.ts';
import { AntequemError } from '../../core/errors.ts';
import { LruCache } from '../../core/lru.ts';
import { formatTime } from '../../core/time.ts';
import { type StoredBlock, storedTimestamps } from '../../ots/stored-timestamp.ts';
import type { Queryable } from '../../store/database.ts';
import type { Findings } from '../checks/findings.ts';
import type { ChainAnswer } from './anchors.ts';
import type { ChainOutcome } from './chains.ts';

/** Blocks, the one that is asked about included, from which on a source's word is final. */
const DEEP = 6;

export interface TimestampsOptions {
  readonly db: Queryable;
  readonly findings: Findings;
  /** Of Bitcoin's headers, that whoever audits trusts; one for a chain. */
  readonly sources: readonly HeaderSource[];
  readonly onRound: (target: string, round: number) => void;
}

/** What Bitcoin says of every target with calendars. */
export async function checkTimestamps(options: TimestampsOptions): Promise<ChainOutcome[]> {
  const { rows } = await options.db.query<{ name: string; chain: string }>(
    `SELECT name, chain FROM targets WHERE kind = 'opentimestamps' ORDER BY name`,
  );
  const outcomes: ChainOutcome[] = [];
  for (const { name, chain } of rows) outcomes.push(await checkTarget(options, name, chain));
  return outcomes;
}

async function checkTarget(
  { db, findings, sources, onRound }: TimestampsOptions,
  target: string,
  chain: string,
): Promise<ChainOutcome> {
  const source = sources.find((each) => each.chain === chain);
  const view = source === undefined ? null : new HeaderView(source, findings);
  let confirmed = 0;
  for await (const { round, blocks, faults } of storedTimestamps(db, target)) {
    onRound(target, round);
    if (blocks.length > 0) confirmed++;
    for (const { where, says } of faults) {
      findings.add(where === 'anchor' ? 'anchor-differs' : 'timestamp-broken', { round }, `of round ${round} ${says}`);
    }
    if (faults.length === 0) await view?.take(round, blocks);
  }
  return view === null ? { kind: 'no-source', chain, rounds: confirmed } : view.outcome();
}

/** The blocks as the source has them. */
class HeaderView {
  readonly #source: HeaderSource;
  readonly #findings: Findings;
  /** Rounds that follow each other are mostly in one block. */
  readonly #hashes = new LruCache<number, string | null>(1_000);
  #tip: number | null = null;
  #count = 0;
  #newest: ChainAnswer['newest'] = null;
  #failure: string | null = null;

  constructor(source: HeaderSource, findings: Findings) {
    this.#source = source;
    this.#findings = findings;
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
          this.#findings.add('anchor-missing', { round }, says);
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

  /** Null where the source has none that is deep enough. */
  async #hashAt(height: number): Promise<string | null> {
    this.#tip ??= await this.#source.height();
    if (this.#tip - height + 1 < DEEP) return null;
    const known = this.#hashes.get(height);
    if (known !== undefined) return known;
    const hash = (await this.#source.header(height))?.hash ?? null;
    this.#hashes.set(height, hash);
    return hash;
  }

  #hold(round: number, { height, hash, time }: StoredBlock): void {
    this.#count++;
    const { chain } = this.#source;
    this.#newest = { round, moment: { time: formatTime(time), chain, block: { number: height, hash } } };
  }
}
