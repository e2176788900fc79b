// Looking what became of what was sent: included in a block, final, gone again, or without effect.

import { AntequemError } from '../core/errors.ts';
import type { Database } from '../store/database.ts';
import type { Account } from './account.ts';
import { decodeAnchoredLog } from './anchor-contract.ts';
import { type Finality, finalHeight } from './finality.ts';
import type { EvmNode, NodeBlock, NodeReceipt } from './node.ts';
import { inParallel } from './parallel.ts';

export interface Confirmation {
  readonly target: string;
  readonly account: Account;
  readonly contract: string;
  readonly finality: Finality;
  readonly rounds: readonly number[];
}

/** What the chain says about a transaction that was signed. Blocks are canonical. */
export type Sighting = { readonly id: number; readonly round: number; readonly hash: Uint8Array } & (
  | { readonly seen: 'nowhere' }
  | { readonly seen: 'included' | 'final'; readonly block: NodeBlock }
  /** Mined for good, but our event is not in it. */
  | { readonly seen: 'without-effect' }
  /** Another transaction with its nonce is final: it can never be mined. */
  | { readonly seen: 'superseded' }
);

interface LiveRow {
  id: number;
  round: number;
  hash: Uint8Array;
  sender: string;
  nonce: number;
  root: Uint8Array;
}

const AT_ONCE = 8;

export interface Look {
  readonly sightings: readonly Sighting[];
  /** Why some could not be looked at; they are left out. Null: all were. */
  readonly failure: unknown;
}

/** Looks at every live, not yet final transaction of these rounds, each by itself. Throws only what the database throws. */
export async function sight(database: Database, node: EvmNode, request: Confirmation): Promise<Look> {
  const { rows } = await database.query<LiveRow>(
    `SELECT t.id, t.round, t.hash, t.sender, t.nonce, r.root FROM evm_transactions t JOIN rounds r ON r.number = t.round
     WHERE t.target = $1 AND t.round = ANY ($2::bigint[]) AND t.status IN ('signed', 'broadcast', 'included')
     ORDER BY t.round`,
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
    finalCount: remembered(async (sender) => {
      const height = await final;
      return height === null ? 0 : node.transactionCount(sender, height);
    }),
  };
  // A rejection is met by each row that needs it, or by none.
  final.catch(() => {});
  const looks = await inParallel(rows, AT_ONCE, async (row, i) => {
    const receipt = receipts[i];
    if (receipt === undefined || 'failure' in receipt) return receipt ?? { failure: null };
    return outcomeOf(lookAt(view, row, receipt.value));
  });
  return {
    sightings: looks.flatMap((look) => ('value' in look ? [look.value] : [])),
    failure: looks.find((look) => 'failure' in look)?.failure ?? null,
  };
}

interface ChainView {
  readonly node: EvmNode;
  readonly contract: string;
  readonly final: () => Promise<number | null>;
  readonly block: (number: number) => Promise<NodeBlock | null>;
  /** Transactions of the account up to the newest final block. */
  readonly finalCount: (address: string) => Promise<number>;
}

async function lookAt(view: ChainView, row: LiveRow, receipt: NodeReceipt | null): Promise<Sighting> {
  const found = { id: row.id, round: row.round, hash: new Uint8Array(row.hash) };
  if (receipt === null) {
    // Asked once more: it may have been mined between the two questions.
    const superseded =
      (await view.finalCount(row.sender)) > row.nonce && (await view.node.receipt(hexOf(row.hash))) === null;
    return { ...found, seen: superseded ? 'superseded' : 'nowhere' };
  }
  const final = (await view.final()) ?? -1;
  const block = await view.block(receipt.blockNumber);
  if (block === null || block.hash !== receipt.blockHash) return { ...found, seen: 'nowhere' };
  const isFinal = receipt.blockNumber <= final;
  if (!hasEffect(receipt, row, view.contract)) return { ...found, seen: isFinal ? 'without-effect' : 'nowhere' };
  return { ...found, seen: isFinal ? 'final' : 'included', block };
}

type Outcome<T> = { readonly value: T } | { readonly failure: unknown };

function outcomeOf<T>(promise: Promise<T>): Promise<Outcome<T>> {
  return promise.then(
    (value) => ({ value }),
    (failure: unknown) => ({ failure }),
  );
}

function hasEffect(receipt: NodeReceipt, { root, sender }: LiveRow, contract: string): boolean {
  return (
    receipt.succeeded &&
    receipt.logs.some((log) => {
      const event = log.address === contract ? decodeAnchoredLog(log) : null;
      return event !== null && event.sender.toLowerCase() === sender && Buffer.compare(event.root, root) === 0;
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

/** The first transaction that only the operator can judge, as the error that stops the target; null: none. */
export function alarmOf(sightings: readonly Sighting[], account: Account): AntequemError | null {
  for (const { seen, round, hash } of sightings) {
    if (seen === 'superseded') {
      return new AntequemError(
        'nonce-foreign',
        `another transaction of ${account.address} has taken the nonce of ${hexOf(hash)} (round ${round}): ` +
          'somebody else uses the key; find out who, then resume the target',
      );
    }
    if (seen === 'without-effect') {
      return new AntequemError(
        'anchor-without-effect',
        `${hexOf(hash)} for round ${round} was mined without the event it should emit: look at it, then resume the target`,
      );
    }
  }
  return null;
}
