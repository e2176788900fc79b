// Holds the OpenTimestamps anchors of rounds against Bitcoin's headers.

import { type HeaderSource, remembering } from '../../core/bitcoin-source.ts';
import { toHex } from '../../core/bytes.ts';
import type { OpenTimestampsAnchor } from '../../core/receipt-schema.ts';
import type { Moment } from '../../core/verdict.ts';
import { otsVerifier } from '../../ots/verifier.ts';
import type { Findings } from '../checks/findings.ts';
import type { ChainOutcome } from '../database/chains.ts';
import type { ChainMemory, RoundAt } from './state.ts';

/** Attestations of one anchor that are looked into. */
const MOST_ATTESTATIONS = 16;

interface Tally {
  count: number;
  newest: { readonly round: number; readonly moment: Moment } | null;
  failure: string | null;
}

/** Looks into each anchor as its round is read; nothing of it is kept but what was counted. */
export class TimestampCheck {
  readonly #sources: readonly HeaderSource[];
  readonly #findings: Findings;
  readonly #tallies = new Map<string, Tally>();
  /** Rounds with a confirmed anchor on a chain that nobody was asked about. */
  readonly #unasked = new Map<string, number>();

  constructor(sources: readonly HeaderSource[], findings: Findings) {
    this.#sources = sources.map(remembering);
    this.#findings = findings;
    for (const { chain } of sources) this.#tallies.set(chain, { count: 0, newest: null, failure: null });
  }

  /** Goes on from what an earlier audit had counted. */
  resume(chain: string, memory: ChainMemory): void {
    const tally = this.#tallies.get(chain);
    if (tally === undefined) return;
    tally.count = memory.anchored;
    tally.newest = memory.newest;
  }

  /**
   * @param counted whether an earlier audit had counted the round for a chain
   * @returns chains on which the round is proven
   */
  async take(
    anchor: OpenTimestampsAnchor,
    { number, root }: RoundAt,
    counted: (chain: string) => boolean,
  ): Promise<ReadonlySet<string>> {
    const proven = new Set<string>();
    const chains = new Set((anchor.blocks ?? []).map(({ chain }) => chain));
    for (const chain of chains) {
      if (!this.#tallies.has(chain)) this.#unasked.set(chain, (this.#unasked.get(chain) ?? 0) + 1);
    }
    if (anchor.status !== 'confirmed' || ![...chains].some((chain) => this.#tallies.has(chain))) return proven;
    const evm = { byChain: new Map(), failures: [] };
    const trusted = { evm, bitcoin: this.#sources, sameInstance: new Set<object>(), blockHashes: [] };
    for (const { claim, moment } of await otsVerifier.check(anchor, toHex(root), trusted, MOST_ATTESTATIONS)) {
      if (claim.status === 'refuted') {
        const says = `the OpenTimestamps anchor of round ${number} does not hold (${claim.says.replace(/\.$/, '')})`;
        this.#findings.add('anchor-missing', { round: number }, says);
      }
      const tally = this.#tallies.get(moment?.chain ?? claim.chain ?? '');
      if (tally === undefined) continue;
      if (claim.code === 'source-failed') tally.failure = claim.says.replace(/\.$/, '');
      if (moment === null || proven.has(moment.chain)) continue;
      proven.add(moment.chain);
      if (!counted(moment.chain)) tally.count++;
      if (number > (tally.newest?.round ?? 0)) tally.newest = { round: number, moment };
    }
    return proven;
  }

  outcomes(): ChainOutcome[] {
    const asked = this.#sources.map((source): ChainOutcome => {
      const { chain, grounds } = source;
      const { count, newest, failure } = this.#tallies.get(chain) ?? { count: 0, newest: null, failure: null };
      if (failure !== null) return { kind: 'failed', chain, says: failure };
      return { kind: 'asked', chain, node: source.describe(), grounds, answer: { count, newest, lost: 0 } };
    });
    const unasked = [...this.#unasked].map(([chain, rounds]): ChainOutcome => ({ kind: 'no-source', chain, rounds }));
    return [...asked, ...unasked];
  }
}
