// Where rounds stand with their targets, as receipts and the API tell it.

import { toHex } from '../core/bytes.ts';
import { LruCache } from '../core/lru.ts';
import { type Anchor, type EvmAnchor, formatBlockHash } from '../core/receipt.ts';
import { formatTime } from '../core/time.ts';
import { readEvidence } from '../evm/evidence-store.ts';
import { readOtsAnchors } from '../ots/receipt-anchor.ts';
import { type CalendarReport, reportCalendars } from '../ots/report.ts';
import type { Queryable } from '../store/database.ts';

/** Where a round stands with one target. */
export type AnchorState = EvmAnchorState | OtsAnchorState;

interface CommonState {
  readonly target: string;
  /** CAIP-2. */
  readonly chain: string;
  /** `submitted`: a node has the transaction, or enough calendars have answered. `included` is provisional. */
  readonly status: 'pending' | 'submitted' | 'included' | 'finalized';
  readonly block: { readonly number: number; readonly hash: string; readonly time: string } | null;
  /** What stood in the way when last looked at. */
  readonly problem: string | null;
  readonly submittedAt: string | null;
  readonly finalizedAt: string | null;
  readonly updatedAt: string;
}

export interface EvmAnchorState extends CommonState {
  readonly type: 'evm';
  readonly contract: string;
  readonly mode: 'anchor' | 'announce';
  /** 0x-hex. */
  readonly transaction: string | null;
  /** Why its receipts bear no proof of the block yet, where that was tried. */
  readonly proofProblem: string | null;
  /** Wei in decimal, of all transactions mined for it; null while none is. */
  readonly cost: string | null;
}

export interface OtsAnchorState extends CommonState, CalendarReport {
  readonly type: 'opentimestamps';
}

interface AnchorRow {
  round: number;
  target: string;
  chain: string;
  contract: string | null;
  mode: 'anchor' | 'announce' | null;
  status: 'pending' | 'submitted' | 'included' | 'finalized';
  transaction: Uint8Array | null;
  block_number: number | null;
  block_hash: Uint8Array | null;
  block_time: number | null;
  problem: string | null;
  proof_problem: string | null;
  cost: string | null;
  submitted_at: number | null;
  finalized_at: number | null;
  updated_at: number;
}

async function readRows(database: Queryable, rounds: readonly number[]): Promise<AnchorRow[]> {
  const { rows } = await database.query<AnchorRow>({
    name: 'anchor-states',
    text: `SELECT a.round, a.target, t.chain, t.contract, t.mode, a.status, a.transaction, a.block_number, a.block_hash,
                  a.block_time, coalesce(t.stop_reason, a.problem) AS problem, e.problem AS proof_problem, a.submitted_at,
                  a.finalized_at, a.updated_at,
                  -- Of the attempts at one nonce one alone is mined.
                  (SELECT sum(n.cost)::text FROM (
                     SELECT max(x.cost) AS cost FROM evm_transactions x WHERE x.target = a.target AND x.round = a.round
                     GROUP BY x.chain, x.sender, x.instance, x.nonce) n) AS cost
           FROM anchors a JOIN targets t ON t.name = a.target
           LEFT JOIN evm_evidence e USING (target, round, block_hash) WHERE a.round = ANY ($1::bigint[])
           ORDER BY a.round, a.target`,
    values: [rounds],
  });
  return rows;
}

/** The states of a round's anchors, by the targets' names. */
export async function anchorStates(database: Queryable, round: number): Promise<AnchorState[]> {
  return (await anchorStatesOf(database, [round])).get(round) ?? [];
}

/** The same of many rounds, in as many queries as of one. A round without anchors is left out. */
export async function anchorStatesOf(
  database: Queryable,
  rounds: readonly number[],
): Promise<Map<number, AnchorState[]>> {
  const [rows, calendars] = await Promise.all([readRows(database, rounds), reportCalendars(database, rounds)]);
  const states = new Map<number, AnchorState[]>();
  for (const row of rows) {
    const state = stateOf(row, calendars.get(row.round)?.get(row.target));
    const known = states.get(row.round);
    if (known === undefined) states.set(row.round, [state]);
    else known.push(state);
  }
  return states;
}

function stateOf(row: AnchorRow, calendars: CalendarReport = { calendars: [], blocks: [] }): AnchorState {
  const { target, chain, status, contract, mode } = row;
  const common = {
    target,
    chain,
    status,
    block: blockOf(row),
    problem: status === 'finalized' ? null : row.problem,
    submittedAt: row.submitted_at === null ? null : formatTime(row.submitted_at),
    finalizedAt: row.finalized_at === null ? null : formatTime(row.finalized_at),
    updatedAt: formatTime(row.updated_at),
  };
  if (contract === null || mode === null) {
    return { type: 'opentimestamps', ...common, ...calendars };
  }
  return {
    type: 'evm',
    ...common,
    contract,
    mode,
    transaction: row.transaction === null ? null : `0x${toHex(row.transaction)}`,
    proofProblem: row.proof_problem,
    cost: row.cost,
  };
}

/** The anchors of a round as its receipts have them: what was sent to chains, and what calendars answered. */
export async function readAnchors(database: Queryable, round: number): Promise<Anchor[]> {
  const [sent, stamped] = await Promise.all([readEvmAnchors(database, round), readOtsAnchors(database, round)]);
  return [...sent, ...stamped];
}

/** Where there is a proof, number and time of the block are what the header says, not what a node said of it. */
export async function readEvmAnchors(database: Queryable, round: number): Promise<EvmAnchor[]> {
  const [rows, evidence] = await Promise.all([readRows(database, [round]), readEvidence(database, round)]);
  return rows.flatMap((row): EvmAnchor[] => {
    const { target, chain, contract, transaction, status } = row;
    if (contract === null || transaction === null || status === 'pending') return [];
    const identity = { type: 'evm' as const, chain, contract, transaction: `0x${toHex(transaction)}` };
    if (status === 'submitted') return [{ ...identity, status }];
    const block = blockOf(row);
    if (block === null) return [];
    const proven = evidence.get(target);
    return [{ ...identity, status, ...(proven?.block.hash === block.hash ? proven : { block: { ...block } }) }];
  });
}

function blockOf(row: AnchorRow): AnchorState['block'] {
  if (row.block_number === null || row.block_hash === null || row.block_time === null) return null;
  return {
    number: row.block_number,
    hash: formatBlockHash(row.chain, row.block_hash),
    time: formatTime(row.block_time),
  };
}

/** Milliseconds that an answer holds where news fail to come. */
const PATIENCE = 1_000;
const ROUNDS = 2_000;

/**
 * Reads what changes seldom and is asked for often, such as the anchors of a round: once for all who ask, until there is
 * news or a second has gone by.
 */
export class Remembered<A> {
  readonly #read: (round: number) => Promise<A>;
  readonly #now: () => number;
  readonly #answers = new LruCache<
    number,
    { readonly answer: Promise<A>; readonly until: number; readonly age: number }
  >(ROUNDS);
  #age = 0;

  /** @param now milliseconds that never step back */
  constructor(read: (round: number) => Promise<A>, now: () => number) {
    this.#read = read;
    this.#now = now;
  }

  /** Something moved on: what was read before holds no more. */
  forget(): void {
    this.#age++;
  }

  get(round: number): Promise<A> {
    const known = this.#answers.get(round);
    if (known !== undefined && known.age === this.#age && this.#now() < known.until) return known.answer;
    const answer = this.#read(round);
    this.#answers.set(round, { answer, until: this.#now() + PATIENCE, age: this.#age });
    answer.catch(() => this.#answers.delete(round));
    return answer;
  }
}
