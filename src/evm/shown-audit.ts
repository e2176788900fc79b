// The audit of EVM anchors that a service shows.

import {
  AllRoundsNeeded,
  type AnchorEvent,
  type AuditTrust,
  type ChainOutcome,
  type CheckedChain,
  type Declared,
  type ShownAudit,
  type ShownAuditOptions,
  type ShownAuditor,
  type ShownResult,
} from '../core/anchor-audit.ts';
import { sourceFailure } from '../core/anchor-verifier.ts';
import { toHex } from '../core/bytes.ts';
import { hasCode } from '../core/errors.ts';
import { checkEvmProof } from '../core/evm-proof.ts';
import { isDevelopmentChain } from '../core/evm-source.ts';
import type { EvmAnchor } from '../core/receipt-schema.ts';
import artifact from './anchor-artifact.json' with { type: 'json' };
import { AnchorClaims } from './anchor-claims.ts';
import { type AnchorLedger, auditChain, type ChainView, type LedgerRound, viewChains } from './chain-audit.ts';

export async function openShownEvm(trust: AuditTrust): Promise<ShownAuditor<EvmAnchor>> {
  const { views, failures } = await viewChains(trust.nodes);
  return {
    chains: views.map(({ chain }) => chain),
    begin: (options) => new ShownEvm(trust, views, failures, options),
  };
}

/** Proofs that do not hold, of which an audit tells. */
const MOST_BROKEN = 1_000;

/** The claims of one chain. */
interface Shown {
  readonly claims: AnchorClaims;
  readonly contracts: Set<string>;
}

class ShownEvm implements ShownAudit<EvmAnchor> {
  readonly #trust: AuditTrust;
  readonly #views: readonly ChainView[];
  readonly #failures: readonly ChainOutcome[];
  readonly #options: ShownAuditOptions;
  readonly #shown = new Map<string, Shown>();
  readonly #broken: { readonly round: number; readonly says: string }[] = [];

  constructor(
    trust: AuditTrust,
    views: readonly ChainView[],
    failures: readonly ChainOutcome[],
    options: ShownAuditOptions,
  ) {
    this.#trust = trust;
    this.#views = views;
    this.#failures = failures;
    this.#options = options;
  }

  async take(anchor: EvmAnchor, place: number): Promise<boolean> {
    if (anchor.status !== 'finalized') return false;
    const shown = this.#on(anchor.chain);
    this.#shown.set(anchor.chain, shown);
    shown.contracts.add(anchor.contract);
    shown.claims.add(place, anchor);
    const { number, root } = this.#options.rounds.at(place);
    const check = checkEvmProof(anchor, toHex(root));
    if (check?.holds === false && this.#broken.length < MOST_BROKEN)
      this.#broken.push({ round: number, says: check.says });
    return true;
  }

  async finish(declared: Declared): Promise<ShownResult> {
    const outcomes: ChainOutcome[] = [...this.#failures];
    const checked: CheckedChain[] = [];
    for (const view of this.#views) outcomes.push(await this.#ask(view, declared, checked));
    for (const { round, says } of this.#broken) {
      const what = `the proof that round ${round} is anchored does not hold: ${says}`;
      this.#options.faults.add('anchor-differs', { round }, what);
    }
    const told = this.#options.told.flatMap(({ chain }) => (chain.startsWith('eip155:') ? [chain] : []));
    for (const chain of new Set([...told, ...this.#shown.keys()])) {
      if (this.#views.some((view) => view.chain === chain)) continue;
      outcomes.push({ kind: 'no-source', chain, rounds: this.#on(chain).claims.count });
    }
    return { outcomes, checked };
  }

  async #ask(view: ChainView, declared: Declared, checked: CheckedChain[]): Promise<ChainOutcome> {
    const { faults, rounds, told, memory, counted, copy, onBlock } = this.#options;
    const { fromBlock } = this.#trust;
    const { chain, source } = view;
    const node = source.describe();
    const senders = this.#senders(chain, declared);
    const contracts = this.#contracts(chain);
    const search = [fromBlock, ...senders, ...contracts].join(' ');
    const known = memory?.get(chain) ?? null;
    if (memory !== null && known?.search !== search) throw new AllRoundsNeeded();
    try {
      const genesis = told.find((each) => each.chain === chain)?.genesis;
      // Another start of a development chain says nothing about our anchors.
      if (isDevelopmentChain(chain) && genesis !== undefined && (await source.block(0))?.hash !== `0x${genesis}`) {
        return { kind: 'other-instance', chain, node };
      }
      const answer = await auditChain({
        view,
        ledger: ledgerOf(rounds, this.#on(chain).claims),
        faults,
        senders,
        contracts,
        fromBlock,
        memory: known,
        recoveredAt: declared.recoveredAt,
        declaredUntil: declared.until,
        counted: (place) => counted(place, chain),
        copy,
        onBlock: (block) => onBlock(chain, block, view.until),
      });
      const { count, newest, proven } = answer;
      checked.push({
        chain,
        memory: { block: view.until, search, anchored: count, newest },
        has: (place) => proven.has(place),
        awaits: (number) => number > (newest?.round ?? 0),
      });
      return { kind: 'asked', chain, node, answer };
    } catch (error) {
      if (hasCode(error, 'rpc-failed')) {
        return { kind: 'failed', chain, says: sourceFailure(source, error) };
      }
      throw error;
    }
  }

  #on(chain: string): Shown {
    return this.#shown.get(chain) ?? { claims: new AnchorClaims(), contracts: new Set() };
  }

  #senders(chain: string, { senders }: Declared): string[] {
    const declared = senders.filter((sender) => sender.chain === chain).map(({ address }) => address);
    return [...new Set([...declared, ...this.#trust.senders].map((each) => each.toLowerCase()))].sort();
  }

  #contracts(chain: string): string[] {
    const told = this.#options.told.flatMap((each) => (each.chain === chain ? (each.contract ?? []) : []));
    return [...new Set([artifact.address.toLowerCase(), ...told, ...this.#on(chain).contracts])].sort();
  }
}

function ledgerOf(rounds: ShownAuditOptions['rounds'], claims: AnchorClaims): AnchorLedger {
  const match = (event: AnchorEvent): LedgerRound | null => {
    const place = rounds.find(event.root);
    if (place === null) return null;
    const { number, closedAt } = rounds.at(place);
    const named = claims.match(place, event.transaction).map(({ block }) => ({ ...block, time: null }));
    return { place, number, closedAt, named };
  };
  return {
    match: async (events) => events.map(match),
    *unmatched(until) {
      for (const { place, transaction } of claims.unmatched(until)) {
        const { number, root } = rounds.at(place);
        yield { place, number, root, transaction };
      }
    },
    firstEntry: async (round) => rounds.firstEntry(round),
  };
}
