// Sending: only what is stored, as it is stored, in the order of the nonces, as often as it takes.

import { AntequemError, messageOf } from '../core/errors.ts';
import type { Database } from '../store/database.ts';
import type { Account } from './account.ts';
import { ACCOUNT_ID } from './account-id.ts';
import { feeHint } from './fees.ts';
import type { EvmNode } from './node.ts';

export interface Broadcast {
  readonly account: Account;
  /** Mined transactions of the account: what has a lower nonce needs no sending. */
  readonly mined: number;
  /** Milliseconds after which what is not mined is handed over once more. */
  readonly resendAfter: number;
  readonly now: () => number;
}

interface UnminedRow {
  id: number;
  hash: Uint8Array;
  raw: Uint8Array;
  /** Hashes of the attempts at the same nonce that this one outbids. */
  outbid: Uint8Array[];
}

/** At once; the rest is for the next time. */
const MOST = 500;

/**
 * Hands every stored transaction of the account to the node that was not handed over lately and is not mined.
 * @throws AntequemError of the first one that the node did not take: those behind it would only wait for it
 */
export async function broadcast(database: Database, node: EvmNode, request: Broadcast): Promise<void> {
  const { account, mined, resendAfter, now } = request;
  const { rows } = await database.query<UnminedRow>(
    `SELECT id, hash, raw, ARRAY(SELECT o.hash FROM evm_transactions o WHERE o.target = t.target AND o.round = t.round
                                   AND o.nonce = t.nonce AND o.status = 'replaced') AS outbid
     FROM evm_transactions t
     WHERE account = ${ACCOUNT_ID} AND nonce >= $3 AND lost_at IS NULL
       AND (status = 'signed' OR (status = 'broadcast' AND sent_at <= $4))
     ORDER BY nonce LIMIT ${MOST}`,
    [account.chain, account.address, mined, now() - resendAfter],
  );
  const sent: number[] = [];
  try {
    for (const row of rows) {
      await deliver(node, row);
      sent.push(row.id);
    }
  } finally {
    if (sent.length > 0) await recordSent(database, sent, now());
  }
}

async function deliver(node: EvmNode, { hash, raw, outbid }: UnminedRow): Promise<void> {
  try {
    await node.send(new Uint8Array(raw));
  } catch (error) {
    // "already known", "nonce too low", or an answer that got lost: what nodes say differs, what they have does not.
    // One that this outbids will do as well, mined or waiting.
    for (const attempt of [hash, ...outbid]) {
      const known = await node.transaction(`0x${Buffer.from(attempt).toString('hex')}`).catch(() => null);
      if (known !== null) return;
    }
    const says = messageOf(error);
    throw new AntequemError('broadcast-failed', `not taken: ${says}${hint(says)}`, { cause: error });
  }
}

function hint(says: string): string {
  if (!/nonce/i.test(says)) return feeHint(says);
  return '; the chain counts fewer transactions than that, so the node contradicts it: name another one in EVM_RPC_URLS';
}

async function recordSent(database: Database, ids: readonly number[], now: number): Promise<void> {
  await database.query(
    `WITH sent AS (
       UPDATE evm_transactions SET status = 'broadcast', sent_at = $2, first_sent_at = coalesce(first_sent_at, $2)
       WHERE id = ANY ($1::bigint[]) AND status IN ('signed', 'broadcast')
       RETURNING target, round, hash, purpose),
     stores AS (
       UPDATE evm_stores a SET status = 'submitted', transaction = sent.hash, problem = NULL,
              submitted_at = coalesce(submitted_at, $2), updated_at = $2
       FROM sent WHERE sent.purpose = 'store' AND a.target = sent.target AND a.round = sent.round
         AND (a.status = 'pending' OR (a.status = 'submitted' AND a.transaction <> sent.hash)))
     UPDATE anchors a SET status = 'submitted', transaction = sent.hash, problem = NULL,
            submitted_at = coalesce(submitted_at, $2), updated_at = $2
     FROM sent WHERE sent.purpose = 'round' AND a.target = sent.target AND a.round = sent.round
       AND (a.status = 'pending' OR (a.status = 'submitted' AND a.transaction <> sent.hash))`,
    [ids, now],
  );
}
