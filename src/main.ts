import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Logger, pino } from 'pino';
import { ApiKeys } from './access/keys.ts';
import { anchorStates, readAnchors } from './anchor/anchors.ts';
import { requestRound } from './anchor/jobs.ts';
import { Receipts } from './anchor/receipts.ts';
import { closeRound, type RoundClosing } from './anchor/rounds.ts';
import { RoundTrees } from './anchor/roundtrees.ts';
import { startWorker } from './anchor/worker.ts';
import { createApp } from './api/app.ts';
import { listen } from './api/server.ts';
import type { Service } from './api/service.ts';
import { type Config, isLoopback } from './config.ts';
import { AntequemError } from './core/errors.ts';
import type { Anchor } from './core/receipt.ts';
import { rpcSource } from './evm/rpc-source.ts';
import { Appender } from './log/appender.ts';
import { EntryReader } from './log/entries.ts';
import { Guard } from './log/guard.ts';
import type { Effects } from './log/log.ts';
import { Publisher } from './log/publish.ts';
import type { PublishedStore } from './log/published.ts';
import { PublishedFile } from './log/published-file.ts';
import { PublishedRedis } from './log/published-redis.ts';
import { Registry } from './log/registry.ts';
import { purgeKeys } from './log/replay.ts';
import { LogSeed } from './log/seed.ts';
import { TileStore } from './log/tilestore.ts';
import { compareRounds, finalityDelay, openTarget } from './open-target.ts';
import { openQueue, type Queue } from './queue/queue.ts';
import { type Database, openDatabase } from './store/database.ts';
import { migrate } from './store/migrate.ts';
import { Progress } from './store/progress.ts';

/** Time and randomness as they really are. */
export const realEffects: Effects = { now: Date.now, random: (length) => new Uint8Array(randomBytes(length)) };

/** The parts that every role needs. */
export interface Foundation {
  readonly database: Database;
  readonly registry: Registry;
  readonly appender: Appender;
  readonly publisher: Publisher;
  readonly keys: ApiKeys;
  readonly guard: Guard;
  close(): Promise<void>;
}

export interface FoundationOptions {
  readonly logger?: Logger;
  /** Whether the database is compared with what was published before anything else. Default: it is. */
  readonly compare?: boolean;
}

