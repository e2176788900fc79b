// Holds the rounds of the database against their anchors on one chain: the one witness that whoever has the database
// and the seed cannot rewrite.

import { toHex } from '../../core/bytes.ts';
import { AntequemError } from '../../core/errors.ts';
import type { EvmSource } from '../../core/evm-source.ts';
import { formatTime } from '../../core/time.ts';
import type { Moment } from '../../core/verdict.ts';
import { ANCHOR_ADDRESS, decodeAnchoredLog } from '../../evm/anchor-contract.ts';
import type { AnchorEvent, AnchorEvents } from '../../evm/anchor-events.ts';
import type { Queryable } from '../../store/database.ts';
import { Bitset } from '../checks/bitset.ts';
import type { Findings } from '../checks/findings.ts';

/** A chain as somebody trusted sees it. */
export interface ChainView {
  readonly source: EvmSource;
  readonly events: AnchorEvents;
  /** CAIP-2. */
  readonly chain: string;
  /** The newest final block, from before the database was looked at: rounds closed since are not on chain below it. */
  readonly until: number;
}

/** What a chain says of the rounds. */
export interface ChainAnswer {
  /** Rounds that are in final blocks. */
  readonly proven: Bitset;
  readonly count: number;
  /** The newest of them and its block. */
  readonly newest: { readonly round: number; readonly moment: Moment } | null;
  /** Roots of ours on the chain that are no round any more, from before the operator declared that some were lost. */
  readonly lost: number;
}

export interface AnchorCheckOptions {
  readonly db: Queryable;
  readonly view: ChainView;
  readonly findings: Findings;
  /** Accounts that are ours, 0x-hex. */
  readonly senders: readonly string[];
  /** Where to begin to look. */
  readonly fromBlock: number;
  /** When the operator last declared that rounds were lost, milliseconds. */
  readonly recoveredAt: number | null;
  readonly onBlock: (block: number) => void;
}

interface AnchoredRow {
  number: number;
  root: Uint8Array;
  closed_at: number;
  transaction: Uint8Array | null;
  block_number: number | null;
  block_hash: Uint8Array | null;
  block_time: number | null;
}

/** Clocks of a chain and of the service may be so far apart, milliseconds: of the latter the database knows to 60 s. */
const CLOCKS_APART = 90_000;
const EVENTS_AT_ONCE = 500;
const ROWS = 1_000;
const DETAILED = 10;

/** Asks the chain. @throws whatever its source throws */
export async function checkAnchors(options: AnchorCheckOptions): Promise<ChainAnswer> {
  const check = new AnchorCheck(options);
  await check.readEvents();
  await check.checkRows();
  await check.reportStrays();
  return check.answer();
}

class AnchorCheck {
  readonly #options: AnchorCheckOptions;
  readonly #proven = new Bitset();
  /** Rounds whose row names the very transaction that anchored them. */
  readonly #matched = new Bitset();
  #count = 0;
  #lost = 0;
  #newest: { round: number; event: AnchorEvent } | null = null;
  /** Events whose root no round has, and the newest round that was on the chain before them. */
  readonly #strays: { readonly event: AnchorEvent; readonly after: number }[] = [];
  #times: { block: number; time: number } = { block: -1, time: 0 };

  constructor(options: AnchorCheckOptions) {
    this.#options = options;
  }

  async readEvents(): Promise<void> {
    const { db, view, senders, fromBlock, onBlock } = this.#options;
    if (senders.length === 0) return;
    const { rows } = await db.query<{ contract: string }>('SELECT DISTINCT contract FROM targets WHERE chain = $1', [
      view.chain,
    ]);
    const contracts = [...new Set([ANCHOR_ADDRESS.toLowerCase(), ...rows.map(({ contract }) => contract)])];
    for await (const { events, to } of view.events({ contracts, senders, from: fromBlock, to: view.until })) {
      for (let at = 0; at < events.length; at += EVENTS_AT_ONCE)
        await this.#match(events.slice(at, at + EVENTS_AT_ONCE));
      onBlock(to);
    }
  }

