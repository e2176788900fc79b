import type { Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { ApiKeys } from './access/keys.ts';
import { requestRound } from './anchor/jobs.ts';
import { createApp, createHealthApp, madeFor } from './api/app.ts';
import { listen } from './api/server.ts';
import { type ClockReadings, machineReadings, ServiceClock, type TimeSource } from './clock/clock.ts';
import { ClockWatch } from './clock/watch.ts';
import { type Config, isLoopback } from './config.ts';
import { AntequemError } from './core/errors.ts';
import { KINDS } from './kinds.ts';
import { Operation } from './metrics/operation.ts';
import { openQueue, type Queue } from './queue/queue.ts';
import { startPuller } from './sources/pulled/puller.ts';
import type { Outside } from './sources/scheme.ts';
import { type StartOptions, startAnchoring } from './start/anchoring.ts';
import { composeApi, noticesOf, openQuota, openReplica, openWitnesses, readMetricsToken } from './start/api.ts';
import { startArchiving } from './start/archiving.ts';
import { exposedFiles } from './start/exposed-files.ts';
import { openFoundation, realEffects } from './start/foundation.ts';
import { openLineHashing } from './start/line-hashing.ts';
import { tuneCollector } from './start/memory.ts';
import { MovingNotice } from './start/moving-notice.ts';
import { realOutside } from './start/outside.ts';
import { openReadings } from './start/readings.ts';
import { startRetention } from './start/retention.ts';
import { usualDelays } from './start/targets.ts';
import { openVerifications } from './start/verifications.ts';
import { Notifications } from './store/notifications.ts';
import { startWebhooks } from './webhooks/worker.ts';
import { feedWitnesses } from './witness/feed.ts';
import { watchShown } from './witness/shown.ts';

/** A running service. */
export interface Running {
  /** Where the API answers; null where this process has no API. */
  readonly url: string | null;
  /** Where `/healthz`, `/readyz` and `/metrics` answer; null where this process listens nowhere. */
  readonly healthUrl: string | null;
  /** Drains: what is under way is finished, nothing new is taken. */
  stop(): Promise<void>;
}

export interface ServeOptions extends StartOptions {
  /** Bound already; without it the host and port of the configuration. */
  readonly socket?: Server;
  /** What senders of sources are asked by. Default: the network. */
  readonly outside?: Outside;
}

/**
 * Runs the roles of the configuration in this process.
 * @throws AntequemError `keys-missing` beyond loopback without an API key, and what its parts throw
 */
export async function serve(config: Config, logger: Logger, options: ServeOptions = {}): Promise<Running> {
  tuneCollector();
  const clock = new ServiceClock(options.effects === undefined ? machineReadings : readingsOf(options.effects));
  const effects = options.effects ?? { ...realEffects, now: clock.now, wall: clock.wall };
  for (const warning of await exposedFiles(config)) logger.warn(warning);
  const notice = new MovingNotice(config, options.socket);
  const foundation = await openFoundation(config, effects, {
    logger,
    onMoving: (progress) => notice.tell(progress),
  }).finally(() => notice.close());
  const stops: (() => Promise<void>)[] = [() => foundation.close()];
  foundation.guard.watch(config.reconcileInterval);
  const stopping = new AbortController();
  const stop = async (): Promise<void> => {
    stopping.abort();
    for (let next = stops.pop(); next !== undefined; next = stops.pop()) await next();
  };
  try {
    demandLoopbackIfOpen(config);
    if (config.roles.includes('api')) await demandKeys(config, foundation.keys);
    const queue = await openQueue({
      origin: config.origin,
      databaseUrl: config.databaseUrl,
      ...(config.redisUrl === null ? {} : { redisUrl: config.redisUrl }),
      logger,
    });
    stops.push(() => queue.close());
    const watch = await ClockWatch.start({
      clock,
      database: foundation.database,
      logger,
      onJump: () => void queue.renew(),
      onSkew: (skewed) => void queue.pause(skewed),
    });
    stops.push(() => watch.stop());
    const notifications = Notifications.listen(config.databaseUrl);
    stops.push(() => notifications.close());
    const witnesses = openWitnesses(config, foundation, effects, logger);
    if (witnesses !== null) stops.push(() => witnesses.close());
    const operation = new Operation({
      database: foundation.database,
      kinds: KINDS,
      queue,
      roundInterval: config.roundInterval,
      usualDelays: usualDelays(config),
      guard: foundation.guard,
      time: effects,
      witnesses: witnesses === null ? null : () => witnesses.state(),
      notices: () => noticesOf(config, foundation.guard),
      stopping: stopping.signal,
    });
    const metricsToken = await readMetricsToken(config);
    let healthUrl: string | null = null;
    if (!config.roles.includes('api') && config.healthPort !== null) {
      const app = createHealthApp({ ...foundation, open: config.open, operation, metricsToken, logger });
      const health = await listen(app, { host: config.host, port: config.healthPort });
      // Closed after the work below has stopped: until then the process lives, and is not ready.
      stops.push(() => health.close());
      healthUrl = health.url;
    }
    if (config.roles.includes('worker')) {
      if (witnesses !== null) {
        stops.push(feedWitnesses({ ...witnesses.options, witnesses, rollback: foundation.guard.rollback }));
        const asked = witnesses.pursuits.map(({ witness }) => witness);
        stops.push(watchShown(asked, witnesses.options));
      }
      if (config.archive !== null) {
        const checkpoints = witnesses ?? foundation.publisher;
        const archiving = { config: config.archive, foundation, checkpoints, effects, logger };
        stops.push(startArchiving({ ...archiving, interval: config.reconcileInterval }));
      }
      stops.push(await startAnchoring(config, foundation, queue, logger, { ...options, effects }));
      const { database, sources, appender, registry, holds, archives } = foundation;
      // What an older release did not put together, or a process that was killed.
      appender.tidyIndex();
      stops.push(startPuller({ database, sources, sequencing: appender.sequencing, logger }));
      stops.push(
        startRetention({
          database,
          registry,
          sequencing: appender.sequencing,
          holds,
          archive: archives.blocks,
          interval: config.retentionInterval,
          logger,
        }),
      );
      const webhooks = startWebhooks({
        database: foundation.database,
        secret: foundation.webhookSecrets,
        allowPrivate: config.operation.webhookAllowPrivate,
        now: effects.now,
        random: Math.random,
        logger,
        queue,
        notifications,
      });
      stops.push(() => webhooks.stop());
    }
    if (!config.roles.includes('api')) {
      foundation.appender.onCommitted = (entries, milliseconds) => operation.metrics.committed(entries, milliseconds);
      return { url: null, healthUrl, stop };
    }

    const quota = await openQuota(config);
    stops.push(async () => quota?.close());
    const { readings, noteCommit } = openReadings(config);
    stops.push(() => readings.close());
    const hashing = openLineHashing(effects);
    stops.push(() => hashing.close());
    const opened = openReplica(config, foundation.archives);
    stops.push(async () => opened?.close());
    const outside = {
      notifications,
      replica: opened?.replica ?? null,
      readings,
      hashing,
      witnesses,
      quota,
      operation,
      metricsToken,
      stopping: stopping.signal,
      logger,
      effects,
      outside: options.outside ?? realOutside,
    };
    const service = composeApi(config, foundation, outside);
    const count = roundsByCount(queue, config.roundEntries);
    foundation.appender.onCommitted = (entries, milliseconds) => {
      operation.metrics.committed(entries, milliseconds);
      noteCommit();
      count(entries);
    };
    if (service.calendar !== null) service.calendar.intake.onTaken = count;
    const verifications = openVerifications(config);
    stops.push(() => verifications.close());
    const app = createApp(service, verifications);
    const server = await listen(app, { ...config, socket: options.socket }, madeFor(app));
    stops.push(() => server.close());
    // The load balancer is told before the door closes.
    stops.push(() => sleep(config.operation.drainDelay));
    return { url: server.url, healthUrl: server.url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A clock that a test sets is the wall clock. */
function readingsOf({ now, wall = now }: TimeSource): ClockReadings {
  return { ...machineReadings, wall };
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

function demandLoopbackIfOpen({ open, host }: Config): void {
  if (!open || isLoopback(host)) return;
  throw new AntequemError(
    'open-beyond-loopback',
    `without API keys the service listens on loopback alone, not on ${host}`,
  );
}

/** Fail closed: what can be reached from elsewhere asks for a key, so there must be one. */
async function demandKeys(config: Config, keys: ApiKeys): Promise<void> {
  if (!isLoopback(config.host) && !(await keys.any())) {
    throw new AntequemError(
      'keys-missing',
      `no API key exists, so nothing starts on ${config.host}: make one with \`antequem keys create --name ops --scope admin\``,
    );
  }
}
