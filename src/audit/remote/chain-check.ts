// Holds the rounds against one chain, both ways: what the service calls anchored is there, and what its accounts anchored
// there is a round.

import { toHex } from '../../core/bytes.ts';
import { AntequemError } from '../../core/errors.ts';
import { formatTime } from '../../core/time.ts';
import { decodeAnchoredLog } from '../../evm/anchor-contract.ts';
import type { AnchorEvent } from '../../evm/anchor-events.ts';
import { Bitset } from '../checks/bitset.ts';
import type { Findings } from '../checks/findings.ts';
import type { ChainAnswer, ChainView } from '../database/anchors.ts';
import type { AnchorClaim, AnchorClaims } from './anchor-claims.ts';
import type { RoundTable } from './round-table.ts';
import type { ChainMemory } from './state.ts';

export interface ChainCheckOptions {
  readonly view: ChainView;
  /** Rounds that an event may be of. */
  readonly table: RoundTable;
  readonly claims: AnchorClaims;
  readonly findings: Findings;
  readonly senders: readonly string[];
  readonly contracts: readonly string[];
  readonly fromBlock: number;
  /** What an earlier audit had seen of the chain; null: the table has all rounds. */
  readonly memory: ChainMemory | null;
  /** When the operator last declared that rounds were lost, milliseconds. */
  readonly recoveredAt: number | null;
  /** Whether a place of the table was counted by an earlier audit. */
  readonly counted: (place: number) => boolean;
  readonly onBlock: (block: number) => void;
}

/** What the chain says, and which rounds of the table it has. */
export interface ChainChecked extends Pick<ChainAnswer, 'count' | 'newest' | 'lost'> {
  readonly proven: Bitset;
}

/** An event is of a round that the table does not have: all rounds are needed to tell whose it is. */
export class AllRoundsNeeded extends Error {}

/** Clocks of a chain and of the service may be so far apart, milliseconds. */
const CLOCKS_APART = 90_000;
const DETAILED = 10;

/** Asks the chain. @throws AllRoundsNeeded, and whatever its source throws */
export async function checkChain(options: ChainCheckOptions): Promise<ChainChecked> {
  const check = new ChainCheck(options);
  await check.readEvents();
  await check.checkClaims();
  return check.answer();
}

class ChainCheck {
  readonly #options: ChainCheckOptions;
  readonly #proven = new Bitset();
  #count: number;
  #lost = 0;
  #strays = 0;
  #newest: { readonly round: number; readonly event: AnchorEvent } | null = null;
  #time = { block: -1, time: 0 };

  constructor(options: ChainCheckOptions) {
    this.#options = options;
    this.#count = options.memory?.anchored ?? 0;
  }

  async readEvents(): Promise<void> {
    const { view, senders, contracts, fromBlock, memory, onBlock } = this.#options;
    await this.#checkMemory();
    const from = memory === null ? fromBlock : memory.block + 1;
    if (senders.length === 0 || from > view.until) return;
    for await (const { events, to } of view.events({ contracts, senders, from, to: view.until })) {
      for (const event of events) await this.#take(event);
      onBlock(to);
    }
  }

  /** What the service calls final, and no event bore out. */
  async checkClaims(): Promise<void> {
    const { claims, view } = this.#options;
    let detailed = 0;
    for (const claim of claims.unmatched(view.until)) await this.#unmatched(claim, detailed++ < DETAILED);
  }

  async answer(): Promise<ChainChecked> {
    const newest = this.#newest;
    const known = this.#options.memory?.newest ?? null;
    const result = { proven: this.#proven, count: this.#count, lost: this.#lost };
    if (newest === null || (known !== null && known.round > newest.round)) return { ...result, newest: known };
    const { block } = newest.event;
    const moment = { time: formatTime(await this.#timeOf(newest.event)), chain: this.#options.view.chain, block };
    return { ...result, newest: { round: newest.round, moment } };
  }

  /** That the chain is the one that was asked before. */
  async #checkMemory(): Promise<void> {
    const { memory, view } = this.#options;
    if (memory?.newest == null) return;
    const { number, hash } = memory.newest.moment.block;
    if ((await view.source.block(number))?.hash !== hash) throw new AllRoundsNeeded();
  }

  async #take(event: AnchorEvent): Promise<void> {
    const { table, findings, claims, counted, view } = this.#options;
    const place = table.find(event.root);
    if (place === null) return this.#unknown(event);
    const { number, closedAt } = table.at(place);
    if (!this.#proven.has(place) && !counted(place)) this.#count++;
    this.#proven.add(place);
    if (this.#newest === null || number > this.#newest.round) this.#newest = { round: number, event };
    const time = await this.#timeOf(event);
    if (closedAt > time + CLOCKS_APART) {
      const says = `round ${number} says that it closed at ${formatTime(closedAt)}, after block ${event.block.number} of ${formatTime(time)} that has it`;
      findings.add('anchor-before-close', { round: number }, says);
    }
    for (const claim of claims.match(place, event.transaction, event.block)) {
      const says = `the service names block ${claim.block.number} (${claim.block.hash}) of ${view.chain} for the anchor of round ${number}, and it is in block ${event.block.number} (${event.block.hash})`;
      findings.add('anchor-differs', { round: number }, says);
    }
  }

  async #unknown(event: AnchorEvent): Promise<void> {
    const { memory, recoveredAt, findings, view } = this.#options;
    if (memory !== null) throw new AllRoundsNeeded();
    const time = await this.#timeOf(event);
    if (recoveredAt !== null && time <= recoveredAt + CLOCKS_APART) {
      this.#lost++;
      return;
    }
    const after = this.#newest?.round ?? 0;
    const where = `block ${event.block.number} of ${view.chain} (${formatTime(time)})`;
    const says = `${where} has the root ${toHex(event.root)} from an account of this service, and no round of this chain of rounds has it`;
    findings.add('root-unknown', { round: after + 1 }, this.#strays++ === 0 ? says : where);
  }

  async #unmatched({ place, transaction }: AnchorClaim, detailed: boolean): Promise<void> {
    const { findings, table, view } = this.#options;
    const { number, root } = table.at(place);
    const found = detailed ? await view.source.transaction(transaction) : null;
    const anchored = (found?.logs ?? []).map(decodeAnchoredLog).filter((event) => event !== null);
    const by = view.source.describe();
    if (anchored.some((event) => Buffer.compare(event.root, root) === 0)) {
      const says = `round ${number} is on ${view.chain} in ${transaction}, paid for by an account that _system does not declare`;
      findings.add('sender-differs', { round: number }, says);
    } else if (this.#proven.has(place)) {
      const says = `round ${number} is on ${view.chain}, and not by the transaction ${transaction} that the service names`;
      findings.add('anchor-differs', { round: number }, says);
    } else {
      const [other] = anchored;
      const why = !detailed
        ? 'does not hold its root'
        : found === null
          ? `is in no block of ${view.chain}`
          : other === undefined
            ? 'anchored nothing'
            : `anchored another root, ${toHex(other.root)}`;
      const says = `by ${by} the anchor of round ${number}, ${transaction}, ${why}`;
      findings.add('anchor-missing', { round: number }, says);
    }
  }

  async #timeOf(event: AnchorEvent): Promise<number> {
    if (event.time !== null) return event.time;
    const { number } = event.block;
    if (this.#time.block !== number) {
      const block = await this.#options.view.source.block(number);
      if (block === null) {
        const { chain } = this.#options.view;
        throw new AntequemError('rpc-failed', `it has an event of block ${number} of ${chain} and not the block`);
      }
      this.#time = { block: number, time: block.time };
    }
    return this.#time.time;
  }
}
