// Which stored round vouches for a round, and the path that leads there.

import { stepsBetween } from '../anchor/round-links.ts';
import type { RoundTrees } from '../anchor/roundtrees.ts';
import { prefixedHex } from '../core/bytes.ts';
import { packPath, type Step } from '../core/path.ts';
import type { RoundReceipt } from '../core/receipt.ts';
import type { Queryable } from '../store/database.ts';

/** A round whose root a contract has stored, in a block. */
export interface StoredRound {
  readonly round: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
  /** CAIP-2. */
  readonly chain: string;
  /** 0x-hex. */
  readonly contract: string;
  /** From the root of the round that was asked about to this one's; none where it is the same round. */
  readonly steps: readonly Step[];
}

/** Longer paths cost too much to walk. */
const MAX_LINKS = 512;

/**
 * The first stored round from this one on.
 * @param chain CAIP-2; null: that of the first target
 * @returns null while there is none
 * @throws AntequemError `round-damaged`
 */
export async function findStored(
  database: Queryable,
  trees: RoundTrees,
  chain: string | null,
  round: number,
): Promise<StoredRound | null> {
  const { rows } = await database.query<{ round: number; root: Uint8Array; chain: string; contract: string }>({
    name: 'stored-round',
    text: `SELECT r.number AS round, r.root, t.chain, t.contract
           FROM (SELECT name, chain, contract FROM targets WHERE kind = 'evm' AND ($2::text IS NULL OR chain = $2)
                 ORDER BY created_at, name LIMIT 1) t
           CROSS JOIN LATERAL (
             SELECT x.round FROM evm_transactions x
             WHERE x.target = t.name AND x.stores AND x.status <> 'abandoned' AND x.round BETWEEN $1 AND $1 + ${MAX_LINKS}
               AND x.status IN ('included', 'finalized') ORDER BY x.round LIMIT 1) s
           JOIN rounds r ON r.number = s.round`,
    values: [round, chain],
  });
  const [row] = rows;
  if (row === undefined) return null;
  return { ...row, root: new Uint8Array(row.root), steps: await stepsBetween(trees, round, row.round) };
}

/**
 * How receipts of a round say it, for the contract of the first target.
 * @param found what {@link findStored} found for that
 * @returns undefined while no root is stored, and where that of the round itself is
 */
export function receiptStoredPath(found: StoredRound | null, round: number): RoundReceipt['storedPath'] {
  if (found === null || found.round === round) return undefined;
  return { chain: found.chain, round: found.round, path: prefixedHex(packPath(found.steps)) };
}
