import { type Signal, useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { messageOf } from '../../core/errors.ts';
import { ApiFailure } from './api.ts';

export interface Polled<T> {
  /** The last answer; null before the first. */
  readonly data: Signal<T | null>;
  /** Why the last request failed. */
  readonly failure: Signal<string | null>;
  /** The code of the problem that the service answered with. */
  readonly problem: Signal<string | null>;
}

/**
 * Repeats a request while the page is visible.
 * @param key identifies the request: a new key starts over
 * @param every milliseconds between an answer and the next request; null: stop
 */
export function usePolled<T>(
  key: string,
  asking: (signal: AbortSignal) => Promise<T>,
  every: (data: T) => number | null,
): Polled<T> {
  const data = useSignal<T | null>(null);
  const failure = useSignal<string | null>(null);
  const problem = useSignal<string | null>(null);
  useEffect(() => {
    const gone = new AbortController();
    data.value = null;
    failure.value = problem.value = null;
    void (async () => {
      while (!gone.signal.aborted) {
        const pause = await askOnce(gone.signal);
        if (pause === null) return;
        await looked(pause, gone.signal);
      }
    })();
    async function askOnce(signal: AbortSignal): Promise<number | null> {
      try {
        const answer = await asking(signal);
        if (signal.aborted) return null;
        data.value = answer;
        failure.value = problem.value = null;
        return every(answer);
      } catch (error) {
        if (signal.aborted) return null;
        failure.value = messageOf(error);
        problem.value = error instanceof ApiFailure ? error.code : null;
        // Retrying does not help if the resource does not exist or the key may not read it.
        return error instanceof ApiFailure && error.status >= 400 && error.status < 500 && error.status !== 429
          ? null
          : 5_000;
      }
    }
    return () => gone.abort();
  }, [key]);
  return { data, failure, problem };
}

/** Resolves after this many milliseconds, once the page is visible. */
async function looked(ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
  while (document.hidden && !signal.aborted) {
    await new Promise((resolve) => {
      document.addEventListener('visibilitychange', resolve, { once: true });
      signal.addEventListener('abort', resolve, { once: true });
    });
  }
}
