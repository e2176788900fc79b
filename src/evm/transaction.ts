// Signing: a transaction is stored, with its nonce, before anybody else can see it.

import { Transaction as EvmTransaction, getBytes, type Signature } from 'ethers';
import { AntequemError } from '../core/errors.ts';
import { within } from '../core/time-limit.ts';
import type { Database, Transaction } from '../store/database.ts';
import { transaction } from '../store/database.ts';
import type { Account } from './account.ts';
import { ACCOUNT_ID } from './account-id.ts';
import { encodeAnchor, encodeAnnounce } from './anchor-contract.ts';
import { allow, type Limits } from './budget.ts';
import type { Fees } from './fees.ts';
import { lockNonce, type NonceChoice, setNonce } from './nonce.ts';
import type { EvmSigner } from './signer.ts';
import { type ClosedRound, type Purpose, roundsToStore, STATE_TABLE, type StoreEvery } from './storing.ts';

export interface SigningRequest {
  readonly target: string;
  /** Of the chain, as the target's row had it when the counts were read. */
  readonly instance: number;
  readonly account: Account;
  readonly chainId: number;
  /** 0x-hex. */
  readonly contract: string;
  readonly purpose: Purpose;
  readonly rounds: readonly (ClosedRound & { readonly root: Uint8Array })[];
  /** Which of the rounds the contract stores, where that is decided here. */
  readonly storeEvery: StoreEvery;
  readonly fees: Fees;
  /** Of a call of each kind. */
  readonly gasLimits: { readonly anchor: bigint; readonly announce: bigint };
  readonly nonces: NonceChoice;
  readonly limits: Limits;
  readonly signer: EvmSigner;
  readonly now: () => number;
}

interface Signed {
  readonly round: number;
  readonly stores: boolean;
  readonly gasLimit: bigint;
  readonly nonce: number;
  readonly hash: Uint8Array;
  readonly raw: Uint8Array;
}

/**
 * Signs one transaction for each round that has none alive, as many as may be paid for, and stores them: all of it in
 * one transaction of the database, under the lock of the account's row. Nothing is sent.
 * @returns why some were left out: `budget-spent`, `balance-short`; null: none was
 * @throws AntequemError those of `firstNonce`, `nonce-suspect`, those of `signTransaction`
 */
export async function signRounds(database: Database, request: SigningRequest): Promise<AntequemError | null> {
  const { account, gasLimits, fees, now, purpose, storeEvery, target } = request;
  return transaction(database, async (tx) => {
    if (!(await holdTarget(tx, request))) return null;
    // The account's lock comes before the look at what is alive: else two of us would find the same round without.
    const first = await lockNonce(tx, account, request.nonces);
    const missing = await withoutTransaction(tx, request);
    if (missing.length === 0) return null;
    await demandClarity(tx, account);
    const stored = await roundsToStore(tx, target, purpose === 'store' ? 'always' : storeEvery, missing);
    const each = (stored.size > 0 ? gasLimits.anchor : gasLimits.announce) * fees.maxFee;
    const { count, refusal } = await allow(tx, account, request.limits, { wanted: missing.length, each, now: now() });
    const signed: Signed[] = [];
    for (const [i, { round, root }] of missing.slice(0, count).entries()) {
      const stores = stored.has(round);
      const data = stores ? encodeAnchor(root) : encodeAnnounce(root);
      const gasLimit = stores ? gasLimits.anchor : gasLimits.announce;
      const transaction = await signTransaction(request.signer, {
        chainId: request.chainId,
        nonce: first + i,
        to: request.contract,
        data,
        gasLimit,
        ...fees,
      });
      signed.push({ round, stores, gasLimit, nonce: first + i, ...transaction });
    }
    if (signed.length === 0) return refusal;
    await setNonce(tx, account, first + signed.length);
    await store(tx, request, signed);
    return refusal;
  });
}

/** Holds the target as it is until the transaction ends. False: it was stopped, or its chain started anew. */
export async function holdTarget(
  tx: Transaction,
  { target, instance }: { readonly target: string; readonly instance: number },
): Promise<boolean> {
  const { rows } = await tx.query(
    'SELECT 1 FROM targets WHERE name = $1 AND instance = $2 AND stopped_at IS NULL FOR SHARE',
    [target, instance],
  );
  return rows.length > 0;
}

