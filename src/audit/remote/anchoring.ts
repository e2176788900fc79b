// What rounds say of their anchors: given to the audit of each kind as they are read, compared with the chains at the end.

import type { ChainMemory, ChainOutcome, CheckedChain, Declared, FirstEntry } from '../../core/anchor-audit.ts';
import { fromHex } from '../../core/bytes.ts';
import type { Findings } from '../checks/findings.ts';
import type { RoundAt } from '../checks/rounds.ts';
import type { ServiceAnswer, ShownRound } from './answers.ts';
import type { KindAudit, KindAuditor } from './kinds.ts';
import { RoundTable } from './round-table.ts';
import { type MirrorState, MOST_OPEN, type OpenRound } from './state.ts';

export interface AnchoringOptions {
  readonly auditors: readonly KindAuditor[];
  readonly findings: Findings;
  /** The chains as the service tells them. */
  readonly chains: ServiceAnswer['chains'];
  /** What an earlier audit remembered; null: all rounds are read. */
  readonly memory: Pick<MirrorState, 'chains' | 'open'> | null;
  /** Whether it is a copy that is read. */
  readonly copy: boolean;
  readonly onBlock: (chain: string, block: number, until: number) => void;
}

export interface Anchored {
  readonly outcomes: readonly ChainOutcome[];
  /** What to remember, by chain. */
  readonly chains: ReadonlyMap<string, ChainMemory>;
  /** Rounds to read again; null: they are too many to remember. */
  readonly open: readonly OpenRound[] | null;
}

export class Anchoring {
  readonly #options: AnchoringOptions;
  readonly #table = new RoundTable();
  readonly #audits: readonly KindAudit[];
  /** Rounds that an earlier audit left open, by their place in the table. */
  readonly #earlier: readonly OpenRound[];
  /** The first entry that each round vouches for, by number. */
  readonly #first = new Map<number, FirstEntry>();
  /** Places whose anchors are not all final. */
  readonly #unsettled = new Set<number>();

  constructor(options: AnchoringOptions) {
    const { auditors, findings, chains, memory, copy, onBlock } = options;
    this.#options = options;
    this.#earlier = [...(memory?.open ?? [])];
    for (const round of this.#earlier) this.#table.add(round);
    const shared = {
      faults: findings,
      rounds: {
        find: (root: Uint8Array) => this.#table.find(root),
        at: (place: number) => this.#table.at(place),
        firstEntry: (round: number) => this.#first.get(round) ?? null,
      },
      told: chains,
      memory: memory?.chains ?? null,
      counted: (place: number, chain: string) => this.#counted(place, chain),
      copy,
      onBlock,
    };
    this.#audits = auditors.map((auditor) => auditor.begin(shared));
  }

  /** Rounds that an earlier audit left open, to be read again before any other. */
  get open(): readonly OpenRound[] {
    return this.#earlier;
  }

  /** Takes what a round says of its anchors; rounds in their order, open ones first. */
  async take(answer: ShownRound, at: RoundAt, first: FirstEntry | null): Promise<void> {
    const place = this.#table.add(at);
    if (first !== null) this.#first.set(at.number, first);
    const due = new Set(this.#options.chains.map(({ chain }) => chain)).size;
    let settled = answer.anchors.length >= due;
    for (const audit of this.#audits) settled = (await audit.take(answer.anchors, place)) && settled;
    if (settled) this.#unsettled.delete(place);
    else this.#unsettled.add(place);
    const [oldest] = this.#unsettled;
    if (oldest !== undefined && this.#unsettled.size > MOST_OPEN) this.#unsettled.delete(oldest);
  }

  /** Asks the chains. @throws AllRoundsNeeded where what is remembered does not suffice */
  async finish(declared: Declared): Promise<Anchored> {
    const outcomes: ChainOutcome[] = [];
    const checked: CheckedChain[] = [];
    for (const audit of this.#audits) {
      const result = await audit.finish(declared);
      outcomes.push(...result.outcomes);
      checked.push(...result.checked);
    }
    const chains = new Map(checked.map(({ chain, memory }) => [chain, memory]));
    return { outcomes, chains, open: this.#openRounds(checked) };
  }

  /** Whether an earlier audit found the round on the chain. */
  #counted(place: number, chain: string): boolean {
    const round = this.#earlier[place];
    return round !== undefined && !round.missing.includes(chain);
  }

  /** All rounds that a chain must still get, and of those whose anchors may improve as many as there is room for. */
  #openRounds(checked: readonly CheckedChain[]): OpenRound[] | null {
    const open: OpenRound[] = [];
    let due = 0;
    for (let place = this.#table.count - 1; place >= 0; place--) {
      const round = this.#table.at(place);
      const missing = checked.filter(({ chain, has }) => !has(place) && !this.#counted(place, chain));
      const awaited = missing.some(({ awaits }) => awaits(round.number));
      if (awaited && ++due > MOST_OPEN) return null;
      if (!awaited && (!this.#unsettled.has(place) || open.length >= MOST_OPEN)) continue;
      open.push({ ...round, missing: missing.map(({ chain }) => chain) });
    }
    return open.length > MOST_OPEN ? null : open.reverse();
  }
}

/** Whether the root of a round is still the one that is remembered. */
export function sameRoot(answer: ShownRound, round: RoundAt): boolean {
  return Buffer.compare(fromHex(answer.root), round.root) === 0;
}