/** Brings the database up to date, opens the logs on it and compares it with what was published. */
export async function openFoundation(
  config: Pick<Config, 'databaseUrl' | 'origin' | 'logSeedFile' | 'guardFile' | 'redisUrl'>,
  effects: Effects,
  { logger = pino({ level: 'silent' }), compare = true }: FoundationOptions = {},
): Promise<Foundation> {
  const seed = LogSeed.parse(
    await readSecret(
      config.logSeedFile,
      'LOG_SEED_FILE',
      'a file with 64 hex digits: `openssl rand -hex 32` makes them',
    ),
  );
  await migrate(config.databaseUrl);
  const database = openDatabase(config.databaseUrl);
  const appender = new Appender(database, effects);
  const { sequencing } = appender;
  const { standing, stretches } = sequencing;
  const store = openPublished(config);
  const guard = new Guard({ database, serviceOrigin: config.origin, store, standing, stretches, logger });
  const close = async (): Promise<void> => {
    await guard.close();
    await database.end();
  };
  try {
    if (compare) await guard.compare();
    const registry = await Registry.open(database, config.origin, seed, sequencing);
    const publisher = new Publisher(database, registry, effects.now, { guard });
    const keys = new ApiKeys(database, registry.system, sequencing);
    return { database, registry, appender, publisher, keys, guard, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Where it is recorded what was published: the file, else Redis, else nowhere. */
function openPublished({ guardFile, redisUrl }: Pick<Config, 'guardFile' | 'redisUrl'>): PublishedStore | null {
  if (guardFile !== null) return new PublishedFile(guardFile);
  return redisUrl === null ? null : new PublishedRedis(redisUrl);
}

/** A secret out of a file, white space around it aside. */
async function readSecret(file: string, setting: string, how: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (cause) {
    throw new AntequemError('secret-missing', `${setting} ${file} cannot be read; it must name ${how}`, { cause });
  }
}

/** A running service. */
export interface Running {
  /** Where the API answers; null where this process has no API. */
  readonly url: string | null;
  /** Drains: what is under way is finished, nothing new is taken. */
  stop(): Promise<void>;
}

export interface ServeOptions {
  readonly effects?: Effects;
  /** Puts the contract on a development chain that lacks it. */
  readonly ensureContract?: () => Promise<void>;
}

/**
 * Runs the roles of the configuration in this process.
 * @throws AntequemError `keys-missing` beyond loopback without an API key, and what its parts throw
 */
export async function serve(config: Config, logger: Logger, options: ServeOptions = {}): Promise<Running> {
  const effects = options.effects ?? realEffects;
  const foundation = await openFoundation(config, effects, { logger });
  const stops: (() => Promise<void>)[] = [() => foundation.close()];
  foundation.guard.watch(config.reconcileInterval);
  const stopping = new AbortController();
  const stop = async (): Promise<void> => {
    stopping.abort();
    for (let next = stops.pop(); next !== undefined; next = stops.pop()) await next();
  };
  try {
    if (config.roles.includes('api')) await demandKeys(config, foundation.keys);
    const queue = await openQueue({
      databaseUrl: config.databaseUrl,
      ...(config.redisUrl === null ? {} : { redisUrl: config.redisUrl }),
      logger,
    });
    stops.push(() => queue.close());
    if (config.roles.includes('worker')) stops.push(await startAnchoring(config, foundation, queue, logger, options));
    if (!config.roles.includes('api')) return { url: null, stop };

    closeRoundsByCount(foundation.appender, queue, config.roundEntries);
    const progress = Progress.listen(config.databaseUrl);
    stops.push(() => progress.close());
    const service = composeApi(config, foundation, { progress, stopping: stopping.signal, logger, effects });
    const server = await listen(
      createApp(service, config.targets.flatMap(({ rpcUrls }) => rpcUrls).map(rpcSource)),
      config,
    );
    stops.push(() => server.close());
    return { url: server.url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function composeApi(
  config: Config,
  foundation: Foundation,
  outside: { progress: Progress; stopping: AbortSignal; logger: Logger; effects: Effects },
): Service {
  const { database, appender } = foundation;
  const { effects, ...rest } = outside;
  const entries = new EntryReader(database, appender.sequencing.stretches);
  const tiles = new TileStore(database, appender.sequencing.stretches);
  const trees = new RoundTrees(database);
  const anchors = (round: number): Promise<Anchor[]> => readAnchors(database, round);
  return {
    ...foundation,
    ...rest,
    entries,
    tiles,
    trees,
    receipts: new Receipts({ database, entries, tiles, publisher: foundation.publisher, trees, anchors }),
    anchors,
    anchorStates: (round) => anchorStates(database, round),
    now: effects.now,
    open: config.open,
    roundInterval: config.roundInterval,
    finalityDelay: finalityDelay(config.targets),
    notices: () => noticesOf(config, foundation.guard),
  };
}

/** What an operator should know although all is ready. */
function noticesOf({ targets }: Config, { standing, store }: Guard): string[] {
  const notices: string[] = [];
  if (standing.finding !== null) notices.push(standing.finding.message);
  if (targets.length === 0) notices.push('no chain is configured: rounds are closed and not anchored');
  if (store === null) {
    notices.push(
      'what is published is recorded in the database alone: whether that was set back shows only where it was anchored; ' +
        'set LOG_GUARD_FILE or REDIS_URL',
    );
  }
  return notices;
}

/** Asks for a round ahead of its time whenever so many entries were appended. */
function closeRoundsByCount(appender: Appender, queue: Queue, entries: number): void {
  let since = 0;
  appender.onCommitted = (count) => {
    since += count;
    if (since < entries) return;
    since = 0;
    void requestRound(queue);
  };
}

/** Closes rounds and anchors them. Returns how to stop that. */
async function startAnchoring(
  config: Config,
  foundation: Foundation,
  queue: Queue,
  logger: Logger,
  options: ServeOptions,
): Promise<() => Promise<void>> {
  const { database, registry, appender, publisher, guard } = foundation;
  const { now } = options.effects ?? realEffects;
  const outside = { now, logger, ensureContract: options.ensureContract };
  const opened = await Promise.all(
    config.targets.map(async (evm) => ({ evm, target: await openTarget(evm, foundation, outside) })),
  );
  const targets = opened.map(({ target }) => target);
  const closing: RoundClosing = {
    database,
    registry,
    publisher,
    sequencing: appender.sequencing,
    beacons: async () => {
      const blocks = await Promise.all(targets.map((target) => target.newestFinalBlock()));
      return blocks.filter((block) => block !== null);
    },
    heartbeat: config.roundHeartbeat,
    guard,
  };
  const { roundInterval, reconcileInterval } = config;
  const compare = async (): Promise<void> => {
    await Promise.all(opened.map(({ evm, target }) => compareRounds(evm, target, foundation, outside)));
  };
  await compare();
  const comparing = setInterval(() => void compare().catch(() => {}), reconcileInterval).unref();
  const worker = await startWorker({
    database,
    queue,
    targets,
    closeRound: () => closeRound(closing),
    roundInterval,
    reconcileInterval,
    now,
    logger,
    guard,
  });
  const purging = setInterval(() => {
    purgeKeys(database, now()).catch((error: unknown) => logger.warn({ err: error }, 'old idempotency keys stay'));
  }, 3_600_000);
  return async () => {
    clearInterval(purging);
    clearInterval(comparing);
    await worker.stop();
    for (const target of targets) target.close();
  };
}

/** Fail closed: what can be reached from elsewhere asks for a key, so there must be one. */
async function demandKeys(config: Config, keys: ApiKeys): Promise<void> {
  if (config.open && !isLoopback(config.host)) {
    throw new AntequemError(
      'open-beyond-loopback',
      `without API keys the service listens on loopback alone, not on ${config.host}`,
    );
  }
  if (!isLoopback(config.host) && !(await keys.any())) {
    throw new AntequemError(
      'keys-missing',
      `no API key exists, so nothing starts on ${config.host}: make one with \`antequem keys create --name ops --scope admin\``,
    );
  }
}
