import type { Logger } from 'pino';
import { toHex } from '../core/bytes.ts';
import { isCheckable, type WitnessKey } from '../core/cosignature.ts';
import { AntequemError } from '../core/errors.ts';
import { LruCache } from '../core/lru.ts';
import { isReached, type Policy } from '../core/policy.ts';
import type { Log } from '../log/log.ts';
import type { Checkpoints, Published, Publisher, RecordedCheckpoint } from '../log/publish.ts';
import type { Registry } from '../log/registry.ts';
import type { TileStore } from '../log/tilestore.ts';
import type { Database } from '../store/database.ts';
import { Cosignatures, type Cosigned } from './cosignatures.ts';
import { type WitnessProblem, WitnessProblems } from './problems.ts';
import { Pursuit } from './pursuit.ts';

/** Checkpoints that are searched for one with enough cosignatures. */
const LOOKED_AT = 16;
/** Milliseconds after which a missing quorum is reported. */
const GRACE_MS = 60_000;

export interface WitnessSettings {
  readonly policy: Policy;
  /** Milliseconds that publishing a checkpoint waits for the quorum at most. */
  readonly timeout: number;
  /** Milliseconds between checks for checkpoints that were signed without a request. */
  readonly interval: number;
  /** What is published if the quorum is not reached in time: the new checkpoint, or the newest with a quorum. */
  readonly missing: 'publish' | 'hold';
}

export interface WitnessesOptions extends WitnessSettings {
  readonly database: Database;
  readonly registry: Registry;
  readonly publisher: Publisher;
  readonly tiles: TileStore;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  readonly logger: Logger;
}

/** The state of cosigning. */
export interface WitnessState {
  readonly problems: readonly WitnessProblem[];
  /** Logs whose newest checkpoint too few witnesses have cosigned, a minute after it was signed. */
  readonly quorumMissing: number;
}

/**
 * Gets and adds the cosignatures of checkpoints. A checkpoint that a client requests is offered to all witnesses at once
 * and waits for the quorum, but never longer than the timeout. Appending never waits for witnesses.
 */
export class Witnesses implements Checkpoints {
  readonly pursuits: readonly Pursuit[];
  readonly options: WitnessesOptions;
  readonly #cosignatures: Cosignatures;
  readonly #problems: WitnessProblems;
  /** Of the witnesses whose cosignatures can be checked. */
  readonly #keys: readonly WitnessKey[];
  /** The newest published checkpoint of each log, as long as no cosignature can be added. */
  readonly #complete = new LruCache<number, Cosigned>(20_000);

  constructor(options: WitnessesOptions) {
    const { database, publisher, policy } = options;
    this.options = options;
    this.#cosignatures = new Cosignatures(database);
    this.#problems = new WitnessProblems(database);
    this.#keys = policy.witnesses.flatMap(({ key }) => (isCheckable(key) ? [key] : []));
    for (const { name, key } of policy.witnesses) {
      if (isCheckable(key)) continue;
      const type = key.type.toString(16).padStart(2, '0');
      options.logger.warn(
        { witness: name },
        `cosignatures by the witness ${name} do not count: its key is of type 0x${type}, which cannot be checked`,
      );
    }
    this.pursuits = policy.witnesses.flatMap((witness) =>
      witness.url === null || !isCheckable(witness.key)
        ? []
        : new Pursuit(
            { ...witness, url: witness.url },
            {
              ...options,
              cosignatures: this.#cosignatures,
              problems: this.#problems,
              newest: (log) => publisher.newest(log),
            },
          ),
    );
  }

  /** The state of cosigning, as found by all processes. */
  async state(): Promise<WitnessState> {
    const { policy } = this.options;
    const [problems, lacking] = await Promise.all([
      this.#problems.of(this.pursuits.map(({ witness }) => witness)),
      this.#cosignatures.lacking(this.#keys, this.options.now() - GRACE_MS),
    ]);
    let quorumMissing = 0;
    for (const { log, witnesses } of lacking) {
      const keys = new Set(witnesses.map(toHex));
      if (isReached(policy.quorum, ({ key }) => keys.has(toHex(key.id)))) continue;
      if (await this.concerns(log)) quorumMissing++;
    }
    return { problems, quorumMissing };
  }

  /** Whether checkpoints of this log are offered: the policy lists it, or lists no logs at all. */
  async concerns(log: Log): Promise<boolean> {
    const { policy, registry } = this.options;
    if (policy.logs.length === 0) return true;
    // A policy may name an older key of the log, or one that does not sign yet.
    const signers = await registry.signers(log);
    const keys = new Set(signers.flatMap(({ verifiers }) => verifiers.map(({ publicKey }) => toHex(publicKey))));
    return policy.logs.some(({ key }) => key.name === log.origin && keys.has(toHex(key.publicKey)));
  }

