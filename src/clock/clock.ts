// The time that the service stamps. The wall clock can be set, by hand or by a time server, and jumps then; the monotonic
// clock cannot. Each is read through the other.

import { uptime } from 'node:os';

/** A change of the wall clock against the monotonic one by more than this is a jump; less is a time server at work. */
const JUMP_MS = 2_000;
/** A jump ahead by more than this is not believed at once. */
const MAX_FORWARD_JUMP_MS = 60_000;
/** So long the wall clock must stay where it jumped to before it is believed. Corrections come within seconds. */
const PROBATION_MS = 60_000;

/** Milliseconds each: since the Unix epoch, and since any moment. The second counts while the machine sleeps, too. */
export interface ClockReadings {
  readonly wall: () => number;
  readonly monotonic: () => number;
}

/**
 * Milliseconds since the Unix epoch for all that is stamped. After a jump ahead by more than a minute the time goes on by
 * the monotonic clock until the wall clock has stayed where it is for a minute, so that a jump and back spoils no log.
 * A jump back is believed at once: times that must not decrease have their own guard.
 */
export class ServiceClock {
  readonly #readings: ClockReadings;
  /** Wall minus monotonic, as far as it is believed. */
  #offset: number;
  /** Where a jump ahead led, and since when, by the monotonic clock. */
  #probation: { offset: number; since: number } | null = null;
  #jump: { by: number; at: number } | null = null;
  #jumps = 0;

  constructor(readings: ClockReadings) {
    this.#readings = readings;
    this.#offset = readings.wall() - readings.monotonic();
  }

  /** The time to stamp. */
  readonly now = (): number => {
    const monotonic = this.#readings.monotonic();
    const wall = this.#readings.wall();
    this.#compare(wall - monotonic, monotonic);
    return this.#probation === null ? wall : Math.round(monotonic + this.#offset);
  };

  /** The wall clock as it is. */
  readonly wall = (): number => this.#readings.wall();

  /** Whether a jump ahead is not believed yet. */
  get held(): boolean {
    this.now();
    return this.#probation !== null;
  }

  /** How often the wall clock has jumped. */
  get jumps(): number {
    this.now();
    return this.#jumps;
  }

  /** By how much the wall clock jumped last, and how long ago, milliseconds; null: never since the start. */
  get lastJump(): { readonly by: number; readonly ago: number } | null {
    this.now();
    if (this.#jump === null) return null;
    return { by: Math.round(this.#jump.by), ago: this.#readings.monotonic() - this.#jump.at };
  }

  #compare(offset: number, monotonic: number): void {
    const stayed = this.#probation?.offset ?? this.#offset;
    const jumped = Math.abs(offset - stayed) > JUMP_MS;
    if (jumped) {
      this.#jump = { by: offset - stayed, at: monotonic };
      this.#jumps++;
    }
    if (offset - this.#offset <= MAX_FORWARD_JUMP_MS) {
      this.#offset = offset;
      this.#probation = null;
    } else if (jumped || this.#probation === null) {
      this.#probation = { offset, since: monotonic };
    } else if (monotonic - this.#probation.since >= PROBATION_MS) {
      this.#offset = offset;
      this.#probation = null;
    } else {
      // A time server moves it a little meanwhile.
      this.#probation = { ...this.#probation, offset };
    }
  }
}

/** How a process tells the time. */
export interface TimeSource {
  /** Milliseconds since the Unix epoch, to stamp. */
  readonly now: () => number;
  /** The wall clock, where `now` may be held back after a jump. Default: `now`. */
  readonly wall?: () => number;
}

/**
 * Milliseconds that the service is ahead of the database. After a jump that both made, or that neither believes, one of the
 * two readings agrees with the database: that one counts.
 */
export function aheadOfDatabase({ now, wall = now }: TimeSource, databaseNow: number): number {
  const [stamped, shown] = [now() - databaseNow, wall() - databaseNow];
  return Math.abs(stamped) <= Math.abs(shown) ? stamped : shown;
}

/** The same of an answer that took its time: only what both the moment before and the moment after it say. */
export async function askAheadOfDatabase(time: TimeSource, databaseNow: () => Promise<number>): Promise<number> {
  const before = frozen(time);
  const answered = await databaseNow();
  const [early, late] = [aheadOfDatabase(before, answered), aheadOfDatabase(time, answered)];
  return early > 0 ? early : late < 0 ? late : 0;
}

function frozen({ now, wall = now }: TimeSource): TimeSource {
  const [stamped, shown] = [now(), wall()];
  return { now: () => stamped, wall: () => shown };
}

// Not performance.now(), which stands still while a laptop sleeps: waking up would look like a jump.
export const machineReadings: ClockReadings = { wall: Date.now, monotonic: () => uptime() * 1_000 };
