import type { Logger } from 'pino';
import { closeRound, type RoundClosing } from '../anchor/rounds.ts';
import { startWorker } from '../anchor/worker.ts';
import type { Config } from '../config.ts';
import { purgeEvents } from '../log/events.ts';
import type { Effects } from '../log/log.ts';
import { purgeKeys } from '../log/replay.ts';
import type { Queue } from '../queue/queue.ts';
import { type Foundation, realEffects } from './foundation.ts';
import { openTargets } from './targets.ts';

export interface StartOptions {
  readonly effects?: Effects;
  /** Puts the contract on a development chain that lacks it. */
  readonly ensureContract?: () => Promise<void>;
}

/** Closes rounds and anchors them. Returns how to stop that. */
export async function startAnchoring(
  config: Config,
  foundation: Foundation,
  queue: Queue,
  logger: Logger,
  options: StartOptions,
): Promise<() => Promise<void>> {
  const { database, registry, appender, publisher, guard } = foundation;
  const { now } = options.effects ?? realEffects;
  const targets = await openTargets(config, foundation, { now, logger, ensureContract: options.ensureContract });
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
    await Promise.all(targets.map((target) => target.compare(guard.rollback)));
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
