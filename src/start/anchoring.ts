import type { Logger } from 'pino';
import { closeRound, type RoundClosing } from '../anchor/rounds.ts';
import type { AnchorTarget } from '../anchor/target.ts';
import { startWorker } from '../anchor/worker.ts';
import { CALENDARS, reportChainTime } from '../clock/reports.ts';
import type { Config } from '../config.ts';
import { within } from '../core/time-limit.ts';
import { purgeEventIds } from '../log/events.ts';
import type { Effects } from '../log/log.ts';
import { purgeKeys } from '../log/replay.ts';
import type { Queue } from '../queue/queue.ts';
import type { Database } from '../store/database.ts';
import { type Foundation, realEffects } from './foundation.ts';
import { openTargets } from './targets.ts';

export interface StartOptions {
  readonly effects?: Effects;
  /** Puts the contract on a development chain that lacks it. */
  readonly ensureContract?: () => Promise<void>;
}

/** What comparing the database with the chains may take before rounds are closed without it. */
const COMPARISON_MS = 5_000;
/** The same before anything is appended, where no record of what was published tells of a database that was set back. */
const FIRST_COMPARISON_MS = 1_000;
/** Milliseconds between looks at the time that chains show. */
const CHAIN_CLOCKS_MS = 30_000;

/** Closes rounds and anchors them. Returns how to stop that. */
export async function startAnchoring(
  config: Config,
  foundation: Foundation,
  queue: Queue,
  logger: Logger,
  options: StartOptions,
): Promise<() => Promise<void>> {
  const { database, registry, appender, guard } = foundation;
  const { now } = options.effects ?? realEffects;
  const targets = await openTargets(config, foundation, { now, logger, ensureContract: options.ensureContract });
  const closing: RoundClosing = {
    database,
    registry,
    sequencing: appender.sequencing,
    beacons: async () => {
      const blocks = await Promise.all(targets.map((target) => target.newestFinalBlock()));
      return blocks.flatMap((block) =>
        block === null ? [] : [{ chain: block.chain, height: block.height, hash: block.hash }],
      );
    },
    heartbeat: config.roundHeartbeat,
    guard,
  };
  const { roundInterval, reconcileInterval } = config;
  const compare = async (): Promise<void> => {
    await Promise.all(targets.map((target) => target.compare(guard.rollback)));
  };
  // The API listens meanwhile, and rounds wait no longer than this for chains that do not answer.
  const compared = compare().catch((error: unknown) => {
    logger.warn({ err: error }, 'the database was not compared with the chains; this is tried again');
  });
  const ready = within(COMPARISON_MS, compared, () => {});
  if (guard.store === null) await within(FIRST_COMPARISON_MS, compared, () => {});
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
    ready,
  });
  // Wake-ups that a process with a wrong clock put off for too long.
  void queue.renew();
  const watching = setInterval(() => void reportChains(database, targets, logger), CHAIN_CLOCKS_MS).unref();
  void reportChains(database, targets, logger);
  const purging = setInterval(() => {
    purgeKeys(database, now()).catch((error: unknown) => logger.warn({ err: error }, 'old idempotency keys stay'));
    purgeEventIds(database).catch((error: unknown) => logger.warn({ err: error }, 'old event ids stay'));
  }, 3_600_000);
  return async () => {
    clearInterval(purging);
    clearInterval(watching);
    clearInterval(comparing);
    await worker.stop();
    for (const target of targets) target.close();
  };
}

/** Tells what time the chains show. A chain that does not answer tells nothing; it is never a reason to refuse anything. */
async function reportChains(database: Database, targets: readonly AnchorTarget[], logger: Logger): Promise<void> {
  for (const target of targets) {
    try {
      const block = await target.newestFinalBlock();
      const { name: subject, chain } = target;
      if (block !== null) await reportChainTime(database, { subject, chain, time: block.time });
      const time = target.calendarTime ?? null;
      if (time !== null) {
        await reportChainTime(database, { subject: `${subject}-calendars`, chain: CALENDARS, time: Math.round(time) });
      }
    } catch (error) {
      logger.debug({ err: error, target: target.name }, 'the time of the chain was not recorded');
    }
  }
}
