import { isTransient, ServiceError } from './failure.ts';

export interface RetryPolicy {
  /** Milliseconds of unbroken failure after which the last error is thrown; Infinity: never. */
  readonly giveUpAfter: number;
  /** Waits so many milliseconds; rejects when `signal` is aborted. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  /** Milliseconds of a clock. */
  readonly now: () => number;
  /** Told of each failure that will be tried again. */
  readonly onRetry?: (error: unknown, waits: number) => void;
  readonly signal?: AbortSignal;
}

const FIRST_WAIT = 200;
const LONGEST_WAIT = 10_000;
const LONGEST_ASKED = 60_000;

/**
 * Runs `task` until it succeeds, fails for good, or has failed for too long. Waits double from 0.2 s to 10 s, each
 * shortened by up to half at random so that clients of one outage do not return in step; `Retry-After` lengthens
 * them to 60 s at most. The task must be safe to repeat: an unanswered request may have taken effect.
 */
export async function retrying<T>(task: () => Promise<T>, policy: RetryPolicy): Promise<T> {
  const began = policy.now();
  for (let wait = FIRST_WAIT; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
    try {
      return await task();
    } catch (error) {
      policy.signal?.throwIfAborted();
      if (!isTransient(error)) throw error;
      const asked = error instanceof ServiceError ? Math.min(error.retryAfter ?? 0, LONGEST_ASKED) : 0;
      const waits = Math.max(asked, wait * (1 - policy.random() / 2));
      if (policy.now() + waits - began > policy.giveUpAfter) throw error;
      policy.onRetry?.(error, waits);
      await policy.sleep(waits, policy.signal);
    }
  }
}
