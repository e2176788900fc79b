// What rounds say of their anchors, gathered as they are read, and held against the chains at the end.

import { sourceFailure } from '../../core/anchor-verifier.ts';
import type { HeaderSource } from '../../core/bitcoin-source.ts';
import { fromHex } from '../../core/bytes.ts';
import { isDevelopmentChain } from '../../core/evm-source.ts';
import { isKnownAnchor } from '../../core/receipt-schema.ts';
import { ANCHOR_ADDRESS } from '../../evm/anchor-contract.ts';
import type { Findings } from '../checks/findings.ts';
import type { ChainView } from '../database/anchors.ts';
import type { ChainOutcome } from '../database/chains.ts';
import { AnchorClaims } from './anchor-claims.ts';
import type { RoundAnswer, ServiceAnswer } from './answers.ts';
import { AllRoundsNeeded, type ChainChecked, checkChain } from './chain-check.ts';
import { RoundTable } from './round-table.ts';
import { type ChainMemory, type MirrorState, MOST_OPEN, type OpenRound, type RoundAt } from './state.ts';
import { TimestampCheck } from './timestamps.ts';

export interface AnchoringOptions {
  readonly views: readonly ChainView[];
  readonly bitcoin: readonly HeaderSource[];
  readonly findings: Findings;
  /** Accounts known to be the service's beside those that `_system` declares. */
  readonly senders: readonly string[];
  readonly fromBlock: number;
  /** What the service says of its chains. */
  readonly chains: ServiceAnswer['chains'];
  /** Where an earlier audit had come to; null: all rounds are read. */
  readonly memory: Pick<MirrorState, 'chains' | 'open'> | null;
  readonly onBlock: (chain: string, block: number, until: number) => void;
}

/** What `_system` tells of accounts. */
export interface Declared {
  readonly senders: readonly { readonly chain: string; readonly address: string }[];
  /** When the operator last declared that rounds were lost, milliseconds. */
  readonly recoveredAt: number | null;
}

export interface Anchored {
  readonly outcomes: readonly ChainOutcome[];
  /** What to remember, by chain. */
  readonly chains: ReadonlyMap<string, ChainMemory>;
  /** Rounds to look at again; null where they are too many to remember. */
  readonly open: readonly OpenRound[] | null;
}

export class Anchoring {
  readonly #options: AnchoringOptions;
  readonly #table = new RoundTable();
  readonly #claims = new Map<string, AnchorClaims>();
  /** Chain and address of those that rounds name. */
  readonly #contracts = new Set<string>();
  readonly #timestamps: TimestampCheck;
  /** By place in the table: chains that were found to have a round already; null: it is new. */
  readonly #earlier: OpenRound[];
  /** Places whose anchors are not all final. */
  readonly #unsettled = new Set<number>();
  /** Places that Bitcoin has, by chain. */
  readonly #stamped = new Map<string, Set<number>>();

