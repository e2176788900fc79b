import type { Logger } from 'pino';
import { AntequemError, messageOf } from '../core/errors.ts';
import { within } from '../core/time-limit.ts';
import { serviceName } from '../store/service-name.ts';
import type { Broker, LaneConsumer, LaneProducer } from './broker.ts';
import { postgresBroker } from './postgres-broker.ts';
import { redisBroker } from './redis-broker.ts';
import type { LaneDepth, QueueHealth, WakeHandler, Wakeup } from './wakeup.ts';

export interface Queue {
  /**
   * Adds wake-ups; one that waits or is being handled already stays as it is. Never throws.
   * @returns whether the queue took them within two seconds; if not, a reconciler has to bring them again
   */
  wake(wakeups: readonly Wakeup[]): Promise<boolean>;
  /** One such wake-up per period for all processes together. Restored if the queue lost it. */
  every(wakeup: Wakeup, periodMs: number): void;
  /** Handles the wake-ups of a lane, so many at once. Handling begins once the queue can be reached. */
  work(lane: string, handler: WakeHandler, options: { readonly concurrency: number }): Lane;
  /**
   * The clock of this process has jumped, or one that was wrong may have been at work: makes all schedules anew, and wakes
   * what waits in the lanes worked on here, as it may wait for a time that never was. Never throws.
   */
  renew(): Promise<void>;
  /**
   * Whether this process leaves the queue to others: its clock is wrong, and what it schedules would be, too. Lanes stop
   * after what is under way, and schedules are left alone. Never throws.
   */
  pause(paused: boolean): Promise<void>;
  /** How much stands in these lanes; null where the queue does not tell within two seconds. Never throws. */
  depth(lanes: readonly string[]): Promise<ReadonlyMap<string, LaneDepth> | null>;
  /** Whether it can keep wake-ups now. Never throws. */
  health(): Promise<QueueHealth>;
  /**
   * When that schedule is to wake next, in milliseconds since the Unix epoch; null: there is none, undefined: the queue
   * does not tell within two seconds. Never throws.
   */
  nextRun(wakeup: Wakeup): Promise<number | null | undefined>;
  /** Takes away the schedules of these lanes that releases before made under a name that all services shared. */
  removeFormerSchedules(lanes: readonly string[]): Promise<void>;
  /** Waits for the handlers under way, at most ten seconds. */
  close(): Promise<void>;
}

/** Wake-ups of one lane as this process handles them. */
export interface Lane {
  /** Takes no more and waits for the handlers under way, at most ten seconds. */
  close(): Promise<void>;
}

export interface QueueOptions {
  /** Of the service: it names the queue, so that others on the same server have their own. */
  readonly origin: string;
  readonly databaseUrl: string;
  /** As REDIS_URL. Without it the queue lives on the database, in a schema of its own. */
  readonly redisUrl?: string;
  readonly logger: Logger;
}

const WAKE_LIMIT_MS = 2_000;
const CLOSE_LIMIT_MS = 10_000;
const BROKER_LIMIT_MS = 2_000;
/** For what is done once, beside everything else. */
const FORMER_LIMIT_MS = 30_000;
/** Longer than the two commands of a check may take. */
const HEALTH_LIMIT_MS = 5_000;
const NAME = /^[a-z][a-z0-9-]{0,99}$/;

/**
 * Opens the queue. On PostgreSQL its tables are made if need be; Redis may be away and come later.
 * @throws AntequemError `database-unavailable`, `queue-schema`, `redis-unsupported`
 */
export async function openQueue({ origin, databaseUrl, redisUrl, logger }: QueueOptions): Promise<Queue> {
  const onError = (error: Error): void => {
    logger.warn({ err: error.message }, 'the queue reports a problem; its work goes on once that is over');
  };
  const name = serviceName(origin);
  const broker =
    redisUrl === undefined
      ? await postgresBroker(databaseUrl, name, onError)
      : await redisBroker(redisUrl, name, onError);
  return new BrokeredQueue(broker, logger);
}

class BrokeredQueue implements Queue {
  readonly #broker: Broker;
  readonly #logger: Logger;
  readonly #producers = new Map<string, LaneProducer>();
  readonly #lanes: Lane[] = [];
  readonly #consumers = new Map<string, LaneConsumer>();
  readonly #schedules: { readonly wakeup: Wakeup; readonly periodMs: number }[] = [];
  #paused = false;
  readonly #guards: NodeJS.Timeout[] = [];
  /** Wake-ups handed to the broker and not yet taken: with the broker away, asking again must not pile up. */
  readonly #underWay = new Set<string>();
  #closing: Promise<void> | null = null;

  constructor(broker: Broker, logger: Logger) {
    this.#broker = broker;
    this.#logger = logger;
  }

