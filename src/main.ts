import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Logger, pino } from 'pino';
import { ApiKeys } from './access/keys.ts';
import { Quota } from './access/quota.ts';
import { QuotaRedis } from './access/quota-redis.ts';
import { Sessions } from './access/sessions.ts';
import { anchorStates, readAnchors } from './anchor/anchors.ts';
import { Calendar } from './anchor/calendar.ts';
import { DigestIntake } from './anchor/digests.ts';
import { requestRound } from './anchor/jobs.ts';
import { Receipts } from './anchor/receipts.ts';
import { Remembered } from './anchor/remembered.ts';
import { closeRound, type RoundClosing } from './anchor/rounds.ts';
import { RoundTrees } from './anchor/roundtrees.ts';
import type { AnchorTarget } from './anchor/target.ts';
import { startWorker } from './anchor/worker.ts';
import { createApp } from './api/app.ts';
import type { CalendarService } from './api/calendar.ts';
import { listen } from './api/server.ts';
import type { Service } from './api/service.ts';
import { type Config, isLoopback } from './config.ts';
import { AntequemError } from './core/errors.ts';
import type { Anchor, OpenTimestampsAnchor } from './core/receipt.ts';
import { rpcSource } from './evm/rpc-source.ts';
import { Appender } from './log/appender.ts';
import { EntryReader } from './log/entries.ts';
import { purgeEvents } from './log/events.ts';
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
import { Operation } from './metrics/operation.ts';
import { bitcoinSources, confirmationDelay, openCalendars } from './open-calendars.ts';
import { compareRounds, finalityDelay, openTarget } from './open-target.ts';
import { readOtsAnchors } from './ots/receipt-anchor.ts';
import { openQueue, type Queue } from './queue/queue.ts';
import { type Database, openDatabase } from './store/database.ts';
import { migrate } from './store/migrate.ts';
import { Progress } from './store/progress.ts';
import { Webhooks } from './webhooks/webhooks.ts';
import { startWebhooks } from './webhooks/worker.ts';
import { feedWitnesses } from './witness/feed.ts';
import { Witnesses } from './witness/witnesses.ts';

/** Time and randomness as they really are. */
export const realEffects: Effects = { now: Date.now, random: (length) => new Uint8Array(randomBytes(length)) };

/** The parts that every role needs. */
export interface Foundation {
  readonly database: Database;
  readonly registry: Registry;
  readonly appender: Appender;
  readonly publisher: Publisher;
  readonly keys: ApiKeys;
  readonly sessions: Sessions;
  readonly webhooks: Webhooks;
  /** The secret that a webhook's messages are signed with, by its id. */
  readonly webhookSecret: (id: string) => Uint8Array;
  /** The same of every seed: a receiver may have been told an older one. */
  readonly webhookSecrets: (id: string) => readonly Uint8Array[];
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
  config: Pick<Config, 'databaseUrl' | 'origin' | 'logSeedFile' | 'guardFile' | 'redisUrl' | 'operation'>,
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
    const sessions = new Sessions(database, keys, effects, seed.secret('sessions'));
    const allowPrivate = config.operation.webhookAllowPrivate;
    const webhooks = new Webhooks({ database, ...effects, allowPrivate });
    const webhookSecret = (id: string): Uint8Array => seed.secret(`webhook ${id}`);
    const webhookSecrets = (id: string): readonly Uint8Array[] => seed.secrets(`webhook ${id}`);
    const parts = { database, registry, appender, publisher, keys, sessions, guard };
    return { ...parts, webhooks, webhookSecret, webhookSecrets, close };
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
    const progress = Progress.listen(config.databaseUrl);
    stops.push(() => progress.close());
    const witnesses = openWitnesses(config, foundation, effects, logger);
    if (witnesses !== null) stops.push(() => witnesses.close());
    if (config.roles.includes('worker')) {
      if (witnesses !== null)
        stops.push(feedWitnesses({ ...witnesses.options, witnesses, standing: foundation.guard.standing }));
      stops.push(await startAnchoring(config, foundation, queue, logger, options));
      const webhooks = startWebhooks({
        database: foundation.database,
        secret: foundation.webhookSecrets,
        allowPrivate: config.operation.webhookAllowPrivate,
        now: effects.now,
        random: Math.random,
        logger,
        queue,
        progress,
      });
      stops.push(() => webhooks.stop());
    }
    if (!config.roles.includes('api')) return { url: null, stop };

