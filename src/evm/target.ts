// One contract on one chain, and the account that pays: takes rounds from pending to finalized.

import type { Logger } from 'pino';
import { sha256 } from '#sha256';
import { concat, utf8 } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import type { Beacon } from '../core/round.ts';
import type { Database } from '../store/database.ts';
import { type Account, isDeclared } from './account.ts';
import { encodeAnchor, encodeAnnounce } from './anchor-contract.ts';
import { newestFinalBlock } from './beacon.ts';
import { broadcast } from './broadcast.ts';
import { alarmOf, sight } from './confirm.ts';
import { Endpoints } from './endpoints.ts';
import { type FeeCaps, gasLimit, quoteFees } from './fees.ts';
import type { Finality } from './finality.ts';
import { beginInstance, checkChain } from './instance.ts';
import { type EvmNode, rpcNode } from './node.ts';
import { countTransactions } from './nonce.ts';
import { recordSightings } from './outcome.ts';
import type { EvmSigner } from './signer.ts';
import { noteProblem, readTarget, registerTarget, stopTarget, type TargetIdentity, type TargetState } from './state.ts';
import { signRounds } from './transaction.ts';
import { takeTurn } from './turn.ts';

export interface EvmTargetOptions {
  readonly name: string;
  readonly chainId: number;
  readonly rpcUrls: readonly string[];
  /** Instead of `rpcUrls`: whoever stands between us and the chain. */
  readonly nodes?: readonly EvmNode[];
  /** 0x and 40 hex digits. */
  readonly contract: string;
  readonly mode: 'anchor' | 'announce';
  readonly signer: EvmSigner;
  /** Default: by the chain's `finalized` tag. */
  readonly finality?: Finality;
  /** A chain that may be started anew, such as a local one: its rounds are then anchored again. */
  readonly ephemeral: boolean;
  /** Default: 200 gwei, 3 gwei of it as tip. */
  readonly caps?: FeeCaps;
  /** Default: 1 on an ephemeral chain, else the round after the newest when the target is first seen. */
  readonly firstRound?: number;
  readonly database: Database;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  readonly logger: Logger;
  /** Declares the account in `_system`, once (`claimDeclaration` tells); called before it first sends. */
  readonly declareSender: (account: Account) => Promise<void>;
  /** Puts the contract on an ephemeral chain that lacks it. */
  readonly ensureContract?: () => Promise<void>;
  /** Milliseconds between looks at what is not final. Default 6,000; 250 on an ephemeral chain. */
  readonly pollInterval?: number;
  /** Milliseconds after which what is not mined is handed over again. Default 60,000; 2,000 on an ephemeral chain. */
  readonly resendAfter?: number;
}

/** What stops a target until the operator has looked: to go on by itself could spend money twice. */
const STOPS = new Set(['nonce-foreign', 'anchor-without-effect', 'chain-differs']);
const STOPPED_POLL_MS = 60_000;
const GWEI = 1_000_000_000n;

export class EvmTarget {
  readonly name: string;
  /** CAIP-2. */
  readonly chain: string;
  readonly #options: EvmTargetOptions;
  readonly #identity: TargetIdentity;
  readonly #account: Account;
  readonly #endpoints: Endpoints;
  readonly #finality: Finality;
  readonly #caps: FeeCaps;
  readonly #pollInterval: number;
  readonly #resendAfter: number;
  /** Instance of the chain on which the contract was seen. */
  #contractOn: number | null = null;
  #declared = false;
  #failures = 0;
  #complaint = '';

  constructor(options: EvmTargetOptions) {
    const { name, chainId, mode, ephemeral, signer, rpcUrls, logger } = options;
    this.name = name;
    this.chain = `eip155:${chainId}`;
    this.#options = options;
    this.#identity = { name, chain: this.chain, contract: options.contract.toLowerCase(), mode, ephemeral };
    this.#account = { chain: this.chain, address: signer.address };
    this.#endpoints = new Endpoints(options.nodes ?? rpcUrls.map((url) => rpcNode({ url, chainId })), chainId, logger);
    this.#finality = options.finality ?? { by: 'tag' };
    this.#caps = options.caps ?? { maxFee: 200n * GWEI, priorityFee: 3n * GWEI };
    this.#pollInterval = options.pollInterval ?? (ephemeral ? 250 : 6_000);
    this.#resendAfter = options.resendAfter ?? (ephemeral ? 2_000 : 60_000);
  }

