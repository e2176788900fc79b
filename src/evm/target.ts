// A target of the kind evm: one contract on one chain and the account that pays.

import type { Logger } from 'pino';
import type { AnchorTarget, FinalBlock } from '../anchor/target.ts';
import { AntequemError } from '../core/errors.ts';
import type { RollbackState } from '../log/rollback.ts';
import type { Database } from '../store/database.ts';
import { type Turn, takeTurn } from '../store/turn.ts';
import type { Account } from './account.ts';
import { watchBalance } from './account.ts';
import { ALARMS, liftAlarm, stopTarget } from './alarm.ts';
import { chainHint } from './chain-hints.ts';
import { Endpoints } from './endpoints.ts';
import { storeEvidence } from './evidence.ts';
import { evidenceDue, retryAfterUpgrade } from './evidence-store.ts';
import type { FeeCaps } from './fees.ts';
import type { Finality } from './finality.ts';
import { newestFinalBlock } from './finality.ts';
import { beginInstance, checkChain } from './instance.ts';
import { type EvmNode, rpcNode } from './node.ts';
import { countTransactions } from './nonce.ts';
import { alarmOf, observe, type Waiting } from './observation.ts';
import { recordObservations } from './outcome.ts';
import { Sending } from './sending.ts';
import type { EvmSigner } from './signer.ts';
import {
  noteProblems,
  type Problems,
  readTarget,
  registerTarget,
  type TargetIdentity,
  type TargetState,
  unfinishedRounds,
} from './state.ts';
import { type StoreEvery, storesWanted, unfinishedStores } from './storing.ts';
import { compareWithChain } from './unknown-rounds.ts';

export interface EvmTargetOptions {
  readonly name: string;
  readonly chainId: number;
  readonly rpcUrls: readonly string[];
  /** In place of `rpcUrls`. */
  readonly nodes?: readonly EvmNode[];
  /** 0x and 40 hex digits. */
  readonly contract: string;
  /** Which rounds the contract stores. Default, or null: as the database has it, else one an hour. */
  readonly storeEvery?: StoreEvery | null;
  readonly signer: EvmSigner;
  /** Default: by the chain's `finalized` tag. */
  readonly finality?: Finality;
  /** The chain may be started again, as a local one is; its rounds are then anchored again. */
  readonly ephemeral: boolean;
  /** Default: 200 gwei, 3 gwei of it as tip. */
  readonly caps?: FeeCaps;
  /** Wei that may be spent within any 24 hours. Default: no limit. */
  readonly dailyBudget?: bigint;
  /** The operator is told when the account has less, in wei. Default: what the next hundred rounds may cost. */
  readonly lowBalance?: bigint;
  /** Milliseconds after which a transaction that is not mined is replaced. Default 180,000. */
  readonly replaceAfter?: number;
  /** Default: 1 on an ephemeral chain, else the round after the newest one when the target is registered. */
  readonly firstRound?: number;
  readonly database: Database;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  readonly logger: Logger;
  /** Declares the account in `_system`, once (`claimDeclaration` tells); called before it first sends. */
  readonly declareSender: (account: Account) => Promise<void>;
  /** Deploys the contract on an ephemeral chain that lacks it. */
  readonly ensureContract?: () => Promise<void>;
  /** Milliseconds between looks at what is not final. Default 6,000; 250 on an ephemeral chain. */
  readonly pollInterval?: number;
  /** Milliseconds after which a transaction that is not mined is sent again. Default 60,000; 2,000 on an ephemeral chain. */
  readonly resendAfter?: number;
  /** Milliseconds that a transaction must look lost before it counts as lost while this is not final. Default 60,000. */
  readonly patience?: number;
  /** Milliseconds for which a process that dies holds up others that work on the target. Default 3,000. */
  readonly turn?: number;
}

const STOPPED_POLL_MS = 15_000;
const PATIENCE_MS = 60_000;
/** A problem that occurs again this soon is not logged again. */
const SAME_COMPLAINT_MS = 300_000;
const GWEI = 1_000_000_000n;

export class EvmTarget implements AnchorTarget {
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
  readonly #sending: Sending;
  readonly #closing = new AbortController();
  #failures = 0;
  /** Ends with the last work that waits for its turn. */
  #turns: Promise<unknown> = Promise.resolve();
  /** When each problem last occurred, by code. */
  readonly #complaints = new Map<string, number>();

