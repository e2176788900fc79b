// The half of a target that spends money: signs what is pending, hands it over, outbids what is stuck. Each step by
// itself: one that cannot be taken now holds up no other.

import { AntequemError } from '../core/errors.ts';
import type { Database } from '../store/database.ts';
import { type Account, isDeclared } from './account.ts';
import { ALARMS } from './alarm.ts';
import { freshCall } from './anchor-contract.ts';
import { broadcast } from './broadcast.ts';
import { type FeeCaps, gasLimit, quoteFees, readBaseFee } from './fees.ts';
import { type Finality, finalHeight } from './finality.ts';
import type { EvmNode } from './node.ts';
import { countTransactions, ForeignNonceError, type NonceCounts } from './nonce.ts';
import { findByNonce } from './nonce-search.ts';
import { isAnyStuck, replaceStuck } from './replacement.ts';
import type { EvmSigner } from './signer.ts';
import type { TargetState } from './state.ts';
import { dueStore, type Purpose } from './storing.ts';
import { signRounds } from './transaction.ts';

export interface SendingOptions {
  readonly target: string;
  readonly account: Account;
  readonly chainId: number;
  /** A chain that may be started anew: nonces that others took are gone along with there. */
  readonly ephemeral: boolean;
  readonly finality: Finality;
  readonly caps: FeeCaps;
  /** Wei in any 24 hours; null: no limit. */
  readonly dailyBudget: bigint | null;
  /** Milliseconds. */
  readonly replaceAfter: number;
  /** Milliseconds. */
  readonly resendAfter: number;
  /** Milliseconds that transactions may be counted and not found before the operator is asked. */
  readonly patience: number;
  readonly signer: EvmSigner;
  readonly database: Database;
  readonly now: () => number;
  readonly declareSender: (account: Account) => Promise<void>;
  readonly ensureContract?: () => Promise<void>;
}

/** Runs a step, notes what it throws, and tells. */
export type Attempt = (step: () => Promise<unknown>) => Promise<AntequemError | null>;

interface PendingRow {
  round: number;
  root: Uint8Array;
  closedAt: number;
}

// No attempt that may still be mined, so that a new nonce may be taken.
const UNSIGNED = `a.status = 'pending' AND NOT EXISTS (
  SELECT FROM evm_transactions t WHERE t.target = a.target AND t.round = a.round AND t.purpose = 'round'
    AND t.status IN ('signed', 'broadcast', 'included', 'finalized'))`;

export class Sending {
  readonly #options: SendingOptions;
  /** Instance of the chain on which the contract was seen. */
  #contractOn: number | null = null;
  #declared = false;
  /** How many transactions the chain counted that were not found, and since when. */
  #unexplained: { readonly count: number; readonly since: number } | null = null;

  constructor(options: SendingOptions) {
    this.#options = options;
  }

  /** The contract may be gone: it is looked for before anything more is sent. */
  doubtContract(): void {
    this.#contractOn = null;
  }