  async wake(wakeups: readonly Wakeup[]): Promise<boolean> {
    if (this.#closing !== null) return false;
    const lanes = Map.groupBy(wakeups, (wakeup) => wakeup.lane);
    const taken = await Promise.all([...lanes].map(([lane, group]) => this.#add(lane, group)));
    return taken.every((yes) => yes);
  }

  async #add(lane: string, wakeups: readonly Wakeup[]): Promise<boolean> {
    const keyed = wakeups.map((wakeup) => ({ wakeup, key: `${lane} ${checkName(wakeup.id)}` }));
    const fresh = keyed.filter(({ key }) => !this.#underWay.has(key));
    if (fresh.length === 0) return false;
    for (const { key } of fresh) this.#underWay.add(key);
    const adding = this.#producer(lane)
      .add(fresh.map(({ wakeup }) => wakeup))
      .then(
        () => true,
        (error: unknown) => {
          this.#logger.warn({ lane, err: messageOf(error) }, 'wake-ups were not taken by the queue');
          return false;
        },
      )
      .finally(() => {
        for (const { key } of fresh) this.#underWay.delete(key);
      });
    return within(WAKE_LIMIT_MS, adding, () => false);
  }

  every(wakeup: Wakeup, periodMs: number): void {
    checkName(wakeup.id);
    this.#schedules.push({ wakeup, periodMs });
    let busy = false;
    const assert = async (): Promise<void> => {
      if (busy || this.#paused || this.#closing !== null) return;
      busy = true;
      try {
        await this.#producer(wakeup.lane).assertSchedule(wakeup, periodMs);
      } catch (error) {
        this.#logger.warn({ lane: wakeup.lane, err: messageOf(error) }, 'a schedule could not be set; trying again');
      } finally {
        busy = false;
      }
    };
    void assert();
    this.#guards.push(setInterval(assert, Math.min(Math.max(periodMs, 1_000), 5_000)).unref());
  }

  work(lane: string, handler: WakeHandler, { concurrency }: { readonly concurrency: number }): Lane {
    const logged: WakeHandler = async (data) => {
      try {
        return await handler(data);
      } catch (error) {
        this.#logger.error({ lane, data, err: error }, 'a wake-up failed; what it was for will be looked at again');
        throw error;
      }
    };
    const consumer = this.#broker.consume(checkName(lane), logged, concurrency);
    this.#consumers.set(lane, consumer);
    if (this.#paused) void this.#pause(lane, consumer);
    let closing: Promise<void> | null = null;
    const opened: Lane = {
      close: () => {
        closing ??= this.#rest(lane, consumer);
        return closing;
      },
    };
    this.#lanes.push(opened);
    return opened;
  }

  async #rest(lane: string, consumer: LaneConsumer): Promise<void> {
    const closed = consumer.close().then(
      () => true,
      () => false,
    );
    if (await within(CLOSE_LIMIT_MS, closed, () => false)) return;
    this.#logger.warn({ lane }, 'did not stop in time; what was under way will be looked at again');
  }

  async renew(): Promise<void> {
    if (this.#paused || this.#closing !== null) return;
    const renewing = [
      ...this.#schedules.map(async ({ wakeup, periodMs }) =>
        this.#producer(wakeup.lane).renewSchedule(wakeup, periodMs),
      ),
      ...[...this.#consumers.keys()].map(async (lane) => this.#producer(lane).wakeDelayed()),
    ];
    for (const outcome of await Promise.allSettled(renewing)) {
      if (outcome.status === 'rejected') {
        this.#logger.warn({ err: messageOf(outcome.reason) }, 'a schedule could not be made anew');
      }
    }
  }

  async pause(paused: boolean): Promise<void> {
    this.#paused = paused;
    await Promise.all([...this.#consumers].map(([lane, consumer]) => this.#pause(lane, consumer)));
  }

  async #pause(lane: string, consumer: LaneConsumer): Promise<void> {
    try {
      await consumer.pause(this.#paused);
    } catch (error) {
      this.#logger.warn({ lane, err: messageOf(error) }, 'a lane could not be stopped or started');
    }
  }

  async depth(lanes: readonly string[]): Promise<ReadonlyMap<string, LaneDepth> | null> {
    if (this.#closing !== null) return null;
    const depths = Promise.all(lanes.map(async (lane) => [lane, await this.#producer(lane).depth()] as const));
    const known = depths.then(
      (all) => new Map(all),
      () => null,
    );
    return within(WAKE_LIMIT_MS, known, () => null);
  }

  async health(): Promise<QueueHealth> {
    const silent = { problem: 'does not answer', notices: [] };
    const checked = this.#broker.check().catch((error: unknown) => ({ problem: messageOf(error), notices: [] }));
    return within(HEALTH_LIMIT_MS, checked, () => silent);
  }

  async nextRun({ lane, id }: Wakeup): Promise<number | null | undefined> {
    if (this.#closing !== null) return undefined;
    const asked = this.#producer(lane).nextRun(id);
    return within(
      WAKE_LIMIT_MS,
      asked.catch(() => undefined),
      () => undefined,
    );
  }

  async removeFormerSchedules(lanes: readonly string[]): Promise<void> {
    for (const lane of lanes) {
      try {
        const former = await this.#broker.former(checkName(lane));
        if (former === null) continue;
        await within(FORMER_LIMIT_MS, former.removeSchedules(), () => {}).finally(() => former.close());
      } catch (error) {
        this.#logger.warn({ lane, err: messageOf(error) }, 'schedules of a release before could not be removed');
      }
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#broker.retire();
    for (const guard of this.#guards) clearInterval(guard);
    await Promise.all(this.#lanes.map((lane) => lane.close()));
    const producers = [...this.#producers.values()].map((producer) => producer.close());
    await within(BROKER_LIMIT_MS, Promise.allSettled(producers), () => null);
    await within(BROKER_LIMIT_MS, this.#broker.close(), () => null);
  }

  #producer(lane: string): LaneProducer {
    const known = this.#producers.get(lane);
    if (known !== undefined) return known;
    const producer = this.#broker.produce(checkName(lane));
    this.#producers.set(lane, producer);
    return producer;
  }
}

/** The brokers refuse `:` in names, and take ids that are numbers for their own. */
function checkName(name: string): string {
  if (NAME.test(name)) return name;
  throw new AntequemError('queue-name', `not a name for a lane or wake-up: ${name}; lower-case letters, digits and -`);
}