  /** Rows that call an anchor final, and that no event bore out. */
  async checkRows(): Promise<void> {
    const { db, view } = this.#options;
    let after = { round: 0, target: '' };
    let missing = 0;
    for (;;) {
      const { rows } = await db.query<{ target: string; round: number; transaction: Uint8Array; block_number: number }>(
        `SELECT a.target, a.round, a.transaction, a.block_number
         FROM anchors a JOIN targets t ON t.name = a.target
         WHERE t.chain = $1 AND a.status = 'finalized' AND a.transaction IS NOT NULL AND (a.round, a.target) > ($2, $3)
         ORDER BY a.round, a.target LIMIT $4`,
        [view.chain, after.round, after.target, ROWS],
      );
      for (const row of rows) {
        // What is said to be in a later block than we asked for is not final by this source yet.
        if (this.#matched.has(row.round) || row.block_number > view.until) continue;
        await this.#unmatched(row, missing++ < DETAILED);
      }
      const last = rows.at(-1);
      if (last === undefined || rows.length < ROWS) return;
      after = last;
    }
  }

  async reportStrays(): Promise<void> {
    const { db, findings, view } = this.#options;
    for (const { event, after } of this.#strays) {
      const place = await firstUncovered(db, after + 1);
      const where = `block ${event.block.number} of ${view.chain} (${formatTime(await this.#timeOf(event))})`;
      const says = `${where} has the root ${toHex(event.root)} from an account of this service, and no round has it${place.says}`;
      findings.add('root-unknown', place, says);
    }
  }

  async answer(): Promise<ChainAnswer> {
    const newest = this.#newest;
    if (newest === null) return { proven: this.#proven, count: this.#count, newest: null, lost: this.#lost };
    const { block } = newest.event;
    const moment = { time: formatTime(await this.#timeOf(newest.event)), chain: this.#options.view.chain, block };
    return { proven: this.#proven, count: this.#count, newest: { round: newest.round, moment }, lost: this.#lost };
  }

  async #match(events: readonly AnchorEvent[]): Promise<void> {
    const { db, view } = this.#options;
    const { rows } = await db.query<AnchoredRow>(
      `SELECT r.number, r.root, r.closed_at, a.transaction, a.block_number, a.block_hash, a.block_time
       FROM rounds r LEFT JOIN (anchors a JOIN targets t ON t.name = a.target AND t.chain = $2) ON a.round = r.number
       WHERE r.root = ANY ($1)`,
      [events.map(({ root }) => Buffer.from(root)), view.chain],
    );
    const rounds = Map.groupBy(rows, (row) => toHex(row.root));
    for (const event of events) {
      const found = rounds.get(toHex(event.root));
      if (found === undefined) await this.#unknown(event);
      else for (const row of found) await this.#known(event, row);
    }
  }

  async #known(event: AnchorEvent, row: AnchoredRow): Promise<void> {
    const { findings } = this.#options;
    const { number } = row;
    if (!this.#proven.has(number)) this.#count++;
    this.#proven.add(number);
    if (this.#newest === null || number > this.#newest.round) this.#newest = { round: number, event };
    const time = await this.#timeOf(event);
    if (row.closed_at > time + CLOCKS_APART) {
      const says = `round ${number} says that it closed at ${formatTime(row.closed_at)}, after block ${event.block.number} of ${formatTime(time)} that has it`;
      findings.add('anchor-before-close', { round: number }, says);
    }
    if (row.transaction === null || `0x${toHex(row.transaction)}` !== event.transaction) return;
    this.#matched.add(number);
    if (row.block_number === null || row.block_hash === null) return;
    const differing = [
      row.block_number === event.block.number ? [] : ['number'],
      `0x${toHex(row.block_hash)}` === event.block.hash ? [] : ['hash'],
      row.block_time === time ? [] : ['time'],
    ].flat();
    if (differing.length === 0) return;
    const says = `${differing.join(', ')} of the block with the anchor of round ${number} is not what the chain has`;
    findings.add('anchor-differs', { round: number }, says);
  }

  async #unknown(event: AnchorEvent): Promise<void> {
    const { recoveredAt } = this.#options;
    const time = await this.#timeOf(event);
    if (recoveredAt !== null && time <= recoveredAt + CLOCKS_APART) this.#lost++;
    else if (this.#strays.length < DETAILED) this.#strays.push({ event, after: this.#newest?.round ?? 0 });
  }

  async #unmatched(
    row: { readonly target: string; readonly round: number; readonly transaction: Uint8Array },
    detailed: boolean,
  ): Promise<void> {
    const { db, findings, view } = this.#options;
    const transaction = `0x${toHex(row.transaction)}`;
    if (this.#proven.has(row.round)) {
      const says = `round ${row.round} is on ${view.chain}, and not by the transaction ${transaction} that ${row.target} names`;
      findings.add('anchor-differs', { round: row.round }, says);
      return;
    }
    const place = await firstUncovered(db, row.round);
    const why = detailed ? await this.#look(transaction) : 'does not hold its root';
    const says = `by ${view.source.describe()} the anchor of round ${row.round}, ${transaction}, ${why}${place.says}`;
    findings.add('anchor-missing', place, says);
  }

  /** What the chain has in place of the anchor that the row names. */
  async #look(transaction: string): Promise<string> {
    const { view } = this.#options;
    const found = await view.source.transaction(transaction);
    if (found === null) return `is in no block of ${view.chain}`;
    const other = found.logs.map(decodeAnchoredLog).find((event) => event !== null);
    return other === undefined ? 'anchored nothing' : `anchored another root, ${toHex(other.root)}`;
  }

  async #timeOf(event: AnchorEvent): Promise<number> {
    if (event.time !== null) return event.time;
    const { number } = event.block;
    if (this.#times.block !== number) {
      const block = await this.#options.view.source.block(number);
      if (block === null) {
        const { view } = this.#options;
        throw new AntequemError('rpc-failed', `it has an event of block ${number} of ${view.chain} and not the block`);
      }
      this.#times = { block: number, time: block.time };
    }
    return this.#times.time;
  }
}

/**
 * Which entries a round is the first to vouch for: of the first log of a user in it those from its size in the rounds
 * before on.
 */
async function firstUncovered(
  db: Queryable,
  round: number,
): Promise<{
  readonly round: number;
  readonly log: string | null;
  readonly index: number | null;
  readonly says: string;
}> {
  const { rows } = await db.query<{ name: string; covered: number }>(
    `SELECT l.name, coalesce((SELECT max(size) FROM round_leaves p WHERE p.log = n.log AND p.size < n.size), 0) AS covered
     FROM round_leaves n JOIN logs l ON l.id = n.log WHERE n.round = $1 ORDER BY l.name LIKE E'\\\\_%', l.name LIMIT 1`,
    [round],
  );
  const [log] = rows;
  if (log === undefined) return { round, log: null, index: null, says: `, after round ${round - 1}` };
  const says = `; nothing vouches for ${log.name} from entry ${log.covered} on, nor for what came into later rounds`;
  return { round, log: log.name, index: log.covered, says };
}