    const quota = await openQuota(config);
    stops.push(async () => quota?.close());
    const operation = new Operation({
      database: foundation.database,
      queue,
      guard: foundation.guard,
      now: effects.now,
      notices: () => [...noticesOf(config, foundation.guard), ...(witnesses?.notices() ?? [])],
      stopping: stopping.signal,
    });
    const metricsToken = await readMetricsToken(config);
    const outside = { progress, witnesses, quota, operation, metricsToken, stopping: stopping.signal, logger, effects };
    const service = composeApi(config, foundation, outside);
    const count = roundsByCount(queue, config.roundEntries);
    foundation.appender.onCommitted = (entries, milliseconds) => {
      operation.metrics.committed(entries, milliseconds);
      count(entries);
    };
    if (service.calendar !== null) service.calendar.intake.onTaken = count;
    const server = await listen(
      createApp(service, {
        evm: config.targets.flatMap(({ rpcUrls }) => rpcUrls).map(rpcSource),
        bitcoin: bitcoinSources(config.bitcoin),
      }),
      config,
    );
    stops.push(() => server.close());
    // The load balancer is told before the door closes.
    stops.push(() => sleep(config.operation.drainDelay));
    return { url: server.url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function composeApi(
  config: Config,
  foundation: Foundation,
  outside: {
    progress: Progress;
    witnesses: Witnesses | null;
    quota: Quota | null;
    operation: Operation;
    metricsToken: string | null;
    stopping: AbortSignal;
    logger: Logger;
    effects: Effects;
  },
): Service {
  const { database, appender } = foundation;
  const { effects, witnesses, ...rest } = outside;
  const checkpoints = witnesses ?? foundation.publisher;
  const entries = new EntryReader(database, appender.sequencing.stretches);
  const tiles = new TileStore(database, appender.sequencing.stretches);
  const trees = new RoundTrees(database);
  const remembered = new Remembered(
    (round) => readAnchors(database, round),
    () => performance.now(),
  );
  outside.progress.onNews(() => remembered.forget());
  const anchors = (round: number): Promise<Anchor[]> => remembered.get(round);
  return {
    ...foundation,
    ...rest,
    checkpoints,
    entries,
    tiles,
    trees,
    receipts: new Receipts({ database, entries, tiles, publisher: checkpoints, trees, anchors }),
    anchors,
    anchorStates: (round) => anchorStates(database, round),
    calendars: config.ots === null ? null : { chain: config.bitcoin.chain },
    ownCalendar: config.calendar?.uri ?? null,
    calendar: openOwnCalendar(config, foundation, trees, effects),
    trustedProxies: config.trustedProxies,
    now: effects.now,
    open: config.open,
    roundInterval: config.roundInterval,
    finalityDelay: finalityDelay(config.targets),
    confirmationDelay: confirmationDelay(config.ots, config.bitcoin),
  };
}

/** Ourselves as a calendar; null where that is off. */
function openOwnCalendar(
  { calendar, bitcoin: { chain } }: Config,
  { database, guard: { standing } }: Foundation,
  trees: RoundTrees,
  effects: Effects,
): CalendarService | null {
  if (calendar === null) return null;
  const { uri, perMinute } = calendar;
  const anchors = (round: number): Promise<OpenTimestampsAnchor[]> => readOtsAnchors(database, round);
  return {
    calendar: new Calendar({ database, trees, anchors, chain, uri }),
    intake: new DigestIntake({ database, effects, standing }),
    perMinute,
  };
}

/** Whoever cosigns checkpoints; null where nobody is configured to. */
function openWitnesses(
  { witnesses }: Config,
  { database, registry, publisher, appender }: Foundation,
  { now }: Effects,
  logger: Logger,
): Witnesses | null {
  if (witnesses === null) return null;
  const tiles = new TileStore(database, appender.sequencing.stretches);
  return new Witnesses({ ...witnesses, database, registry, publisher, tiles, now, logger });
}

/** What opens /metrics beside an API key, if anything. */
async function readMetricsToken({ operation: { metricsTokenFile: file } }: Config): Promise<string | null> {
  if (file === null) return null;
  const what = 'a file with at least 16 characters without spaces: `openssl rand -hex 32` makes them';
  const token = await readSecret(file, 'METRICS_TOKEN_FILE', what);
  if (/^[\x21-\x7e]{16,1000}$/.test(token)) return token;
  throw new AntequemError('secret-missing', `METRICS_TOKEN_FILE ${file} holds no token; it must name ${what}`);
}

/** How much each API key may ask; null: as much as it likes. */
async function openQuota({ operation: { rateLimit }, redisUrl }: Config): Promise<Quota | null> {
  if (rateLimit === null) return null;
  return new Quota(rateLimit, redisUrl === null ? null : await QuotaRedis.open(redisUrl, rateLimit));
}

/** What an operator should know although all is ready. */
function noticesOf({ targets, ots, bitcoin }: Config, { standing, store }: Guard): string[] {
  const notices: string[] = [];
  if (standing.finding !== null) notices.push(standing.finding.message);
  if (targets.length === 0 && ots === null) notices.push('no chain is configured: rounds are closed and not anchored');
  if (ots !== null && confirmationDelay(ots, bitcoin) === null) {
    notices.push('OpenTimestamps proofs are stored and never confirmed: set BITCOIN_RPC_URL or BITCOIN_ESPLORA_URL');
  }
  if (store === null) {
    notices.push(
      'what is published is recorded in the database alone: whether that was set back shows only where it was anchored; ' +
        'set LOG_GUARD_FILE or REDIS_URL',
    );
  }
  return notices;
}

/** To be told what was appended or taken in: asks for a round ahead of its time whenever so much was. */
function roundsByCount(queue: Queue, most: number): (count: number) => void {
  let since = 0;
  return (count) => {
    since += count;
    if (since < most) return;
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
  const calendars = config.ots === null ? [] : [openCalendars(config.ots, config.bitcoin, { database, now, logger })];
  // Bitcoin in front: there is room for three beacons.
  const targets: AnchorTarget[] = [...calendars, ...opened.map(({ target }) => target)];
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
    purgeEvents(database).catch((error: unknown) => logger.warn({ err: error }, 'old event ids stay'));
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