/** While one of the account's transactions may have been lost to somebody else, none is added. */
async function demandClarity(tx: Transaction, { chain, address }: Account): Promise<void> {
  const { rows } = await tx.query<{ hash: Uint8Array; round: number }>(
    `SELECT hash, round FROM evm_transactions WHERE account = ${ACCOUNT_ID} AND lost_at IS NOT NULL
       AND cleared_at IS NULL AND status IN ('signed', 'broadcast') LIMIT 1`,
    [chain, address],
  );
  const row = rows[0];
  if (row === undefined) return;
  throw new AntequemError(
    'nonce-suspect',
    `0x${Buffer.from(row.hash).toString('hex')} (round ${row.round}) seems lost: nothing is signed until that is clear`,
  );
}

async function withoutTransaction(
  tx: Transaction,
  { target, purpose, rounds, now }: SigningRequest,
): Promise<SigningRequest['rounds']> {
  const numbers = rounds.map(({ round }) => round);
  if (purpose === 'store') {
    await tx.query(
      `INSERT INTO evm_stores (target, round, created_at, updated_at) SELECT $1, n, $3, $3 FROM unnest($2::bigint[]) AS n
       ON CONFLICT DO NOTHING`,
      [target, numbers, now()],
    );
  }
  const { rows } = await tx.query<{ round: number }>(
    `SELECT round FROM ${STATE_TABLE[purpose]} a WHERE target = $1 AND round = ANY ($2::bigint[]) AND status = 'pending'
       AND NOT EXISTS (SELECT FROM evm_transactions t WHERE t.target = a.target AND t.round = a.round AND t.purpose = $3
                         AND t.status IN ('signed', 'broadcast', 'included', 'finalized'))
     ORDER BY round FOR UPDATE`,
    [target, numbers, purpose],
  );
  const missing = new Set(rows.map(({ round }) => round));
  return rounds.filter(({ round }) => missing.has(round)).toSorted((a, b) => a.round - b.round);
}

export interface Unsigned extends Fees {
  readonly chainId: number;
  readonly nonce: number;
  /** 0x-hex. */
  readonly to: string;
  /** 0x-hex. */
  readonly data: string;
  readonly gasLimit: bigint;
}

/** The account's row is locked meanwhile. */
const SIGNER_LIMIT_MS = 15_000;

/**
 * A transaction of type 2 (EIP-1559), or on chains from before of type 0 with the chain's id (EIP-155), signed.
 * @throws AntequemError `signature-foreign` (another account's), `signer-silent`; whatever the signer throws
 */
export async function signTransaction(
  signer: EvmSigner,
  { maxFee, priorityFee, legacy, ...call }: Unsigned,
): Promise<{ readonly hash: Uint8Array; readonly raw: Uint8Array }> {
  const evm = EvmTransaction.from(
    legacy
      ? { type: 0, ...call, gasPrice: maxFee }
      : { type: 2, ...call, maxFeePerGas: maxFee, maxPriorityFeePerGas: priorityFee },
  );
  evm.signature = await inTime(signer, evm.unsignedHash);
  if (evm.from?.toLowerCase() !== signer.address || evm.hash === null) {
    throw new AntequemError(
      'signature-foreign',
      `the signer of ${signer.address} signed as ${evm.from}: nothing is sent`,
    );
  }
  return { hash: getBytes(evm.hash), raw: getBytes(evm.serialized) };
}

function inTime(signer: EvmSigner, digest: string): Promise<Signature> {
  return within(SIGNER_LIMIT_MS, signer.sign(digest), () => {
    const says = `the signer of ${signer.address} has not answered in ${SIGNER_LIMIT_MS} ms`;
    throw new AntequemError('signer-silent', says);
  });
}

async function store(tx: Transaction, request: SigningRequest, signed: readonly Signed[]): Promise<void> {
  const { target, account, instance, purpose, fees } = request;
  await tx.query(
    `INSERT INTO evm_transactions
       (target, round, account, instance, nonce, hash, raw, gas_limit, max_fee, priority_fee, signed_at, purpose, stores)
     SELECT $3, round, ${ACCOUNT_ID}, $4, nonce, hash, raw, gas_limit, $5, $6, $7, $8, stores
     FROM unnest($9::bigint[], $10::bigint[], $11::bytea[], $12::bytea[], $13::bigint[], $14::boolean[])
       AS s (round, nonce, hash, raw, gas_limit, stores)`,
    [
      account.chain,
      account.address,
      target,
      instance,
      fees.maxFee.toString(),
      fees.priorityFee.toString(),
      request.now(),
      purpose,
      signed.map(({ round }) => round),
      signed.map(({ nonce }) => nonce),
      signed.map(({ hash }) => Buffer.from(hash)),
      signed.map(({ raw }) => Buffer.from(raw)),
      signed.map(({ gasLimit }) => gasLimit.toString()),
      signed.map(({ stores }) => stores),
    ],
  );
}
