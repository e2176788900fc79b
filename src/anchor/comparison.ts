// At the start and from time to time: does the database have the rounds that were anchored for it?

import type { Logger } from 'pino';
import { toHex } from '../core/bytes.ts';
import { findUnknownRound, type RoundSearch } from '../evm/unknown-rounds.ts';
import { type RollbackState, SET_BACK, setBack } from '../log/rollback.ts';
import type { Database } from '../store/database.ts';

export interface ChainComparison {
  readonly database: Database;
  readonly search: RoundSearch;
  readonly rollback: RollbackState;
  readonly now: () => number;
  readonly logger: Logger;
}

/**
 * Stops the target, and with it every process of the service, where the chain has a round of ours that the database has
 * not. A chain that does not answer says nothing.
 */
export async function compareWithChain(comparison: ChainComparison): Promise<void> {
  const { database, search, rollback, now, logger } = comparison;
  if (rollback.finding !== null) return;
  const { target } = search;
  const unknown = await findUnknownRound(database, search).catch((error: unknown) => {
    // Without the message: it may hold the URL of the endpoint, and that an access key.
    const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
    logger.warn({ target, code }, 'the rounds on the chain could not be compared with those of the database');
    return null;
  });
  if (unknown === null) return;
  const error = setBack(
    `${unknown.sender} anchored the root ${toHex(unknown.root)} on eip155:${search.chainId} (transaction ${unknown.transaction} ` +
      `in block ${unknown.block}), which is of no round that the database has`,
  );
  // Also where it was stopped for the nonce: this is why.
  await database.query(
    'UPDATE targets SET stopped_at = coalesce(stopped_at, $2), stop_code = $3, stop_reason = $4 WHERE name = $1',
    [target, now(), SET_BACK, error.message],
  );
  logger.error({ target, code: error.code }, error.message);
  rollback.note();
}
