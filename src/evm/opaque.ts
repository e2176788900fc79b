// Chains whose blocks this release cannot rebuild: said once for each target, not once for each round.

import { fromHex } from '../core/bytes.ts';
import type { AntequemError } from '../core/errors.ts';
import type { Database, Queryable } from '../store/database.ts';
import { ENCODER_VERSION } from './block.ts';

/** Blocks in a row after which the chain counts as opaque, and not just these blocks. */
const MANY_BLOCKS = 3;

/** A chain whose blocks cannot be rebuilt: what its nodes tell does not lead back to the hash of a block. */
export interface OpaqueChain {
  readonly code: string;
  /** Why, of the newest block. */
  readonly problem: string;
  /** Milliseconds. */
  readonly since: number;
}

/** A header that stays closed is no matter of one block: all headers of a fork have the same fields. */
const IS_OPAQUE = `(code = 'header-opaque' OR blocks >= ${MANY_BLOCKS})`;

export async function readOpaque(database: Queryable): Promise<Map<string, OpaqueChain>> {
  const { rows } = await database.query<OpaqueChain & { target: string }>(
    `SELECT target, code, problem, since FROM evm_opaque WHERE ${IS_OPAQUE}`,
  );
  return new Map(rows.map(({ target, ...chain }) => [target, chain]));
}

/** Notes a block that could not be rebuilt. @returns whether the chain counts as opaque, and whether that is new */
export async function noteOpaqueBlock(
  database: Database,
  target: string,
  hash: string,
  error: AntequemError,
  now: number,
): Promise<{ readonly opaque: boolean; readonly news: boolean }> {
  const { rows } = await database.query<{ opaque: boolean }>(
    `INSERT INTO evm_opaque (target, code, problem, blocks, block_hash, encoder, since)
     VALUES ($1, $2, $3, 1, $4, ${ENCODER_VERSION}, $5)
     ON CONFLICT (target) DO UPDATE SET
       code = EXCLUDED.code, problem = EXCLUDED.problem, block_hash = EXCLUDED.block_hash, encoder = EXCLUDED.encoder,
       blocks = evm_opaque.blocks + (evm_opaque.block_hash <> EXCLUDED.block_hash)::integer
     RETURNING (evm_opaque.code = 'header-opaque' OR evm_opaque.blocks >= ${MANY_BLOCKS}) AS opaque`,
    [target, error.code, error.message, Buffer.from(fromHex(hash.slice(2))), now],
  );
  if (rows[0]?.opaque !== true) return { opaque: false, news: false };
  const told = await database.query('UPDATE evm_opaque SET told = true WHERE target = $1 AND NOT told RETURNING 1', [
    target,
  ]);
  return { opaque: true, news: told.rows.length > 0 };
}

/** Notes that a block could be rebuilt. @returns whether the chain counted as opaque */
export async function noteRebuiltBlock(database: Database, target: string): Promise<boolean> {
  const { rows } = await database.query<{ opaque: boolean }>(
    `DELETE FROM evm_opaque WHERE target = $1 RETURNING ${IS_OPAQUE} AS opaque`,
    [target],
  );
  return rows[0]?.opaque === true;
}

/** One sentence for the operator. @param chain CAIP-2 */
export function opaqueSays(chain: string, problem: string): string {
  return `the blocks of ${chain} cannot be rebuilt by this release, so its anchors hold by a node's word alone: ${problem} (docs/chains.md)`;
}
