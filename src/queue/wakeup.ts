// Wake-ups: the database knows what is still to be done, and a job of the queue only says "look now". If the queue fails,
// only time is lost, and the callers are never held up by it.
//
//   lane       jobs of one kind, done by workers of their own: a lane that is held up holds up no other
//   wake-up    a job with an id that says what is to be looked at; while one waits, a second is the same one

export type WakeData = Readonly<Record<string, string | number | boolean | null>>;

export interface Wakeup {
  /** Letters, digits and `-`. */
  readonly lane: string;
  /** Letters, digits and `-`, not a number; unique within the lane. */
  readonly id: string;
  readonly data: WakeData;
  /** Milliseconds from now. Default 0. */
  readonly delay?: number;
}

/** Milliseconds until the same wake-up comes again; undefined: it is finished. */
export type Again = { readonly again: number } | undefined;

/** May be called twice, at once or one after the other. What it throws is logged, and the wake-up is gone. */
export type WakeHandler = (data: unknown) => Promise<Again>;

/** Wake-ups of a lane: being handled, to be handled now, to be handled later. */
export interface LaneDepth {
  readonly active: number;
  readonly waiting: number;
  readonly delayed: number;
}

export interface QueueHealth {
  /** Why wake-ups cannot be kept; null: they can. */
  readonly problem: string | null;
  /** What an operator should change although they can. */
  readonly notices: readonly string[];
}