  /** Sends what of these rounds is pending, and what else of the account is not mined. */
  async advance(
    node: EvmNode,
    state: TargetState,
    rounds: readonly number[],
    attempt: Attempt,
  ): Promise<AntequemError[]> {
    const { account, database, now, replaceAfter, resendAfter } = this.#options;
    const found: NonceCounts[] = [];
    const unready = await attempt(async () => {
      await this.#prepare(node, state);
      found.push(await countTransactions(node, account.address));
    });
    const [counts] = found;
    if (counts === undefined) return unready === null ? [] : [unready];
    const { latest } = counts;
    const hand = { account, mined: latest, resendAfter, now };

    const unsigned = await attempt(() => this.#sign(node, state, counts, rounds));
    // Who else sends must be known first.
    if (unsigned !== null && ALARMS.has(unsigned.code)) return [unsigned];
    const failures = [unsigned, await attempt(() => this.#signStore(node, state, counts))];
    const untaken = await attempt(() => broadcast(database, node, hand));
    if (await isAnyStuck(database, { account, mined: latest, since: now() - replaceAfter })) {
      failures.push(await attempt(() => this.#replace(node, state, latest)));
      failures.push(await attempt(() => broadcast(database, node, hand)));
    } else {
      failures.push(untaken);
    }
    return failures.filter((failure) => failure !== null);
  }

  /** Before anything is sent: the account stands in `_system`, the contract on the chain. */
  async #prepare(node: EvmNode, state: TargetState): Promise<void> {
    const { account, database, declareSender, ensureContract, ephemeral } = this.#options;
    if (!this.#declared) {
      if (!(await isDeclared(database, account))) await declareSender(account);
      this.#declared = true;
    }
    if (this.#contractOn === state.instance) return;
    if ((await node.code(state.contract)) === '0x') {
      if (!ephemeral || ensureContract === undefined) {
        throw new AntequemError(
          'contract-missing',
          `no contract at ${state.contract} on ${state.chain}: deploy it (antequem deploy) or correct the address`,
        );
      }
      await ensureContract();
    }
    this.#contractOn = state.instance;
  }

  async #sign(node: EvmNode, state: TargetState, counts: NonceCounts, rounds: readonly number[]): Promise<void> {
    const { target, database } = this.#options;
    const { rows } = await database.query<PendingRow>(
      `SELECT a.round, r.root, r.closed_at AS "closedAt" FROM anchors a JOIN rounds r ON r.number = a.round
       WHERE a.target = $1 AND a.round = ANY ($2::bigint[]) AND ${UNSIGNED}`,
      [target, rounds],
    );
    await this.#signAll(node, state, counts, 'round', rows);
  }

  /** Has the contract store a round that was announced and got no stored successor in time. */
  async #signStore(node: EvmNode, state: TargetState, counts: NonceCounts): Promise<void> {
    const { target, database, now } = this.#options;
    const due = await dueStore(database, target, state.storeEvery, now());
    // One that was given up is signed again.
    const { rows } = await database.query<PendingRow>(
      `SELECT a.round, r.root, r.closed_at AS "closedAt" FROM evm_stores a JOIN rounds r ON r.number = a.round
       WHERE a.target = $1 AND a.status = 'pending' AND NOT EXISTS (
         SELECT FROM evm_transactions t WHERE t.target = a.target AND t.round = a.round AND t.purpose = 'store'
           AND t.status IN ('signed', 'broadcast', 'included', 'finalized'))`,
      [target],
    );
    const again = rows.filter(({ round }) => round !== due?.round);
    await this.#signAll(node, state, counts, 'store', [...again, ...(due === null ? [] : [due])]);
  }

  async #signAll(
    node: EvmNode,
    state: TargetState,
    counts: NonceCounts,
    purpose: Purpose,
    rounds: readonly PendingRow[],
  ): Promise<void> {
    const { target, account, chainId, caps, dailyBudget, database, ephemeral, now, signer } = this.#options;
    const { instance, contract, storeEvery } = state;
    const [first] = rounds;
    if (first === undefined) return;
    const limitOf = async (mode: 'anchor' | 'announce'): Promise<bigint> => {
      const data = freshCall(mode, new Uint8Array(first.root));
      return gasLimit(await node.estimateGas({ from: account.address, to: contract, data }), data, mode);
    };
    const stores = purpose === 'store' || storeEvery !== 'never';
    const announces = purpose === 'round' && storeEvery !== 'always';
    const [fees, anchor, announce, balance, final] = await Promise.all([
      quoteFees(node, caps),
      stores ? limitOf('anchor') : 0n,
      announces ? limitOf('announce') : 0n,
      node.balance(account.address),
      this.#finalCount(node),
    ]);
    try {
      const refusal = await signRounds(database, {
        target,
        instance,
        account,
        chainId,
        contract,
        purpose,
        rounds: rounds.map(({ round, root, closedAt }) => ({ round, root: new Uint8Array(root), closedAt })),
        storeEvery,
        fees,
        gasLimits: { anchor, announce },
        nonces: { counts, final, adopt: ephemeral },
        limits: { dailyBudget, balance, mined: counts.latest },
        signer,
        now,
      });
      if (refusal !== null) throw refusal;
    } catch (error) {
      throw error instanceof ForeignNonceError ? await this.#foreign(node, error, counts) : error;
    }
  }

  /**
   * Looks for the transaction that is not ours. An alarm is raised only if a block holds it, or if the chain goes on
   * counting it while the node cannot show it.
   */
  async #foreign(node: EvmNode, error: ForeignNonceError, counts: NonceCounts): Promise<AntequemError> {
    const { account, now, patience } = this.#options;
    const { nonce, count } = error;
    const least = await node.transactionCount(account.address, 'latest', 'least');
    const most = await node.transactionCount(account.address, 'latest', 'most');
    if (least !== most && least <= nonce) {
      return new AntequemError(
        'endpoints-disagree',
        `of ${account.address} some endpoints of ${account.chain} count ${most} transactions, others ${least}: ` +
          'nothing is signed until they agree',
      );
    }
    const has = `${account.address} has ${count} transactions on ${account.chain}, and ${nonce} are of this database`;
    const found = await findByNonce(node, account.address, nonce);
    if (found !== null) {
      return new ForeignNonceError(
        'nonce-foreign',
        `${has}; the first of the others is ${found.hash} in block ${found.block}: another service or person uses this ` +
          'account, or the database was set back; find out which, then resume the target',
        error,
      );
    }
    // One that waits may never be mined.
    if (counts.latest <= nonce) return error;
    if (this.#unexplained?.count !== count) this.#unexplained = { count, since: now() };
    if (now() - this.#unexplained.since < patience) return error;
    return new ForeignNonceError(
      'nonce-unexplained',
      `${has}, and the node keeps no state by which the others can be found: look for them, then resume the target`,
      error,
    );
  }

  /** Final transactions of the account, asked for only where the answer matters. */
  async #finalCount(node: EvmNode): Promise<number> {
    const { account, database, finality } = this.#options;
    const { rows } = await database.query(
      'SELECT 1 FROM evm_accounts WHERE chain = $1 AND address = $2 AND adopt > next_nonce',
      [account.chain, account.address],
    );
    if (rows.length === 0) return 0;
    const { height } = await finalHeight(node, finality);
    return height === null ? 0 : node.transactionCount(account.address, height);
  }

  async #replace(node: EvmNode, { instance }: TargetState, mined: number): Promise<void> {
    const { target, account, caps, dailyBudget, database, now, replaceAfter, signer } = this.#options;
    const [quote, baseFee, balance] = await Promise.all([
      quoteFees(node, caps),
      readBaseFee(node),
      node.balance(account.address),
    ]);
    await replaceStuck(database, {
      target,
      instance,
      account,
      quote,
      baseFee: baseFee ?? 0n,
      caps,
      limits: { dailyBudget, balance, mined },
      replaceAfter,
      signer,
      now,
    });
  }
}