  constructor(options: EvmTargetOptions) {
    const { name, chainId, ephemeral, signer, rpcUrls, logger, database, now, declareSender } = options;
    this.name = name;
    this.chain = `eip155:${chainId}`;
    this.#options = options;
    this.#identity = { name, chain: this.chain, contract: options.contract.toLowerCase(), ephemeral };
    this.#account = { chain: this.chain, address: signer.address };
    this.#endpoints = new Endpoints(options.nodes ?? rpcUrls.map((url) => rpcNode({ url })), chainId, logger);
    this.#finality = options.finality ?? { by: 'tag' };
    const caps = options.caps ?? { maxFee: 200n * GWEI, priorityFee: 3n * GWEI };
    this.#caps = { leastTip: chainHint(chainId).leastTip ?? 0n, ...caps };
    this.#pollInterval = options.pollInterval ?? (ephemeral ? 250 : 6_000);
    this.#sending = new Sending({
      target: name,
      account: this.#account,
      chainId,
      ephemeral,
      finality: this.#finality,
      caps: this.#caps,
      dailyBudget: options.dailyBudget ?? null,
      replaceAfter: options.replaceAfter ?? 180_000,
      resendAfter: options.resendAfter ?? (ephemeral ? 2_000 : 60_000),
      patience: 10 * (options.patience ?? PATIENCE_MS),
      signer,
      database,
      now,
      declareSender,
      ...(options.ensureContract === undefined ? {} : { ensureContract: options.ensureContract }),
    });
  }

  /** Makes target and account known to the database. @throws AntequemError `target-differs`, `account-taken` */
  async register(): Promise<void> {
    const { database, ephemeral, firstRound, storeEvery, now } = this.#options;
    await registerTarget(database, this.#identity, {
      sender: this.#account.address,
      storeEvery: storeEvery ?? null,
      firstRound: firstRound ?? (ephemeral ? 1 : null),
      now: now(),
    });
    await retryAfterUpgrade(database, this.name, now());
  }

  /**
   * Takes these rounds as far as they go now. Tells for each after how many milliseconds to look again, null: it is
   * final. Throws only what the database throws.
   */
  async advance(rounds: readonly number[]): Promise<Map<number, number | null>> {
    const { database, now } = this.#options;
    let problems: Problems = { sending: null, confirming: null };
    let troubled = false;
    const failure = await this.#attempt(() =>
      this.#inTurn(async (turn) => {
        ({ problems, troubled } = await this.#pass(turn, rounds));
      }),
    );
    if (failure !== null) problems = { sending: failure.message, confirming: failure.message };
    troubled ||= failure !== null;
    const unfinished = await noteProblems(database, this.name, rounds, problems, now());
    // A final round is looked at until its proof is stored or given up.
    const unproven = await evidenceDue(database, this.name, rounds, now());
    const delay = await this.#delay(troubled);
    return new Map(rounds.map((round) => [round, unfinished.has(round) ? delay : (unproven.get(round) ?? null)]));
  }

  /** Rounds that are not final, or lack a proof that is tried again; the oldest first. */
  unfinished(most: number): Promise<number[]> {
    return unfinishedRounds(this.#options.database, this.name, most);
  }

  /** Checks that the chain is the same and that the account has enough, even if there is nothing to send. */
  async inspect(): Promise<void> {
    const { database, lowBalance, now, logger } = this.#options;
    await this.#attempt(() =>
      this.#inTurn(async (turn) => {
        const node = await this.#endpoints.use();
        const state = await this.#look(node);
        await this.#lift(node, state);
        // Of a quiet log no round comes that would look after what is to be stored.
        if (await storesWanted(database, this.name, state.storeEvery, now())) {
          const { problems } = await this.#pass(turn, []);
          await noteProblems(database, this.name, [], problems, now());
        }
        await watchBalance(database, node, {
          account: this.#account,
          contract: this.#identity.contract,
          mode: state.storeEvery === 'always' ? 'anchor' : 'announce',
          lowBalance: lowBalance ?? null,
          caps: this.#caps,
          now,
          logger: logger.child({ target: this.name }),
        });
      }),
    );
  }

  /** The newest final block, null where the chain does not tell within two seconds. Never throws. */
  newestFinalBlock(): Promise<FinalBlock | null> {
    return newestFinalBlock(this.#endpoints, this.chain, this.#finality);
  }

  async compare(rollback: RollbackState): Promise<void> {
    const { database, ephemeral, chainId, rpcUrls, now, logger } = this.#options;
    // A chain that is started again counts from the start.
    if (ephemeral) return;
    await this.register();
    const { contract } = this.#identity;
    const search = { target: this.name, contract, chainId, rpcUrls, signal: this.#closing.signal };
    await compareWithChain({ database, search, rollback, now, logger });
  }

  close(): void {
    this.#closing.abort();
    this.#endpoints.close();
  }

  /** One after the other in this process, and of all processes one at a time. */
  #inTurn(work: (turn: Turn) => Promise<void>): Promise<unknown> {
    const { database, turn } = this.#options;
    const mine = this.#turns.then(() => takeTurn(database, this.name, work, turn));
    this.#turns = mine.catch(() => {});
    return mine;
  }

  async #pass(turn: Turn, rounds: readonly number[]): Promise<{ problems: Problems; troubled: boolean }> {
    const node = await this.#endpoints.use();
    const state = await this.#look(node);
    const attempt = (step: () => Promise<unknown>): Promise<AntequemError | null> => this.#attempt(step);
    const [unsent] = state.stopped === null ? await this.#sending.advance(node, state, rounds, attempt) : [];
    // What was sent before is looked at in any case: this costs nothing.
    let waiting: Waiting = { receipts: null, finality: null };
    const unseen = await this.#attempt(async () => {
      waiting = await this.#confirm(node, turn, rounds);
    });
    const stop = unseen === null && (await this.#lift(node, state)) ? null : state.stopped;
    const stopped =
      stop && (await this.#attempt(() => Promise.reject(new AntequemError('target-stopped', stop.reason))));
    const alarm = unseen !== null && ALARMS.has(unseen.code) ? unseen : null;
    const trouble = stopped ?? alarm ?? unsent ?? unseen;
    return {
      problems: {
        sending: trouble?.message ?? waiting.receipts,
        confirming: unseen?.message ?? waiting.finality ?? waiting.receipts,
      },
      troubled: trouble !== null,
    };
  }

  /** Looks what became of what was sent. */
  async #confirm(node: EvmNode, turn: Turn, rounds: readonly number[]): Promise<Waiting> {
    const { database, ephemeral, logger, now, patience = PATIENCE_MS } = this.#options;
    const { contract } = this.#identity;
    const target = this.name;
    const request = {
      target,
      chain: this.chain,
      contract,
      finality: this.#finality,
      purpose: 'round',
      rounds,
    } as const;
    const { observations, failure, waiting } = await observe(database, node, request);
    const evidence = { ...request, observations, retryAfter: this.#pollInterval, now };
    for (const says of await storeEvidence(database, node, evidence)) logger.warn({ target }, says);
    await recordObservations(database, observations, { turn, purpose: 'round', now: now(), abandon: ephemeral });
    const stores = await observe(database, node, {
      ...request,
      purpose: 'store',
      rounds: await unfinishedStores(database, target),
    });
    await recordObservations(database, stores.observations, {
      turn,
      purpose: 'store',
      now: now(),
      abandon: ephemeral,
    });
    const all = [...observations, ...stores.observations];
    const alarm = alarmOf(all, this.#account, { now: now(), patience });
    if (alarm !== null) this.#sending.doubtContract();
    if (alarm !== null && !ephemeral) throw alarm;
    if (failure !== null) throw failure;
    if (stores.failure !== null) throw stores.failure;
    return waiting;
  }

  /** Continues by itself where the chain no longer shows what stopped the target. */
  async #lift(node: EvmNode, { stopped }: TargetState): Promise<boolean> {
    if (stopped === null || !ALARMS.has(stopped.code)) return false;
    const { code, reason } = stopped;
    const { database, logger, now } = this.#options;
    const { pending } = await countTransactions(node, this.#account.address);
    const lifted = await liftAlarm(
      database,
      { target: this.name, ...this.#account },
      { stopped: code, pending, now: now() },
    );
    if (lifted) logger.warn({ target: this.name, code }, `continues: the chain no longer shows that ${reason}`);
    return lifted;
  }

  /** The target's state, after making sure that the chain is the known one, or starting again on a new one. */
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

  /** Does the work. What it throws is logged, and stops the target if only the operator can judge it. */
  async #attempt(work: () => Promise<unknown>): Promise<AntequemError | null> {
    const { database, logger, now } = this.#options;
    try {
      await work();
      return null;
    } catch (cause) {
      const error =
        cause instanceof AntequemError ? cause : new AntequemError('anchoring-failed', `${cause}`, { cause });
      const alarming = ALARMS.has(error.code);
      const stops = alarming && (await stopTarget(database, this.name, error, now()));
      // Once for each problem, not each time it is found again.
      const heard = this.#complaints.get(error.code) ?? Number.NEGATIVE_INFINITY;
      if (stops || now() - heard > SAME_COMPLAINT_MS) {
        const level = alarming || error.code === 'target-stopped' ? 'error' : 'warn';
        logger[level]({ target: this.name, code: error.code }, error.message);
      }
      this.#complaints.set(error.code, now());
      return error;
    }
  }

  async #delay(troubled: boolean): Promise<number> {
    if (!troubled) {
      this.#failures = 0;
      return this.#pollInterval;
    }
    const { database, ephemeral } = this.#options;
    if ((await readTarget(database, this.name)).stopped !== null) return STOPPED_POLL_MS;
    this.#failures += 1;
    const most = ephemeral ? 2_000 : 60_000;
    return Math.min(this.#pollInterval * 2 ** Math.min(this.#failures, 10), most);
  }
}
