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

/** Looks at every live, not yet final transaction of these rounds. @throws AntequemError where the node does not answer */
export async function sight(database: Database, node: EvmNode, request: Confirmation): Promise<Sighting[]> {
  const { rows } = await database.query<LiveRow>(
    `SELECT t.id, t.round, t.hash, t.sender, t.nonce, r.root FROM evm_transactions t JOIN rounds r ON r.number = t.round
     WHERE t.target = $1 AND t.round = ANY ($2::bigint[]) AND t.status IN ('signed', 'broadcast', 'included')
     ORDER BY t.round`,
    [request.target, request.rounds],
  );
  if (rows.length === 0) return [];
  const receipts = await inParallel(rows, AT_ONCE, (row) => node.receipt(hexOf(row.hash)));
  // Asked for before the blocks: what is final then cannot have another block a moment later.
  const final = (await finalHeight(node, request.finality)) ?? -1;
  const block = remembered((number: number) => node.block(number));
  const finalCount = remembered((sender: string) => (final < 0 ? 0 : node.transactionCount(sender, final)));
  return inParallel(rows, AT_ONCE, async (row, i): Promise<Sighting> => {
    const found = { id: row.id, round: row.round, hash: new Uint8Array(row.hash) };
    const receipt = receipts[i] ?? null;
    if (receipt === null) {
      const superseded = (await finalCount(row.sender)) > row.nonce && (await node.receipt(hexOf(row.hash))) === null;
      return { ...found, seen: superseded ? 'superseded' : 'nowhere' };
    }
    const canonical = await block(receipt.blockNumber);
    if (canonical === null || canonical.hash !== receipt.blockHash) return { ...found, seen: 'nowhere' };
    const isFinal = receipt.blockNumber <= final;
    if (!hasEffect(receipt, row, request.contract)) return { ...found, seen: isFinal ? 'without-effect' : 'nowhere' };
    return { ...found, seen: isFinal ? 'final' : 'included', block: canonical };
  });
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

function remembered<K, V>(ask: (key: K) => Promise<V> | V): (key: K) => Promise<V> {
  const answers = new Map<K, Promise<V>>();
  return (key) => {
    const known = answers.get(key);
    if (known !== undefined) return known;
    const answer = Promise.resolve(ask(key));
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
