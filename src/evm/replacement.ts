// Outbidding what waits too long: the same call with the same nonce at higher fees, so that one of them is mined.

import { Transaction as EvmTransaction } from 'ethers';
import { AntequemError } from '../core/errors.ts';
import type { Database, Transaction } from '../store/database.ts';
import { transaction } from '../store/database.ts';
import type { Account } from './account.ts';
import { ACCOUNT_ID } from './account-id.ts';
import { allow, DAY_MS, type Limits } from './budget.ts';
import { type FeeCaps, type Fees, raiseFees } from './fees.ts';
import type { EvmSigner } from './signer.ts';
import { holdTarget, signTransaction } from './transaction.ts';

export interface ReplacementRequest {
  readonly target: string;
  readonly instance: number;
  readonly account: Account;
  /** What one would offer now. */
  readonly quote: Fees;
  /** 0 on a chain without. */
  readonly baseFee: bigint;
  readonly caps: FeeCaps;
  readonly limits: Limits;
  /** Milliseconds after which a transaction that is next, or offers too little, is outbid. */
  readonly replaceAfter: number;
  readonly signer: EvmSigner;
  readonly now: () => number;
}

interface StuckRow {
  id: number;
  round: number;
  nonce: number;
  raw: Uint8Array;
  gas_limit: number;
  signed_at: number;
}

/** At once; the rest is for the next time. */
const MOST = 50;

// The first waits for nothing but its fees. Those behind it may wait for it alone, but where they offer too little.
const STUCK = `FROM evm_transactions WHERE account = ${ACCOUNT_ID} AND nonce >= $3 AND lost_at IS NULL
  AND ((status = 'broadcast' AND first_sent_at <= $4) OR (status = 'signed' AND signed_at <= $4))`;

/** Whether anything has been waiting for too long. */
export async function isAnyStuck(
  database: Database,
  { account, mined, since }: { readonly account: Account; readonly mined: number; readonly since: number },
): Promise<boolean> {
  const { rows } = await database.query(`SELECT 1 ${STUCK} LIMIT 1`, [account.chain, account.address, mined, since]);
  return rows.length > 0;
}

/**
 * Signs and stores an attempt in place of each that is stuck; the one it outbids may be mined all the same, and is
 * watched on. Nothing is sent.
 * @throws AntequemError `fees-above-cap`, `budget-spent`, `balance-short` of the first that cannot be outbid, those before
 * it are; those of `signTransaction`
 */
export async function replaceStuck(database: Database, request: ReplacementRequest): Promise<void> {
  const refusal = await transaction(database, async (tx) => {
    const { account, limits, replaceAfter, baseFee, now } = request;
    if (!(await holdTarget(tx, request))) return null;
    await tx.query('SELECT 1 FROM evm_accounts WHERE chain = $1 AND address = $2 FOR UPDATE', [
      account.chain,
      account.address,
    ]);
    const { rows } = await tx.query<StuckRow>(
      `SELECT id, round, nonce, raw, gas_limit, signed_at ${STUCK} AND (nonce = $3 OR max_fee < $5)
       ORDER BY nonce LIMIT ${MOST}`,
      [account.chain, account.address, limits.mined, now() - replaceAfter, baseFee.toString()],
    );
    for (const row of rows) {
      const refusal = await outbid(tx, row, request);
      if (refusal !== null) return refusal;
    }
    return null;
  });
  if (refusal !== null) throw refusal;
}

async function outbid(tx: Transaction, row: StuckRow, request: ReplacementRequest): Promise<AntequemError | null> {
  const { account, caps, limits, quote, signer, now } = request;
  const waiting = `round ${row.round} waits with nonce ${row.nonce}`;
  const highest = await highestFees(tx, row, account);
  const gasLimit = BigInt(row.gas_limit);
  let fees: Fees;
  try {
    fees = raiseFees(highest, quote, caps);
  } catch (error) {
    if (!(error instanceof AntequemError)) throw error;
    return new AntequemError(error.code, `${waiting}; ${error.message}`);
  }
  // Only one of the attempts is ever paid for: what it may cost more is all there is to allow, where the rest is counted.
  const counted = row.signed_at > now() - DAY_MS ? highest.maxFee : 0n;
  const each = gasLimit * (fees.maxFee - counted);
  const { count, refusal } = await allow(tx, account, limits, { wanted: 1, each, now: now() });
  if (count === 0 && refusal !== null) return new AntequemError(refusal.code, `${waiting}; ${refusal.message}`);
  const { to, data, chainId } = EvmTransaction.from(`0x${Buffer.from(row.raw).toString('hex')}`);
  if (to === null) throw new AntequemError('internal', 'a stored transaction calls nothing');
  const call = { chainId: Number(chainId), nonce: row.nonce, to, data, gasLimit };
  const { hash, raw } = await signTransaction(signer, { ...call, ...fees });
  await tx.query(`UPDATE evm_transactions SET status = 'replaced' WHERE id = $1`, [row.id]);
  await tx.query(
    `INSERT INTO evm_transactions
       (target, round, account, instance, nonce, hash, raw, gas_limit, max_fee, priority_fee, signed_at, replaces,
        purpose, stores)
     SELECT target, round, account, instance, nonce, $2, $3, gas_limit, $4, $5, $6, id, purpose, stores
     FROM evm_transactions WHERE id = $1`,
    [row.id, Buffer.from(hash), Buffer.from(raw), fees.maxFee.toString(), fees.priorityFee.toString(), now()],
  );
  return null;
}

/** Of all attempts at the nonce: nodes may still have an earlier one. */
async function highestFees(
  tx: Transaction,
  { round, nonce }: StuckRow,
  account: Account,
): Promise<Omit<Fees, 'legacy'>> {
  const { rows } = await tx.query<{ max_fee: string; priority_fee: string }>(
    `SELECT max(max_fee)::text AS max_fee, max(priority_fee)::text AS priority_fee FROM evm_transactions
     WHERE account = ${ACCOUNT_ID} AND nonce = $3 AND round = $4 AND status IN ('signed', 'broadcast', 'replaced')`,
    [account.chain, account.address, nonce, round],
  );
  return { maxFee: BigInt(rows[0]?.max_fee ?? 0), priorityFee: BigInt(rows[0]?.priority_fee ?? 0) };
}
