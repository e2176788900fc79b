// Signing: a transaction is stored, with its nonce, before anybody else can see it.

import { Transaction as EvmTransaction, getBytes } from 'ethers';
import { AntequemError } from '../core/errors.ts';
import type { Database, Transaction } from '../store/database.ts';
import { transaction } from '../store/database.ts';
import type { Account } from './account.ts';
import type { Fees } from './fees.ts';
import { lockNonce, type NonceCounts, setNonce } from './nonce.ts';
import type { EvmSigner } from './signer.ts';

export interface SigningRequest {
  readonly target: string;
  /** Of the chain, as the target's row had it when the counts were read. */
  readonly instance: number;
  readonly account: Account;
  readonly chainId: number;
  /** 0x-hex. */
  readonly contract: string;
  readonly rounds: readonly { readonly round: number; readonly data: string }[];
  readonly fees: Fees;
  /** Of a round's calldata. */
  readonly gasLimit: bigint;
  readonly counts: NonceCounts;
  /** Whether to go along with nonces that others took. */
  readonly adopt: boolean;
  readonly signer: EvmSigner;
  readonly now: () => number;
}

interface Signed {
  readonly round: number;
  readonly nonce: number;
  readonly hash: Uint8Array;
  readonly raw: Uint8Array;
}

/**
 * Signs one transaction for each round that has none alive, and stores them: all of it in one transaction of the
 * database, under the lock of the account's row. Nothing is sent.
 * @throws AntequemError `nonce-foreign`, `signature-foreign`; whatever the signer throws
 */
export async function signRounds(database: Database, request: SigningRequest): Promise<void> {
  await transaction(database, async (tx) => {
    const { rows: targets } = await tx.query(
      'SELECT 1 FROM targets WHERE name = $1 AND instance = $2 AND stopped_at IS NULL FOR SHARE',
      [request.target, request.instance],
    );
    if (targets.length === 0) return;
    // The account's lock comes before the look at what is alive: else two of us would find the same round without.
    const first = await lockNonce(tx, request.account, request.counts, request.adopt);
    const missing = await withoutTransaction(tx, request);
    if (missing.length === 0) return;
    const signed: Signed[] = [];
    for (const [i, { round, data }] of missing.entries()) signed.push(await sign(request, round, data, first + i));
    await setNonce(tx, request.account, first + signed.length);
    await store(tx, request, signed);
  });
}

async function withoutTransaction(
  tx: Transaction,
  { target, rounds }: SigningRequest,
): Promise<SigningRequest['rounds']> {
  const { rows } = await tx.query<{ round: number }>(
    `SELECT round FROM anchors a WHERE target = $1 AND round = ANY ($2::bigint[]) AND status = 'pending'
       AND NOT EXISTS (SELECT FROM evm_transactions t WHERE t.target = a.target AND t.round = a.round
                         AND t.status IN ('signed', 'broadcast', 'included', 'finalized'))
     ORDER BY round FOR UPDATE`,
    [target, rounds.map(({ round }) => round)],
  );
  const missing = new Set(rows.map(({ round }) => round));
  return rounds.filter(({ round }) => missing.has(round)).toSorted((a, b) => a.round - b.round);
}

async function sign(request: SigningRequest, round: number, data: string, nonce: number): Promise<Signed> {
  const { chainId, contract, fees, gasLimit, signer } = request;
  const evm = EvmTransaction.from({
    type: 2,
    chainId,
    nonce,
    to: contract,
    data,
    gasLimit,
    maxFeePerGas: fees.maxFee,
    maxPriorityFeePerGas: fees.priorityFee,
  });
  evm.signature = await signer.sign(evm.unsignedHash);
  if (evm.from?.toLowerCase() !== signer.address || evm.hash === null) {
    throw new AntequemError(
      'signature-foreign',
      `the signer of ${signer.address} signed as ${evm.from}: nothing is sent`,
    );
  }
  return { round, nonce, hash: getBytes(evm.hash), raw: getBytes(evm.serialized) };
}

async function store(tx: Transaction, request: SigningRequest, signed: readonly Signed[]): Promise<void> {
  const { target, account, instance, gasLimit, fees } = request;
  await tx.query(
    `INSERT INTO evm_transactions
       (target, round, chain, sender, instance, nonce, hash, raw, gas_limit, max_fee, priority_fee, signed_at)
     SELECT $1, round, $2, $3, $4, nonce, hash, raw, $5, $6, $7, $8
     FROM unnest($9::bigint[], $10::bigint[], $11::bytea[], $12::bytea[]) AS s (round, nonce, hash, raw)`,
    [
      target,
      account.chain,
      account.address,
      instance,
      gasLimit.toString(),
      fees.maxFee.toString(),
      fees.priorityFee.toString(),
      request.now(),
      signed.map(({ round }) => round),
      signed.map(({ nonce }) => nonce),
      signed.map(({ hash }) => Buffer.from(hash)),
      signed.map(({ raw }) => Buffer.from(raw)),
    ],
  );
}
