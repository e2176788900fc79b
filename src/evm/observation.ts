// Looking what became of what was sent: included in a block, final, gone again, outbid by another, or without effect.

import { decodeAnchoredLog } from '../core/anchored-event.ts';
import { AntequemError, messageOf } from '../core/errors.ts';
import type { Database } from '../store/database.ts';
import type { Account } from './account.ts';
import { type FinalHeight, type Finality, finalHeight } from './finality.ts';
import type { EvmNode, NodeBlock, NodeReceipt } from './node.ts';
import { findByNonce, type MinedTransaction } from './nonce-search.ts';
import { inParallel } from './parallel.ts';
import { type Purpose, STATE_TABLE } from './storing.ts';

export interface AttemptQuery {
  readonly target: string;
  readonly contract: string;
  readonly finality: Finality;
  readonly purpose: Purpose;
  readonly rounds: readonly number[];
}

/**
 * What the chain says about the attempts to anchor a round: transactions with one nonce, of which one at most is ever
 * mined. Blocks are canonical.
 */
export type Observation = {
  /** The attempt that is mined, else the newest. */
  readonly id: number;
  readonly hash: Uint8Array;
  readonly round: number;
  /** The attempts beside that one. */
  readonly others: readonly number[];
  /** Since when it seemed lost before this look, milliseconds; null: it did not. */
  readonly lostAt: number | null;
  /** Whether the operator said to go on without it if it is lost. */
  readonly cleared: boolean;
} & (
  | { readonly seen: 'nowhere' }
  /** A canonical block holds it, but the node has no receipt of it now: nothing is known yet, and nothing is lost. */
  | { readonly seen: 'unreceipted' }
  | { readonly seen: 'included' | 'final'; readonly block: NodeBlock; readonly cost: bigint | null }
  /** Mined, but our event is not in it; `settled` where that block is final. */
  | { readonly seen: 'without-effect'; readonly settled: boolean; readonly cost: bigint | null }
  /**
   * Its nonce is used up, and not by one of the attempts; `settled` where that is final: none of them can be mined any
   * more. `by`: the other transaction, found in a block; null: it was not found.
   */
  | { readonly seen: 'superseded'; readonly settled: boolean; readonly by: MinedTransaction | null }
);

interface AttemptRow {
  id: number;
  round: number;
  hash: Uint8Array;
  sender: string;
  nonce: number;
  root: Uint8Array;
  live: boolean;
  /** The block that it was in when last looked at. */
  block_number: number | null;
  block_hash: Uint8Array | null;
  lost_at: number | null;
  cleared_at: number | null;
}

const AT_ONCE = 8;

export interface Look {
  readonly observations: readonly Observation[];
  /** Why some could not be looked at; they are left out. Null: all were. */
  readonly failure: unknown;
  /** What is waited for without anything being wrong, where something is. */
  readonly waiting: Waiting;
}

export interface Waiting {
  /** Receipts that come later than blocks; null: none does. */
  readonly receipts: string | null;
  /** A final block, where the chain names none. */
  readonly finality: string | null;
}

