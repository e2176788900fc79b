// The audit of OpenTimestamps anchors that a service shows, against Bitcoin's headers.

import type {
  AuditTrust,
  ChainOutcome,
  CheckedChain,
  ShownAudit,
  ShownAuditOptions,
  ShownAuditor,
  ShownResult,
} from '../core/anchor-audit.ts';
import { newWorkBudget } from '../core/anchor-verifier.ts';
import { type HeaderSource, remembering } from '../core/bitcoin-source.ts';
import { Bitset } from '../core/bitset.ts';
import { toHex } from '../core/bytes.ts';
import type { BlockMoment } from '../core/moment.ts';
import type { OpenTimestampsAnchor } from '../core/receipt-schema.ts';
import { isObjection } from '../core/verdict.ts';
import { otsVerifier } from './verifier.ts';

/** Attestations of one anchor that are checked. */
const MOST_ATTESTATIONS = 16;

export async function openShownOts({ headers }: AuditTrust): Promise<ShownAuditor<OpenTimestampsAnchor>> {
  return {
    chains: headers.map(({ chain }) => chain),
    begin: (options) => new ShownOts(headers, options),
  };
}

/** What was counted on one chain. */
interface Tally {
  readonly source: HeaderSource;
  readonly proven: Bitset;
  count: number;
  newest: { readonly round: number; readonly moment: BlockMoment } | null;
  failure: string | null;
}

/** Checks each anchor when its round is read, and keeps nothing of it but the counts. */
class ShownOts implements ShownAudit<OpenTimestampsAnchor> {
  readonly #options: ShownAuditOptions;
  readonly #sources: readonly HeaderSource[];
  readonly #tallies = new Map<string, Tally>();
  /** How many confirmed anchors there are on chains that no source was given for. */
  readonly #unasked = new Map<string, number>();

  constructor(headers: readonly HeaderSource[], options: ShownAuditOptions) {
    this.#options = options;
    this.#sources = headers.map(remembering);
    for (const source of this.#sources) {
      const known = options.memory?.get(source.chain);
      const counts = { count: known?.anchored ?? 0, newest: known?.newest ?? null };
      this.#tallies.set(source.chain, { source, proven: new Bitset(), ...counts, failure: null });
    }
  }

  async take(anchor: OpenTimestampsAnchor, place: number): Promise<boolean> {
    if (anchor.status !== 'confirmed') return false;
    const chains = new Set(anchor.blocks.map(({ chain }) => chain));
    for (const chain of chains) {
      if (!this.#tallies.has(chain)) this.#unasked.set(chain, (this.#unasked.get(chain) ?? 0) + 1);
    }
    if ([...chains].some((chain) => this.#tallies.has(chain))) await this.#check(anchor, place);
    return true;
  }

  async finish(): Promise<ShownResult> {
    const outcomes: ChainOutcome[] = [];
    const checked: CheckedChain[] = [];
    for (const [chain, { source, proven, count, newest, failure }] of this.#tallies) {
      if (failure !== null) {
        outcomes.push({ kind: 'failed', chain, says: failure });
        continue;
      }
      const { grounds } = source;
      outcomes.push({ kind: 'asked', chain, node: source.describe(), grounds, answer: { count, newest, lost: 0 } });
      checked.push({
        chain,
        memory: { block: newest?.moment.block.number ?? 0, search: '', anchored: count, newest },
        has: (place) => proven.has(place),
        // An anchor that is not confirmed yet is not final by its own word, so its round is read again.
        awaits: () => false,
      });
    }
    for (const [chain, rounds] of this.#unasked) outcomes.push({ kind: 'no-source', chain, rounds });
    return { outcomes, checked };
  }

  async #check(anchor: OpenTimestampsAnchor, place: number): Promise<void> {
    const { rounds, faults, counted } = this.#options;
    const { number, root } = rounds.at(place);
    const evm = { byChain: new Map(), failures: [] };
    const work = newWorkBudget();
    const trusted = {
      evm,
      bitcoin: this.#sources,
      sameInstance: new Set<object>(),
      blockHashes: [],
      authorities: [],
      work,
    };
    for (const { claim, moment: proven } of await otsVerifier.check(anchor, toHex(root), trusted, MOST_ATTESTATIONS)) {
      const says = claim.says.replace(/\.$/, '');
      const moment = proven !== null && 'chain' in proven ? proven : null;
      if (isObjection(claim)) {
        faults.add(
          'anchor-missing',
          { round: number },
          `the OpenTimestamps anchor of round ${number} does not hold (${says})`,
        );
      }
      const tally = this.#tallies.get(moment?.chain ?? claim.chain ?? '');
      if (tally === undefined) continue;
      if (claim.code === 'source-failed') tally.failure = says;
      if (moment === null || tally.proven.has(place)) continue;
      tally.proven.add(place);
      if (!counted(place, moment.chain)) tally.count++;
      if (number > (tally.newest?.round ?? 0)) tally.newest = { round: number, moment };
    }
  }
}
