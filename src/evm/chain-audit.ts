// The audit of anchors on one EVM chain: the `Anchored` events of the service's accounts against the rounds, whether these
// come from a database or from what a service shows.

import type {
  AnchorEvent,
  AnchorFaults,
  ChainAnswer,
  ChainMemory,
  ChainOutcome,
  FaultPlace,
  FirstEntry,
  TrustedNode,
} from '../core/anchor-audit.ts';
import { AllRoundsNeeded } from '../core/anchor-audit.ts';
import { sourceFailure } from '../core/anchor-verifier.ts';
import { decodeAnchoredLog } from '../core/anchored-event.ts';
import { Bitset } from '../core/bitset.ts';
import { toHex } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { blockMoment } from '../core/moment.ts';
import { formatTime } from '../core/time.ts';

/** A chain as a trusted node shows it. */
export interface ChainView extends TrustedNode {
  /** CAIP-2. */
  readonly chain: string;
  /** The newest final block, from before the rounds were read: rounds closed since are not below it. */
  readonly until: number;
}

/** Asks every node for its chain and its newest final block. */
export async function viewChains(
  nodes: readonly TrustedNode[],
): Promise<{ readonly views: readonly ChainView[]; readonly failures: readonly ChainOutcome[] }> {
  const views: ChainView[] = [];
  const failures: ChainOutcome[] = [];
  for (const { source, events } of nodes) {
    let chain: string | null = null;
    try {
      chain = await source.chainId();
      views.push({ source, events, chain, until: await source.finalized() });
    } catch (error) {
      failures.push({ kind: 'failed', chain, says: sourceFailure(source, error) });
    }
  }
  return { views, failures };
}

/** The rounds, and what the service says of their anchors on the chain. */
export interface AnchorLedger {
  /** For each event the round that has its root, null if none has. */
  match(events: readonly AnchorEvent[]): Promise<readonly (LedgerRound | null)[]>;
  /** Anchors that the service calls final, in blocks up to this one, and that no event has matched. */
  unmatched(until: number): AsyncIterable<ClaimedAnchor> | Iterable<ClaimedAnchor>;
  /** The first entry that this round vouches for and no round before; null: not known. */
  firstEntry(round: number): Promise<FirstEntry | null>;
}

export interface LedgerRound {
  readonly place: number;
  readonly number: number;
  readonly closedAt: number;
  /** The blocks that the service names for the event's transaction; null: what it does not tell. */
  readonly named: readonly { readonly number: number; readonly hash: string; readonly time: number | null }[];
}

export interface ClaimedAnchor {
  readonly place: number;
  readonly number: number;
  readonly root: Uint8Array;
  readonly transaction: string;
}

export interface ChainAuditOptions {
  readonly view: ChainView;
  readonly ledger: AnchorLedger;
  readonly faults: AnchorFaults;
  readonly senders: readonly string[];
  readonly contracts: readonly string[];
  readonly fromBlock: number;
  /** What an earlier audit saw of the chain; null: the ledger has all rounds. */
  readonly memory: ChainMemory | null;
  /** When the operator last declared that rounds were lost, milliseconds. */
  readonly recoveredAt: number | null;
  /** Accounts that were declared after this time, in milliseconds, may be missing among the senders. Default: none is. */
  readonly declaredUntil?: number | undefined;
  /** Whether an earlier audit counted the round at this place. */
  readonly counted: (place: number) => boolean;
  /** Whether the ledger is a copy of some moment, so that the chain may have newer rounds. Default: false. */
  readonly copy?: boolean;
  readonly onBlock: (block: number) => void;
}

export interface AuditedRounds extends ChainAnswer {
  /** By place. */
  readonly proven: Bitset;
}

/** The clocks of a chain and of the service may differ by so much: of the latter the database knows to 60 s. */
const CLOCK_TOLERANCE_MS = 90_000;
const EVENTS_AT_ONCE = 500;
const DETAILED = 10;

/** Asks the chain. @throws AllRoundsNeeded, and what its source throws */
export async function auditChain(options: ChainAuditOptions): Promise<AuditedRounds> {
  const audit = new ChainAudit(options);
  await audit.readEvents();
  await audit.checkClaims();
  await audit.reportStrays();
  return audit.answer();
}

class ChainAudit {
  readonly #options: ChainAuditOptions;
  readonly #proven = new Bitset();
  #count: number;
  #lost = 0;
  /** Events whose root no round has, each with the newest round that was on the chain before it. */
  readonly #strays: { readonly event: AnchorEvent; readonly after: number }[] = [];
  /** Of these a round is on the chain behind them. */
  #strayBefore = 0;
  /** Unknown roots behind the last known one. */
  #newer = 0;
  #newest: { readonly round: number; readonly event: AnchorEvent } | null = null;
  #time = { block: -1, time: 0 };

  constructor(options: ChainAuditOptions) {
    this.#options = options;
    this.#count = options.memory?.anchored ?? 0;
  }

  async readEvents(): Promise<void> {
    const { view, ledger, senders, contracts, fromBlock, memory, onBlock } = this.#options;
    await this.#checkMemory();
    const from = memory === null ? fromBlock : memory.block + 1;
    if (senders.length === 0 || from > view.until) return;
    for await (const { events, to } of view.events({ contracts, senders, from, to: view.until })) {
      for (let at = 0; at < events.length; at += EVENTS_AT_ONCE) {
        const part = events.slice(at, at + EVENTS_AT_ONCE);
        const found = await ledger.match(part);
        for (const [i, event] of part.entries()) await this.#take(event, found[i] ?? null);
      }
      onBlock(to);
    }
  }

  /** What the service calls final and no event confirms. */
  async checkClaims(): Promise<void> {
    const { ledger, view } = this.#options;
    let detailed = 0;
    for await (const claim of ledger.unmatched(view.until)) await this.#unmatched(claim, detailed++ < DETAILED);
  }