  /** @throws AntequemError `checkpoint-not-witnessed` if checkpoints without quorum are withheld and none has a quorum */
  async current(log: Log): Promise<Published> {
    const { publisher, missing } = this.options;
    const published = await publisher.current(log);
    if (!(await this.concerns(log))) return published;
    const complete = this.#complete.get(log.id);
    // A newer key of the log may have signed the checkpoint since then.
    if (complete?.size === published.size && complete.note.startsWith(published.note)) return complete;
    const cosigned = await this.#awaitQuorum(log, published);
    if (this.#reached(cosigned)) return cosigned;
    // The log may have grown meanwhile, and witnesses may have cosigned a newer checkpoint.
    const held = await this.#newestReached(log, missing === 'hold' ? 0 : published.size);
    if (held !== null) return held;
    if (missing === 'publish') return cosigned;
    throw new AntequemError(
      'checkpoint-not-witnessed',
      `no checkpoint of ${log.name} has been cosigned by as many witnesses as the policy asks for: try again later`,
    );
  }

  async covering(log: Log, index: number): Promise<Published> {
    const published = await this.options.publisher.covering(log, index);
    return (await this.concerns(log)) ? this.#withCosignatures(log, published) : published;
  }

  /** A checkpoint with a quorum, if there is one in time; otherwise as `covering`. */
  async witnessed(log: Log, index: number): Promise<Published> {
    if (!(await this.concerns(log))) return this.options.publisher.covering(log, index);
    const held = await this.#newestReached(log, index + 1);
    if (held !== null) return held;
    const cosigned = await this.#awaitQuorum(log, await this.options.publisher.covering(log, index));
    return this.#reached(cosigned) ? cosigned : ((await this.#newestReached(log, index + 1)) ?? cosigned);
  }

  async at(log: Log, size: number, recorded: RecordedCheckpoint | null = null): Promise<Published | null> {
    const published = await this.options.publisher.at(log, size, recorded);
    return published === null ? null : this.#withCosignatures(log, published);
  }

  /** Ends what is under way. */
  async close(): Promise<void> {
    await Promise.all(this.pursuits.map((pursuit) => pursuit.close()));
  }

  async #awaitQuorum(log: Log, published: Published): Promise<Cosigned> {
    let cosigned = await this.#withCosignatures(log, published);
    const waiting = new Map(
      this.#open(cosigned)
        .filter((pursuit) => !pursuit.rests(log))
        .map((pursuit) => [pursuit, pursuit.pursue(log, published).then(() => void waiting.delete(pursuit))]),
    );
    let late = false;
    const { promise: timeout, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      late = true;
      resolve();
    }, this.options.timeout);
    // Witnesses in backoff or with a failure cannot complete the quorum, so it is not worth waiting for them.
    while (!late && !this.#reached(cosigned) && this.#reached(cosigned, waiting)) {
      await Promise.race([timeout, ...waiting.values()]);
      cosigned = await this.#withCosignatures(log, published);
    }
    clearTimeout(timer);
    return cosigned;
  }

  /** Whether the cosignatures reach the quorum, alone or with those of these witnesses. */
  #reached({ cosignatures }: Cosigned, besides: ReadonlyMap<Pursuit, unknown> = new Map()): boolean {
    const keys = new Set([
      ...cosignatures.map(({ witness }) => toHex(witness)),
      ...[...besides.keys()].map(({ witness }) => toHex(witness.key.id)),
    ]);
    return isReached(this.options.policy.quorum, ({ key }) => keys.has(toHex(key.id)));
  }

  /** Witnesses that have not cosigned it. */
  #open({ cosignatures }: Cosigned): Pursuit[] {
    const keys = new Set(cosignatures.map(({ witness }) => toHex(witness)));
    return this.pursuits.filter(({ witness }) => !keys.has(toHex(witness.key.id)));
  }

  async #withCosignatures(log: Log, published: Published): Promise<Cosigned> {
    const cosigned = await this.#cosignatures.of(log, published, this.#keys);
    if (this.#open(cosigned).length === 0 && (this.#complete.get(log.id)?.size ?? 0) <= cosigned.size) {
      this.#complete.set(log.id, cosigned);
    }
    return cosigned;
  }

  async #newestReached(log: Log, least: number): Promise<Cosigned | null> {
    const newest = await this.#cosignatures.newest(log, least, LOOKED_AT, this.#keys);
    return newest.find((cosigned) => this.#reached(cosigned)) ?? null;
  }
}