/** Looks at every attempt for these rounds that is not final, each by itself. Throws only what the database throws. */
export async function observe(database: Database, node: EvmNode, request: AttemptQuery): Promise<Look> {
  const { rows } = await database.query<AttemptRow>(
    `SELECT t.id, t.round, t.hash, p.address AS sender, t.nonce, r.root, t.status <> 'replaced' AS live, t.lost_at, t.cleared_at,
            a.block_number, a.block_hash
     FROM evm_transactions t JOIN evm_accounts p ON p.id = t.account JOIN rounds r ON r.number = t.round
     LEFT JOIN ${STATE_TABLE[request.purpose]} a ON a.target = t.target AND a.round = t.round AND t.status = 'included'
     WHERE t.target = $1 AND t.round = ANY ($2::bigint[]) AND t.purpose = $3 AND t.status IN ('signed', 'broadcast', 'included', 'replaced')
     ORDER BY t.round, t.id DESC`,
    [request.target, request.rounds, request.purpose],
  );
  const receipts = await inParallel(rows, AT_ONCE, (row) => outcomeOf(node.receipt(hexOf(row.hash))));
  // Asked for after the receipts and before the blocks: what is final then has the same block a moment later.
  const finality = rows.length === 0 ? null : await finalOf(node, request.finality);
  const final = finality?.height ?? null;
  const view: ChainView = {
    node,
    contract: request.contract,
    final,
    block: remembered((number) => node.block(number)),
    minedCount: remembered((sender) => node.transactionCount(sender, 'latest')),
    finalCount: remembered(async (sender) => (final === null ? 0 : node.transactionCount(sender, final))),
  };
  const attempts = rows.map((row, i) => ({ row, receipt: receipts[i] ?? { failure: null } }));
  const looks = await inParallel([...Map.groupBy(attempts, ({ row }) => row.round).values()], AT_ONCE, (group) =>
    outcomeOf(lookAt(view, group)),
  );
  const observations = looks.flatMap((look) => ('value' in look ? [look.value] : []));
  const late = observations.some(({ seen }) => seen === 'unreceipted');
  return {
    observations,
    failure: looks.find((look) => 'failure' in look)?.failure ?? null,
    waiting: {
      receipts: late ? `${node.name} has no receipt yet of a transaction that its blocks hold` : null,
      finality: finality?.problem ?? null,
    },
  };
}

/** That the node does not tell what is final keeps nothing from being included. */
function finalOf(node: EvmNode, finality: Finality): Promise<FinalHeight> {
  return finalHeight(node, finality).catch((error: unknown) => ({ height: null, problem: messageOf(error) }));
}

interface ChainView {
  readonly node: EvmNode;
  readonly contract: string;
  /** The newest final block; null: none, or not known. */
  readonly final: number | null;
  readonly block: (number: number) => Promise<NodeBlock | null>;
  /** Transactions of the account up to the newest block. */
  readonly minedCount: (address: string) => Promise<number>;
  /** Transactions of the account up to the newest final block. */
  readonly finalCount: (address: string) => Promise<number>;
}

interface Attempt {
  readonly row: AttemptRow;
  readonly receipt: Outcome<NodeReceipt | null>;
}

async function lookAt(view: ChainView, group: readonly Attempt[]): Promise<Observation> {
  for (const attempt of group) {
    const receipt = readOutcome(attempt.receipt);
    const block = receipt === null ? null : await view.block(receipt.blockNumber);
    if (receipt === null || block === null || block.hash !== receipt.blockHash) continue;
    const settled = receipt.blockNumber <= (view.final ?? -1);
    const found = { ...about(attempt.row, group), cost: receipt.cost };
    if (!hasEffect(receipt, attempt.row, view.contract)) return { ...found, seen: 'without-effect', settled };
    return { ...found, seen: settled ? 'final' : 'included', block };
  }
  const newest = (group.find(({ row }) => row.live) ?? group[0])?.row;
  if (newest === undefined) throw new AntequemError('internal', 'a round without attempts was looked at');
  const found = about(newest, group);
  if (await isInRecordedBlock(view, group)) return { ...found, seen: 'unreceipted' };
  if ((await view.minedCount(newest.sender)) <= newest.nonce) return { ...found, seen: 'nowhere' };
  // Receipts come late where they are indexed behind the head, or asked of another of many machines behind one address.
  if (await isInAnyBlock(view, group)) return { ...found, seen: 'unreceipted' };
  const by = await findByNonce(view.node, newest.sender, newest.nonce);
  if (by !== null && group.some(({ row }) => hexOf(row.hash) === by.hash)) return { ...found, seen: 'unreceipted' };
  const settled = by === null ? (await view.finalCount(newest.sender)) > newest.nonce : by.block <= (view.final ?? -1);
  return { ...found, seen: 'superseded', settled, by };
}

/** Whether the block in which an attempt was seen before is still the canonical one at its height. */
async function isInRecordedBlock(view: ChainView, group: readonly Attempt[]): Promise<boolean> {
  for (const { row } of group) {
    if (row.block_number === null || row.block_hash === null) continue;
    if ((await view.block(row.block_number))?.hash === hexOf(row.block_hash)) return true;
  }
  return false;
}

