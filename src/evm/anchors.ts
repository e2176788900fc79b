// The anchors of a round on EVM chains, as the API and receipts have them.

import { blockOf } from '../anchor/anchors.ts';
import type { AnchorStatus, ByRound } from '../anchor/kind.ts';
import { prefixedHex } from '../core/bytes.ts';
import type { EvmAnchor } from '../core/receipt-schema.ts';
import type { Queryable } from '../store/database.ts';
import { readProofs } from './stored-proofs.ts';

/** What an EVM chain adds to the status of an anchor. */
export interface EvmDetails {
  readonly contract: string;
  /** Whether the round is stored by the contract, or announced, by its own transaction. */
  readonly mode: 'anchor' | 'announce';
  /** 0x-hex. */
  readonly transaction: string | null;
  /** Why its receipts have no proof of the block yet, if that was tried. */
  readonly proofProblem: string | null;
  /** The code of that. */
  readonly proofCode: string | null;
  /** Wei in decimal for all transactions mined for it; null while none is. */
  readonly cost: string | null;
}

export async function readEvmDetails(database: Queryable, rounds: readonly number[]): Promise<ByRound<EvmDetails>> {
  const { rows } = await database.query<{
    round: number;
    target: string;
    contract: string;
    mode: 'anchor' | 'announce';
    transaction: Uint8Array | null;
    proof_problem: string | null;
    proof_code: string | null;
    cost: string | null;
  }>({
    name: 'evm-details',
    text: `SELECT a.round, a.target, t.contract, a.transaction,
                  coalesce((SELECT CASE WHEN x.stores THEN 'anchor' ELSE 'announce' END FROM evm_transactions x
                            WHERE x.target = a.target AND x.round = a.round AND x.purpose = 'round'
                              AND x.status <> 'abandoned' LIMIT 1), t.mode) AS mode,
                  e.problem AS proof_problem, e.code AS proof_code,
                  -- Of the attempts at one nonce only one is mined.
                  (SELECT sum(n.cost)::text FROM (
                     SELECT max(x.cost) AS cost FROM evm_transactions x WHERE x.target = a.target AND x.round = a.round
                     GROUP BY x.account, x.instance, x.nonce) n) AS cost
           FROM anchors a JOIN targets t ON t.name = a.target
           LEFT JOIN evm_evidence e USING (target, round, block_hash)
           WHERE a.round = ANY ($1::bigint[]) AND a.kind = 'evm'`,
    values: [rounds],
  });
  return new Map(
    [...Map.groupBy(rows, ({ round }) => round)].map(([round, of]) => [
      round,
      new Map(
        of.map(({ target, contract, mode, transaction, proof_problem, proof_code, cost }) => [
          target,
          {
            contract,
            mode,
            transaction: hashOf(transaction),
            proofProblem: proof_problem,
            proofCode: proof_code,
            cost,
          },
        ]),
      ),
    ]),
  );
}

/** Where there is a proof, number and time of the block come from its header, not from what a node said. */
export async function readEvmAnchors(database: Queryable, round: number): Promise<EvmAnchor[]> {
  const [{ rows }, proofs] = await Promise.all([
    database.query<{
      target: string;
      chain: string;
      contract: string;
      status: Exclude<AnchorStatus, 'pending'>;
      transaction: Uint8Array;
      block_number: number | null;
      block_hash: Uint8Array | null;
      block_time: number | null;
    }>({
      name: 'evm-anchors',
      text: `SELECT a.target, t.chain, t.contract, a.status, a.transaction, a.block_number, a.block_hash, a.block_time
             FROM anchors a JOIN targets t ON t.name = a.target
             WHERE a.round = $1 AND a.kind = 'evm' AND a.status <> 'pending' ORDER BY a.target`,
      values: [round],
    }),
    readProofs(database, round),
  ]);
  return rows.flatMap((row): EvmAnchor[] => {
    const { target, chain, contract, transaction, status } = row;
    const identity = { type: 'evm' as const, chain, contract, transaction: prefixedHex(transaction) };
    if (status === 'submitted') return [{ ...identity, status }];
    const block = blockOf(row);
    if (block === null) return [];
    const proven = proofs.get(target);
    return [{ ...identity, status, ...(proven?.block.hash === block.hash ? proven : { block: { ...block } }) }];
  });
}

function hashOf(transaction: Uint8Array | null): string | null {
  return transaction === null ? null : prefixedHex(transaction);
}