  constructor(options: AnchoringOptions) {
    this.#options = options;
    this.#timestamps = new TimestampCheck(options.bitcoin, options.findings);
    const { memory } = options;
    for (const [chain, known] of memory?.chains ?? []) this.#timestamps.resume(chain, known);
    this.#earlier = [...(memory?.open ?? [])];
    for (const round of this.#earlier) this.#table.add(round);
  }

  /** Rounds that an earlier audit left open, to be read again before any other. */
  get open(): readonly OpenRound[] {
    return this.#earlier;
  }

  /** Takes in what a round says of its anchors; rounds in their order, open ones first. */
  async take(answer: RoundAnswer, at: RoundAt): Promise<void> {
    const place = this.#table.add(at);
    const due = new Set(this.#options.chains.map(({ chain }) => chain)).size;
    let settled = answer.anchors.length >= due;
    for (const anchor of answer.anchors.filter(isKnownAnchor)) {
      if (anchor.type === 'opentimestamps') {
        settled &&= anchor.status === 'confirmed';
        const counted = (chain: string): boolean => this.#counted(place, chain);
        for (const chain of await this.#timestamps.take(anchor, at, counted)) this.#stamp(chain, place);
      } else if (anchor.status === 'finalized') {
        const claims = this.#claims.get(anchor.chain) ?? new AnchorClaims();
        this.#claims.set(anchor.chain, claims);
        this.#contracts.add(`${anchor.chain} ${anchor.contract}`);
        claims.add(place, anchor);
      } else settled = false;
    }
    if (settled) this.#unsettled.delete(place);
    else this.#unsettled.add(place);
    const [oldest] = this.#unsettled;
    if (oldest !== undefined && this.#unsettled.size > MOST_OPEN) this.#unsettled.delete(oldest);
  }

  /** Asks the chains. @throws AllRoundsNeeded where what is remembered does not suffice */
  async finish(declared: Declared): Promise<Anchored> {
    const { views, chains: told } = this.#options;
    const outcomes: ChainOutcome[] = [];
    const memories = new Map<string, ChainMemory>();
    const checked = new Map<string, ChainChecked>();
    for (const view of views) {
      const outcome = await this.#ask(view, declared, memories, checked);
      outcomes.push(outcome);
    }
    for (const chain of new Set([...told.map((each) => each.chain), ...this.#claims.keys()])) {
      if (!chain.startsWith('eip155:') || views.some((view) => view.chain === chain)) continue;
      outcomes.push({ kind: 'no-source', chain, rounds: this.#claims.get(chain)?.count ?? 0 });
    }
    for (const outcome of this.#timestamps.outcomes()) {
      outcomes.push(outcome);
      if (outcome.kind !== 'asked') continue;
      const { count, newest } = outcome.answer;
      memories.set(outcome.chain, { block: newest?.moment.block.number ?? 0, search: '', anchored: count, newest });
    }
    return { outcomes, chains: memories, open: this.#openRounds(checked) };
  }

  async #ask(
    view: ChainView,
    declared: Declared,
    memories: Map<string, ChainMemory>,
    checked: Map<string, ChainChecked>,
  ): Promise<ChainOutcome> {
    const { findings, fromBlock, chains, memory, onBlock } = this.#options;
    const { chain, source } = view;
    const node = source.describe();
    const senders = this.#senders(chain, declared);
    const contracts = this.#contractsOn(chain);
    const search = [fromBlock, ...senders, ...contracts].join(' ');
    const known = memory?.chains.get(chain) ?? null;
    if (memory !== null && known?.search !== search) throw new AllRoundsNeeded();
    try {
      const genesis = chains.find((told) => told.chain === chain)?.genesis;
      // Of a chain that anyone starts anew, another one says nothing about our anchors.
      if (isDevelopmentChain(chain) && genesis !== undefined && (await source.block(0))?.hash !== `0x${genesis}`) {
        return { kind: 'other-instance', chain, node };
      }
      const result = await checkChain({
        view,
        table: this.#table,
        claims: this.#claims.get(chain) ?? new AnchorClaims(),
        findings,
        senders,
        contracts,
        fromBlock,
        memory: known,
        recoveredAt: declared.recoveredAt,
        counted: (place) => this.#counted(place, chain),
        onBlock: (block) => onBlock(chain, block, view.until),
      });
      checked.set(chain, result);
      memories.set(chain, { block: view.until, search, anchored: result.count, newest: result.newest });
      return { kind: 'asked', chain, node, answer: result };
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'rpc-failed') {
        return { kind: 'failed', chain, says: sourceFailure(source, error) };
      }
      throw error;
    }
  }

  #senders(chain: string, { senders }: Declared): string[] {
    const declared = senders.filter((sender) => sender.chain === chain).map(({ address }) => address.toLowerCase());
    return [...new Set([...declared, ...this.#options.senders.map((each) => each.toLowerCase())])].sort();
  }

  #contractsOn(chain: string): string[] {
    const told = this.#options.chains.flatMap((each) => (each.chain === chain ? [each.contract ?? ''] : []));
    const named = [...this.#contracts].flatMap((each) =>
      each.startsWith(`${chain} `) ? each.slice(chain.length + 1) : [],
    );
    return [...new Set([ANCHOR_ADDRESS.toLowerCase(), ...told, ...named])].filter((address) => address !== '').sort();
  }

  /** Whether an earlier audit had found the round on the chain. */
  #counted(place: number, chain: string): boolean {
    const round = this.#earlier[place];
    return round !== undefined && !round.missing.includes(chain);
  }

  #stamp(chain: string, place: number): void {
    const places = this.#stamped.get(chain) ?? new Set();
    this.#stamped.set(chain, places.add(place));
  }

  /** What a chain is yet to have, and of what merely may get better as much as there is room for. */
  #openRounds(checked: ReadonlyMap<string, ChainChecked>): OpenRound[] | null {
    const open: OpenRound[] = [];
    let due = 0;
    for (let place = this.#table.count - 1; place >= 0; place--) {
      const round = this.#table.at(place);
      const lacks = ([chain, { proven }]: [string, ChainChecked]): boolean =>
        !proven.has(place) && !this.#counted(place, chain);
      const missing = [...checked].filter(lacks);
      const behind = missing.some(([, { newest }]) => round.number > (newest?.round ?? 0));
      if (behind && ++due > MOST_OPEN) return null;
      if (!behind && (!this.#unsettled.has(place) || open.length >= MOST_OPEN)) continue;
      const unstamped = this.#options.bitcoin.filter(
        ({ chain }) => !this.#stamped.get(chain)?.has(place) && !this.#counted(place, chain),
      );
      open.push({ ...round, missing: [...missing.map(([chain]) => chain), ...unstamped.map(({ chain }) => chain)] });
    }
    return open.length > MOST_OPEN ? null : open.reverse();
  }
}

/** Whether the root of a round is still the one that is remembered. */
export function sameRoot(answer: RoundAnswer, round: RoundAt): boolean {
  return Buffer.compare(fromHex(answer.root), round.root) === 0;
}