/** Whether the node says of an attempt itself that a canonical block holds it, or has its receipt by now. */
async function isInAnyBlock(view: ChainView, group: readonly Attempt[]): Promise<boolean> {
  for (const { row } of group) {
    const hash = hexOf(row.hash);
    const held = (await view.node.transaction(hash))?.block ?? null;
    if (held !== null && (await view.node.block(held.number))?.hash === held.hash) return true;
    if ((await view.node.receipt(hash)) !== null) return true;
  }
  return false;
}

function about(row: AttemptRow, group: readonly Attempt[]) {
  const flagged = group.find((attempt) => attempt.row.lost_at !== null)?.row;
  return {
    id: row.id,
    hash: new Uint8Array(row.hash),
    round: row.round,
    others: group.flatMap(({ row: { id } }) => (id === row.id ? [] : [id])),
    lostAt: flagged?.lost_at ?? null,
    cleared: typeof flagged?.cleared_at === 'number',
  };
}

type Outcome<T> = { readonly value: T } | { readonly failure: unknown };

function outcomeOf<T>(promise: Promise<T>): Promise<Outcome<T>> {
  return promise.then(
    (value) => ({ value }),
    (failure: unknown) => ({ failure }),
  );
}

function readOutcome<T>(outcome: Outcome<T>): T {
  if ('failure' in outcome) throw outcome.failure;
  return outcome.value;
}

function hasEffect(receipt: NodeReceipt, { root, sender }: AttemptRow, contract: string): boolean {
  return (
    receipt.succeeded &&
    receipt.logs.some((log) => {
      const event = log.address === contract ? decodeAnchoredLog(log) : null;
      return event !== null && event.sender === sender && Buffer.compare(event.root, root) === 0;
    })
  );
}

function remembered<K, V>(ask: (key: K) => Promise<V>): (key: K) => Promise<V> {
  const answers = new Map<K, Promise<V>>();
  return (key) => {
    const known = answers.get(key);
    if (known !== undefined) return known;
    const answer = ask(key);
    answers.set(key, answer);
    return answer;
  };
}

function hexOf(bytes: Uint8Array): string {
  return `0x${Buffer.from(bytes).toString('hex')}`;
}

/** How much longer than for proof of it one waits before the operator is asked about what was not found. */
const UNEXPLAINED = 10;

/**
 * The first observation that only the operator can judge, as an error; null: none. It must have looked so for `patience`
 * milliseconds: nodes learn of blocks, and index them, one after the other.
 * @returns AntequemError `nonce-foreign`, `nonce-unexplained`, `anchor-without-effect` (alarms), `nonce-suspect` (not yet)
 */
export function alarmOf(
  observations: readonly Observation[],
  account: Account,
  { now, patience }: { readonly now: number; readonly patience: number },
): AntequemError | null {
  for (const observation of observations) {
    if ((observation.seen !== 'superseded' && observation.seen !== 'without-effect') || observation.cleared) continue;
    const which = `${hexOf(observation.hash)} (round ${observation.round})`;
    const lasted = observation.lostAt === null ? null : now - observation.lostAt;
    const patient = observation.seen === 'superseded' && observation.by === null ? UNEXPLAINED * patience : patience;
    if (lasted === null || lasted < patient) {
      return new AntequemError('nonce-suspect', `${which} seems lost: nothing is signed until that is clear`);
    }
    if (observation.seen === 'without-effect') {
      return new AntequemError(
        'anchor-without-effect',
        `${which} was mined without the event it should emit: look at it, then resume the target`,
      );
    }
    return observation.by === null
      ? new AntequemError(
          'nonce-unexplained',
          `${which} is in no block, but ${account.address} has used up its nonce, and the node keeps no state by which ` +
            'the transaction that did can be found: look for it, then resume the target',
        )
      : new AntequemError(
          'nonce-foreign',
          `${observation.by.hash} in block ${observation.by.block}, another transaction of ${account.address}, has taken ` +
            `the nonce of ${which}: somebody else uses the key; find out who, then resume the target`,
        );
  }
  return null;
}