  async reportStrays(): Promise<void> {
    const { ledger, faults, view, copy = false } = this.#options;
    for (const { event, after } of copy ? this.#strays.slice(0, this.#strayBefore) : this.#strays) {
      const { place, says } = placeOf(after + 1, await ledger.firstEntry(after + 1));
      const where = `block ${event.block.number} of ${view.chain} (${formatTime(await this.#timeOf(event))})`;
      const root = `the root ${toHex(event.root)} from an account of this service`;
      faults.add('root-unknown', place, `${where} has ${root}, and none of these rounds has it${says}`);
    }
  }

  async answer(): Promise<AuditedRounds> {
    const newest = this.#newest;
    const known = this.#options.memory?.newest ?? null;
    const newer = this.#options.copy === true ? this.#newer : 0;
    const result = { proven: this.#proven, count: this.#count, lost: this.#lost, newer };
    if (newest === null || (known !== null && known.round > newest.round)) return { ...result, newest: known };
    const { block } = newest.event;
    const moment = blockMoment(this.#options.view.chain, formatTime(await this.#timeOf(newest.event)), block);
    return { ...result, newest: { round: newest.round, moment } };
  }

  /** That the chain is the one that was asked before. */
  async #checkMemory(): Promise<void> {
    const { memory, view } = this.#options;
    if (memory?.newest == null) return;
    const { number, hash } = memory.newest.moment.block;
    if ((await view.source.block(number))?.hash !== hash) throw new AllRoundsNeeded();
  }

  async #take(event: AnchorEvent, round: LedgerRound | null): Promise<void> {
    if (round === null) return this.#unknown(event);
    const { faults, counted, view } = this.#options;
    const { place, number, closedAt, named } = round;
    if (!this.#proven.has(place) && !counted(place)) this.#count++;
    this.#proven.add(place);
    this.#strayBefore = this.#strays.length;
    this.#newer = 0;
    if (this.#newest === null || number > this.#newest.round) this.#newest = { round: number, event };
    const { block } = event;
    const time = await this.#timeOf(event);
    if (closedAt > time + CLOCK_TOLERANCE_MS) {
      const says = `round ${number} says that it closed at ${formatTime(closedAt)}, after block ${block.number} of ${formatTime(time)} that has it`;
      faults.add('anchor-before-close', { round: number }, says);
    }
    for (const other of named) {
      const same =
        other.number === block.number && other.hash === block.hash && (other.time === null || other.time === time);
      if (same) continue;
      const at = other.time === null ? '' : ` of ${formatTime(other.time)}`;
      const says = `the service names block ${other.number} (${other.hash})${at} of ${view.chain} for the anchor of round ${number}, and it is in block ${block.number} (${block.hash}) of ${formatTime(time)}`;
      faults.add('anchor-differs', { round: number }, says);
    }
  }

  async #unknown(event: AnchorEvent): Promise<void> {
    const { memory, recoveredAt } = this.#options;
    if (memory !== null) throw new AllRoundsNeeded();
    const time = await this.#timeOf(event);
    if (recoveredAt !== null && time <= recoveredAt + CLOCK_TOLERANCE_MS) this.#lost++;
    else {
      this.#newer++;
      if (this.#strays.length < DETAILED) this.#strays.push({ event, after: this.#newest?.round ?? 0 });
    }
  }

  async #unmatched({ place, number, root, transaction }: ClaimedAnchor, detailed: boolean): Promise<void> {
    const { faults, ledger, view, declaredUntil } = this.#options;
    const found = detailed ? await view.source.transaction(transaction) : null;
    const anchored = (found?.logs ?? []).map(decodeAnchoredLog).filter((event) => event !== null);
    if (anchored.some((event) => Buffer.compare(event.root, root) === 0)) {
      const block = found === null ? null : await view.source.block(found.blockNumber);
      if (declaredUntil !== undefined && block !== null && block.time > declaredUntil) return;
      const says = `round ${number} is on ${view.chain} in ${transaction}, paid for by an account that _system does not declare`;
      faults.add('sender-differs', { round: number }, says);
    } else if (this.#proven.has(place)) {
      const says = `round ${number} is on ${view.chain}, and not by the transaction ${transaction} that the service names`;
      faults.add('anchor-differs', { round: number }, says);
    } else {
      const [other] = anchored;
      const why = !detailed
        ? 'does not hold its root'
        : found === null
          ? `is in no block of ${view.chain}`
          : other === undefined
            ? 'anchored nothing'
            : `anchored another root, ${toHex(other.root)}`;
      const first = placeOf(number, await ledger.firstEntry(number));
      const says = `by ${view.source.describe()} the anchor of round ${number}, ${transaction}, ${why}${first.says}`;
      faults.add('anchor-missing', first.place, says);
    }
  }

  async #timeOf(event: AnchorEvent): Promise<number> {
    if (event.time !== null) return event.time;
    const { number } = event.block;
    if (this.#time.block !== number) {
      const { source, chain } = this.#options.view;
      const block = await source.block(number);
      if (block === null) {
        throw new AntequemError('rpc-failed', `it has an event of block ${number} of ${chain} and not the block`);
      }
      this.#time = { block: number, time: block.time };
    }
    return this.#time.time;
  }
}

/** Where entries lose their proof together with a round. */
function placeOf(round: number, first: FirstEntry | null): { readonly place: FaultPlace; readonly says: string } {
  if (first === null) return { place: { round }, says: `, after round ${round - 1}` };
  const { log, index } = first;
  const says = `; nothing vouches for ${log} from entry ${index} on, nor for what came into later rounds`;
  return { place: { round, log, index }, says };
}