  /** Makes target and account known to the database. @throws AntequemError `target-differs`, `account-taken` */
  async register(): Promise<void> {
    const { database, ephemeral, firstRound, now } = this.#options;
    await registerTarget(database, this.#identity, {
      sender: this.#account.address,
      firstRound: firstRound ?? (ephemeral ? 1 : null),
      now: now(),
    });
  }

  /**
   * Takes these rounds as far as they go now. Tells for each after how many milliseconds to look again, null: it is
   * final. Throws only what the database throws.
   */
  async advance(rounds: readonly number[]): Promise<Map<number, number | null>> {
    const { database } = this.#options;
    const failure = await this.#attempt(() => takeTurn(database, this.name, () => this.#pass(rounds)));
    const delay = this.#delay(failure);
    await noteProblem(database, this.name, rounds, failure?.message ?? null, this.#options.now());
    const { rows } = await database.query<{ round: number }>(
      `SELECT round FROM anchors WHERE target = $1 AND round = ANY ($2::bigint[]) AND status <> 'finalized'`,
      [this.name, rounds],
    );
    const unfinished = new Set(rows.map(({ round }) => round));
    return new Map(rounds.map((round) => [round, unfinished.has(round) ? delay : null]));
  }

  /** Looks whether the chain is still the same, also when there is nothing to send. */
  async inspect(): Promise<void> {
    const { database } = this.#options;
    await this.#attempt(() => takeTurn(database, this.name, async () => this.#look(await this.#endpoints.use())));
  }

  /** The newest final block, null where the chain does not tell within two seconds. Never throws. */
  newestFinalBlock(): Promise<Beacon | null> {
    return newestFinalBlock(this.#endpoints, this.chain, this.#finality);
  }

  close(): void {
    this.#endpoints.close();
  }

  async #pass(rounds: readonly number[]): Promise<void> {
    const { database, ephemeral, now } = this.#options;
    const node = await this.#endpoints.use();
    const state = await this.#look(node);
    if (state.stopped !== null) throw new AntequemError('target-stopped', state.stopped.reason);
    await this.#prepare(node, state);
    const counts = await countTransactions(node, this.#account.address);
    await this.#sign(node, state, counts, rounds);
    // What was sent before is looked at even where the node takes nothing more.
    const failure = await this.#attempt(() =>
      broadcast(database, node, { account: this.#account, mined: counts.latest, resendAfter: this.#resendAfter, now }),
    );
    const { contract } = this.#identity;
    const request = { target: this.name, account: this.#account, contract, finality: this.#finality, rounds };
    const { sightings, failure: unseen } = await sight(database, node, request);
    await recordSightings(database, this.name, sightings, { now: now(), abandon: ephemeral });
    const alarm = alarmOf(sightings, this.#account);
    if (alarm !== null) this.#contractOn = null;
    if (alarm !== null && !ephemeral) throw alarm;
    if (failure !== null) throw failure;
    if (unseen !== null) throw unseen;
  }

  /** The target's state once it is known that the chain is the one we know, or a new one has been begun. */
  async #look(node: EvmNode): Promise<TargetState> {
    const { database, ephemeral, logger, now } = this.#options;
    const state = await readTarget(database, this.name);
    const check = await checkChain(database, node, state);
    if (check.chain === 'behind') throw new AntequemError('chain-behind', check.says);
    if (check.chain === 'same') return state;
    if (!ephemeral) {
      throw new AntequemError(
        'chain-differs',
        `${check.says}: nothing is anchored there until it is clear what happened`,
      );
    }
    const reset = await beginInstance(database, state, check.genesis, now());
    logger.warn({ target: this.name, anchors: reset }, `${check.says}: the chain was started anew, anchoring again`);
    return readTarget(database, this.name);
  }

  /** Before anything is sent: the account stands in `_system`, the contract on the chain. */
  async #prepare(node: EvmNode, state: TargetState): Promise<void> {
    const { database, declareSender, ensureContract, ephemeral } = this.#options;
    if (!this.#declared) {
      if (!(await isDeclared(database, this.#account))) await declareSender(this.#account);
      this.#declared = true;
    }
    if (this.#contractOn === state.instance) return;
    if ((await node.code(state.contract)) === '0x') {
      if (!ephemeral || ensureContract === undefined) {
        throw new AntequemError(
          'contract-missing',
          `no contract at ${state.contract} on ${this.chain}: deploy it (antequem deploy) or correct the address`,
        );
      }
      await ensureContract();
    }
    this.#contractOn = state.instance;
  }

  async #sign(
    node: EvmNode,
    { instance, contract }: TargetState,
    counts: { readonly latest: number; readonly pending: number },
    rounds: readonly number[],
  ): Promise<void> {
    const { chainId, database, ephemeral, mode, now, signer } = this.#options;
    const { rows } = await database.query<{ round: number; root: Uint8Array }>(
      `SELECT a.round, r.root FROM anchors a JOIN rounds r ON r.number = a.round
       WHERE a.target = $1 AND a.round = ANY ($2::bigint[]) AND a.status = 'pending'
         AND NOT EXISTS (SELECT FROM evm_transactions t WHERE t.target = a.target AND t.round = a.round
                           AND t.status IN ('signed', 'broadcast', 'included', 'finalized'))`,
      [this.name, rounds],
    );
    const [first] = rows;
    if (first === undefined) return;
    const encode = mode === 'anchor' ? encodeAnchor : encodeAnnounce;
    // A root that nobody can have anchored: to anchor one a second time costs half, and the estimate would be too low.
    const fresh = encode(sha256(concat(utf8('antequem gas'), new Uint8Array(first.root))));
    const [fees, estimate] = await Promise.all([
      quoteFees(node, this.#caps),
      node.estimateGas({ from: this.#account.address, to: contract, data: fresh }),
    ]);
    await signRounds(database, {
      target: this.name,
      instance,
      account: this.#account,
      chainId,
      contract,
      rounds: rows.map(({ round, root }) => ({ round, data: encode(new Uint8Array(root)) })),
      fees,
      gasLimit: gasLimit(estimate, fresh),
      counts,
      adopt: ephemeral,
      signer,
      now,
    });
  }

  /** Does the work; what it throws becomes a complaint, and stops the target where only the operator can judge. */
  async #attempt(work: () => Promise<unknown>): Promise<AntequemError | null> {
    const { database, logger, now } = this.#options;
    try {
      await work();
      return null;
    } catch (cause) {
      const error =
        cause instanceof AntequemError ? cause : new AntequemError('anchoring-failed', `${cause}`, { cause });
      if (STOPS.has(error.code)) await stopTarget(database, this.name, error, now());
      // Once for each thing that is wrong, not for each time it is found to be so still.
      if (this.#complaint !== error.code) {
        const level = STOPS.has(error.code) || error.code === 'target-stopped' ? 'error' : 'warn';
        logger[level]({ target: this.name, code: error.code }, error.message);
      }
      this.#complaint = error.code;
      return error;
    }
  }

  #delay(failure: AntequemError | null): number {
    if (failure === null) {
      this.#failures = 0;
      this.#complaint = '';
      return this.#pollInterval;
    }
    if (failure.code === 'target-stopped' || STOPS.has(failure.code)) return STOPPED_POLL_MS;
    this.#failures += 1;
    const most = this.#options.ephemeral ? 2_000 : 60_000;
    return Math.min(this.#pollInterval * 2 ** Math.min(this.#failures, 10), most);
  }
}
