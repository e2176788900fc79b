import { hostname } from 'node:os';
import type { Logger } from 'pino';
import { MAX_CLOCK_SKEW_MS } from '../core/time.ts';
import type { Queryable } from '../store/database.ts';
import { askAheadOfDatabase, type ServiceClock } from './clock.ts';
import { reportProcessClock } from './reports.ts';

/** Milliseconds between looks at the clock, and between comparisons with the database. */
const LOOK_MS = 1_000;
const COMPARE_MS = 5_000;
/** Milliseconds for which a jump is told. */
const TOLD_MS = 600_000;

export interface ClockWatchOptions {
  readonly clock: ServiceClock;
  readonly database: Queryable;
  readonly logger: Logger;
  /** The wall clock has jumped, or is right again after it was off: what was scheduled by it is wrong. */
  readonly onJump: () => void;
  /** Whether the process is so far from the database that it must not schedule anything. */
  readonly onSkew: (skewed: boolean) => void;
}

/** Looks at the clock of this process all the time and tells what it sees. */
export class ClockWatch {
  readonly #options: ClockWatchOptions;
  readonly #subject = `${hostname()}:${process.pid}`;
  readonly #timers: readonly NodeJS.Timeout[];
  #jumps = 0;
  #skewed = false;
  #comparing: Promise<void> | null = null;

  private constructor(options: ClockWatchOptions) {
    this.#options = options;
    this.#timers = [setInterval(() => this.#look(), LOOK_MS), setInterval(() => void this.compare(), COMPARE_MS)];
    for (const timer of this.#timers) timer.unref();
  }

  /** Compares the clocks once, then goes on by itself. */
  static async start(options: ClockWatchOptions): Promise<ClockWatch> {
    const watch = new ClockWatch(options);
    await watch.compare();
    return watch;
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#comparing;
  }

  /** Never throws. */
  compare(): Promise<void> {
    this.#comparing ??= this.#compare().finally(() => {
      this.#comparing = null;
    });
    return this.#comparing;
  }

  #look(): void {
    const { clock, logger, onJump } = this.#options;
    const { jumps, lastJump, held } = clock;
    if (jumps === this.#jumps || lastJump === null) return;
    this.#jumps = jumps;
    const says = held
      ? 'the clock of this process jumped; times go on without that until it has stayed where it is for a minute'
      : 'the clock of this process jumped';
    logger.warn({ code: 'clock-jumped', seconds: Math.round(lastJump.by / 1_000) }, says);
    onJump();
    void this.compare();
  }

  async #compare(): Promise<void> {
    const { clock, database, logger, onJump, onSkew } = this.#options;
    try {
      const ahead = await askAheadOfDatabase(clock, async () => {
        const { rows } = await database.query<{ now: number }>(
          'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now',
        );
        return rows[0]?.now ?? 0;
      });
      const jump = clock.lastJump;
      const jumped = jump === null || jump.ago > TOLD_MS ? null : jump.by;
      await reportProcessClock(database, { subject: this.#subject, ahead, held: clock.held, jumped });
      const skewed = Math.abs(ahead) > MAX_CLOCK_SKEW_MS;
      if (skewed === this.#skewed) return;
      this.#skewed = skewed;
      const seconds = Math.round(ahead / 1_000);
      if (skewed) {
        logger.error(
          { code: 'clock-skew', seconds },
          'the clocks of this process and of the database are too far apart',
        );
      } else {
        logger.info({ seconds }, 'the clocks of this process and of the database agree again');
      }
      onSkew(skewed);
      if (!skewed) onJump();
    } catch (error) {
      logger.debug({ err: error }, 'the clocks could not be compared');
    }
  }
}
