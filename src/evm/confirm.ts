// Looking what became of what was sent: included in a block, final, gone again, outbid by another, or without effect.

import { decodeAnchoredLog } from '../core/anchored-event.ts';
import { AntequemError } from '../core/errors.ts';
import type { Database } from '../store/database.ts';
import type { Account } from './account.ts';
import { type Finality, finalHeight } from './finality.ts';
import type { EvmNode, NodeBlock, NodeReceipt } from './node.ts';
import { inParallel } from './parallel.ts';

export interface AttemptQuery {
  readonly target: string;
  readonly contract: string;
  readonly finality: Finality;
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
  | { readonly seen: 'included' | 'final'; readonly block: NodeBlock; readonly cost: bigint | null }
  /** Mined, but our event is not in it; `settled` where that block is final. */
  | { readonly seen: 'without-effect'; readonly settled: boolean; readonly cost: bigint | null }
  /** Another transaction has its nonce; `settled` where that one is final: none of the attempts can be mined any more. */
  | { readonly seen: 'superseded'; readonly settled: boolean }
);

interface AttemptRow {
  id: number;
  round: number;
  hash: Uint8Array;
  sender: string;
  nonce: number;
  root: Uint8Array;
  live: boolean;
  lost_at: number | null;
  cleared_at: number | null;
}

const AT_ONCE = 8;

export interface Look {
  readonly observations: readonly Observation[];
  /** Why some could not be looked at; they are left out. Null: all were. */
  readonly failure: unknown;
}

/** Looks at every attempt for these rounds that is not final, each by itself. Throws only what the database throws. */
export async function sight(database: Database, node: EvmNode, request: AttemptQuery): Promise<Look> {
  const { rows } = await database.query<AttemptRow>(
    `SELECT t.id, t.round, t.hash, t.sender, t.nonce, r.root, t.status <> 'replaced' AS live, t.lost_at, t.cleared_at
     FROM evm_transactions t JOIN rounds r ON r.number = t.round
     WHERE t.target = $1 AND t.round = ANY ($2::bigint[]) AND t.status IN ('signed', 'broadcast', 'included', 'replaced')
     ORDER BY t.round, t.id DESC`,
    [request.target, request.rounds],
  );
  const receipts = await inParallel(rows, AT_ONCE, (row) => outcomeOf(node.receipt(hexOf(row.hash))));
  // Asked for after the receipts and before the blocks: what is final then has the same block a moment later.
  const final = rows.length === 0 ? Promise.resolve(null) : finalHeight(node, request.finality);
  const view: ChainView = {
    node,
    contract: request.contract,
    final: () => final,
    block: remembered((number) => node.block(number)),
    minedCount: remembered((sender) => node.transactionCount(sender, 'latest')),
    finalCount: remembered(async (sender) => {
      const height = await final;
      return height === null ? 0 : node.transactionCount(sender, height);
    }),
  };
  // A rejection is met by each row that needs it, or by none.
  final.catch(() => {});
  const attempts = rows.map((row, i) => ({ row, receipt: receipts[i] ?? { failure: null } }));
  const looks = await inParallel([...Map.groupBy(attempts, ({ row }) => row.round).values()], AT_ONCE, (group) =>
    outcomeOf(lookAt(view, group)),
  );
  return {
    observations: looks.flatMap((look) => ('value' in look ? [look.value] : [])),
    failure: looks.find((look) => 'failure' in look)?.failure ?? null,
  };
}

interface ChainView {
  readonly node: EvmNode;
  readonly contract: string;
  readonly final: () => Promise<number | null>;
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
    const settled = receipt.blockNumber <= ((await view.final()) ?? -1);
    const found = { ...about(attempt.row, group), cost: receipt.cost };
    if (!hasEffect(receipt, attempt.row, view.contract)) return { ...found, seen: 'without-effect', settled };
    return { ...found, seen: settled ? 'final' : 'included', block };
  }
  const newest = (group.find(({ row }) => row.live) ?? group[0])?.row;
  if (newest === undefined) throw new AntequemError('internal', 'a round without attempts was looked at');
  const found = about(newest, group);
  if ((await view.minedCount(newest.sender)) <= newest.nonce) return { ...found, seen: 'nowhere' };
  const settled = (await view.finalCount(newest.sender)) > newest.nonce;
  // Asked once more: one may have been mined between the questions.
  const again = await Promise.all(group.map(({ row }) => view.node.receipt(hexOf(row.hash))));
  return again.every((receipt) => receipt === null)
    ? { ...found, seen: 'superseded', settled }
    : { ...found, seen: 'nowhere' };
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

/**
 * The first observation that only the operator can judge, as an error; null: none. What is not final must look so for
 * `patience` milliseconds: endpoints learn of blocks one after the other.
 * @returns AntequemError `nonce-foreign`, `anchor-without-effect` (alarms), `nonce-suspect` (not yet)
 */
export function alarmOf(
  observations: readonly Observation[],
  account: Account,
  { now, patience }: { readonly now: number; readonly patience: number },
): AntequemError | null {
  for (const observation of observations) {
    if ((observation.seen !== 'superseded' && observation.seen !== 'without-effect') || observation.cleared) continue;
    const which = `${hexOf(observation.hash)} (round ${observation.round})`;
    const certain = observation.settled || (observation.lostAt !== null && now - observation.lostAt >= patience);
    if (!certain) {
      return new AntequemError('nonce-suspect', `${which} seems lost: nothing is signed until that is clear`);
    }
    return observation.seen === 'superseded'
      ? new AntequemError(
          'nonce-foreign',
          `another transaction of ${account.address} has taken the nonce of ${which}: ` +
            'somebody else uses the key; find out who, then resume the target',
        )
      : new AntequemError(
          'anchor-without-effect',
          `${which} was mined without the event it should emit: look at it, then resume the target`,
        );
  }
  return null;
}
