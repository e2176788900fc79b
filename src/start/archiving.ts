// Archives old entries, again and again, in one process at a time.

import type { Logger } from 'pino';
import { receiptAnchors } from '../anchor/anchors.ts';
import { auditedChains } from '../anchor/report.ts';
import { RoundTrees } from '../anchor/roundtrees.ts';
import { Bucket, demandConditionalWrites, type ObjectLock } from '../archive/bucket.ts';
import { deleteLeftovers, moveBlocks } from '../archive/moved-blocks.ts';
import { moveTiles } from '../archive/moved-tiles.ts';
import { type ObjectStore, ObjectStores } from '../archive/object-stores.ts';
import { type ArchiveName, readPasses, recordFailure, recordPass } from '../archive/passes.ts';
import { renewRounds } from '../archive/published-rounds.ts';
import { publishArchive } from '../archive/publishing.ts';
import { shownRounds } from '../archive/shown-rounds.ts';
import { type ArchiveConfig, lockAt } from '../config/archive.ts';
import { toHex } from '../core/bytes.ts';
import { KINDS } from '../kinds.ts';
import { EntryReader } from '../log/entries.ts';
import type { Effects } from '../log/log.ts';
import type { Checkpoints } from '../log/publish.ts';
import { takeTurn } from '../store/turn.ts';
import type { Foundation } from './foundation.ts';

/** Repeated requests and events are answered out of entries and tiles of the last ten days. */
const LEAST_AGE_MS = 11 * 86_400_000;
const PROBE_BYTES = 1_000;
/** No target can have this name. */
const TURN = '_archive';
/** A process that dies while it archives holds others up for so long. */
const TURN_MS = 30_000;

export interface ArchivingOptions {
  readonly config: ArchiveConfig;
  readonly foundation: Pick<Foundation, 'database' | 'registry' | 'tiles' | 'archives'>;
  /** With the cosignatures of witnesses, if there are any. */
  readonly checkpoints: Pick<Checkpoints, 'at'>;
  readonly effects: Effects;
  readonly logger: Logger;
  /** Milliseconds between two passes. */
  readonly interval: number;
}

/** @returns how to stop it */
export function startArchiving(options: ArchivingOptions): () => Promise<void> {
  const { interval, logger, foundation } = options;
  const stopping = new AbortController();
  const archiver = new Archiver(options, stopping.signal);
  let passing: Promise<unknown> | null = null;
  const tick = (): void => {
    passing ??= takeTurn(foundation.database, TURN, () => archiver.pass(), TURN_MS)
      .catch((error: unknown) => logger.warn({ err: error }, 'nothing was archived; this is tried again'))
      .finally(() => {
        passing = null;
      });
  };
  const timer = setInterval(tick, interval);
  tick();
  return async () => {
    clearInterval(timer);
    stopping.abort();
    await passing;
  };
}

class Archiver {
  readonly #options: ArchivingOptions;
  readonly #signal: AbortSignal;
  readonly #publicBuckets: readonly Bucket[];
  readonly #privateBuckets: readonly Bucket[];
  readonly #probed = new Set<Bucket>();
  readonly #trees: RoundTrees;
  /** The open round that was looked at last. */
  #renewed = 0;

  constructor(options: ArchivingOptions, signal: AbortSignal) {
    const { publicBuckets, privateBuckets } = options.config;
    this.#options = options;
    this.#signal = signal;
    this.#publicBuckets = publicBuckets.map((address) => new Bucket(address));
    this.#privateBuckets = privateBuckets.map((address) => new Bucket(address));
    this.#trees = new RoundTrees(options.foundation.database);
  }

  /** What is public goes first: bundles are made of contents, which are still here then. */
  async pass(): Promise<void> {
    await this.#attempt('public', this.#publicBuckets, (store) => this.#publish(store));
    await this.#attempt('private', this.#privateBuckets, (store) => this.#move(store));
  }

  /** A store that ignores conditions is found before anything is written to it. */
  async #attempt(
    archive: ArchiveName,
    buckets: readonly Bucket[],
    work: (store: ObjectStore) => Promise<number>,
  ): Promise<void> {
    if (buckets.length === 0 || this.#signal.aborted) return;
    const { foundation, effects, logger } = this.#options;
    const { database } = foundation;
    try {
      for (const bucket of buckets) {
        if (!this.#probed.has(bucket)) await demandConditionalWrites(bucket, `probes/${toHex(effects.random(16))}`);
        // A store that is away is noticed although there is nothing to be archived.
        else await bucket.get('probes/none', PROBE_BYTES);
        this.#probed.add(bucket);
      }
      await recordPass(database, archive, await work(new ObjectStores(buckets)), effects.now());
    } catch (error) {
      logger.warn({ err: error, archive }, 'the archive is not up to date; this is tried again');
      await recordFailure(database, archive, error, effects.now());
    }
  }

  async #publish(store: ObjectStore): Promise<number> {
    const { config, foundation, effects, logger } = this.#options;
    const { database, registry, tiles, archives } = foundation;
    const passes = await readPasses(database);
    const published = passes.find((pass) => pass.archive === 'public')?.round ?? 0;
    const from = await shownRounds(database, this.#publicBuckets, registry.serviceOrigin, published);
    const options = {
      database,
      store,
      registry,
      tiles,
      entries: new EntryReader(database, archives.blocks, tiles),
      trees: this.#trees,
      checkpoints: this.#options.checkpoints,
      anchors: (round: number) => receiptAnchors(KINDS, database, round),
      chains: () => auditedChains(KINDS, database),
      publishRounds: config.publishRounds,
      lock: this.#lock,
      signal: this.#signal,
    };
    const newest = await publishArchive(options, from, effects.now() - config.after, (round) =>
      recordPass(database, 'public', round, effects.now()),
    );
    this.#renewed = await renewRounds(options, this.#renewed);
    const moved = await moveTiles(options, this.#oldBefore());
    if (moved > 0) logger.info({ tiles: moved }, 'old tiles were moved to the archive');
    return newest;
  }

  async #move(store: ObjectStore): Promise<number> {
    const { foundation, effects, logger } = this.#options;
    const { database } = foundation;
    const { random } = effects;
    const options = { database, store, random, lock: this.#lock, signal: this.#signal };
    const moved = await moveBlocks(options, this.#oldBefore());
    if (moved > 0) logger.info({ blocks: moved }, 'old payloads were moved to the archive');
    await deleteLeftovers(database, store);
    return 0;
  }

  /** What was received before leaves the database. */
  #oldBefore(): number {
    const { config, effects } = this.#options;
    return effects.now() - Math.max(config.after, LEAST_AGE_MS);
  }

  readonly #lock = (): ObjectLock | null => lockAt(this.#options.config, this.#options.effects.now());
}
