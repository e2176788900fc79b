// Whether the chain is still the one that took our transactions. A local chain may be started anew under the same id;
// of any other chain, a final block that is gone is an alarm.

import { AntequemError } from '../core/errors.ts';
import type { Database } from '../store/database.ts';
import { transaction } from '../store/database.ts';
import type { EvmNode } from './node.ts';
import { setGenesis, type TargetState } from './state.ts';

/** What has become of the chain since we last looked. */
export type ChainCheck =
  | { readonly chain: 'same' }
  /** The node does not have our newest final block yet: it lags, and is of no use now. */
  | { readonly chain: 'behind'; readonly says: string }
  | { readonly chain: 'another'; readonly genesis: Uint8Array; readonly says: string };

/** Compares block 0 and the block that holds the final anchor of the newest round. Notes block 0 the first time. */
export async function checkChain(database: Database, node: EvmNode, state: TargetState): Promise<ChainCheck> {
  const genesis = bytesOf((await node.block(0))?.hash);
  if (genesis === null) return { chain: 'behind', says: `${node.name} has no block 0` };
  if (state.genesis === null) {
    await setGenesis(database, state, genesis);
    return { chain: 'same' };
  }
  if (Buffer.compare(genesis, state.genesis) !== 0) {
    return { chain: 'another', genesis, says: `block 0 of ${state.chain} is another one` };
  }
  const newest = await newestFinal(database, state.name);
  if (newest === null) return { chain: 'same' };
  const block = await node.block(newest.block_number);
  const says = `block ${newest.block_number} of ${state.chain}, which held an anchor, is`;
  if (block === null && !state.ephemeral) return { chain: 'behind', says: `${says} not on ${node.name} yet` };
  if (block === null || Buffer.compare(newest.block_hash, bytesOf(block.hash) ?? genesis) !== 0) {
    return { chain: 'another', genesis, says: `${says} gone` };
  }
  return { chain: 'same' };
}

async function newestFinal(
  database: Database,
  target: string,
): Promise<{ block_number: number; block_hash: Uint8Array } | null> {
  const { rows } = await database.query<{ block_number: number; block_hash: Uint8Array }>(
    `SELECT block_number, block_hash FROM anchors WHERE target = $1 AND status = 'finalized'
     ORDER BY round DESC LIMIT 1`,
    [target],
  );
  return rows[0] ?? null;
}

/**
 * Forgets the blocks of a chain that is gone: every anchor of the target is pending again, with a trace of what it was,
 * and nonces begin where the new chain counts. Whoever comes second changes nothing.
 * @returns how many anchors that were
 */
export async function beginInstance(
  database: Database,
  state: TargetState,
  genesis: Uint8Array,
  now: number,
): Promise<number> {
  if (!state.ephemeral) throw new AntequemError('internal', `${state.chain} is not a chain that may be started anew`);
  return transaction(database, async (tx) => {
    const begun = await tx.query(
      'UPDATE targets SET instance = instance + 1, genesis = $3 WHERE name = $1 AND instance = $2',
      [state.name, state.instance, Buffer.from(genesis)],
    );
    if (begun.rowCount !== 1) return 0;
    await tx.query(
      `INSERT INTO anchor_history
         (at, event, target, round, instance, status, transaction, block_number, block_hash, block_time)
       SELECT $3, 'restarted', target, round, $2, status, transaction, block_number, block_hash, block_time
       FROM anchors WHERE target = $1 AND status <> 'pending'`,
      [state.name, state.instance, now],
    );
    await tx.query(
      `UPDATE evm_transactions SET status = 'abandoned' WHERE target = $1 AND status <> 'abandoned' AND instance = $2`,
      [state.name, state.instance],
    );
    const reset = await tx.query(
      `UPDATE anchors SET status = 'pending', transaction = NULL, block_number = NULL, block_hash = NULL, block_time = NULL,
              submitted_at = NULL, included_at = NULL, finalized_at = NULL, problem = NULL, updated_at = $2
       WHERE target = $1 AND status <> 'pending'`,
      [state.name, now],
    );
    await tx.query('DELETE FROM evm_stores WHERE target = $1', [state.name]);
    await tx.query('UPDATE evm_accounts SET next_nonce = NULL WHERE target = $1', [state.name]);
    return reset.rowCount ?? 0;
  });
}

function bytesOf(hash: string | undefined): Uint8Array | null {
  return hash === undefined ? null : Buffer.from(hash.slice(2), 'hex');
}
