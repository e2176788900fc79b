import { type Signal, useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { messageOf } from '../../core/errors.ts';
import { ApiFailure } from './api.ts';

export interface Polled<T> {
  /** The last that came; null before. */
  readonly data: Signal<T | null>;
  /** Why the last asking came to nothing. */
  readonly failure: Signal<string | null>;
}

/**
 * Asks again and again while the page is looked at.
 * @param key what is asked for: with another it begins anew
 * @param every milliseconds between answer and next question; null: no more
 */
export function usePolled<T>(
  key: string,
  asking: (signal: AbortSignal) => Promise<T>,
  every: (data: T) => number | null,
): Polled<T> {
  const data = useSignal<T | null>(null);
  const failure = useSignal<string | null>(null);
  useEffect(() => {
    const gone = new AbortController();
    data.value = null;
    failure.value = null;
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
        failure.value = null;
        return every(answer);
      } catch (error) {
        if (signal.aborted) return null;
        failure.value = messageOf(error);
        // What is not there or not ours will be neither in a moment.
        return error instanceof ApiFailure && error.status >= 400 && error.status < 500 && error.status !== 429
          ? null
          : 5_000;
      }
    }
    return () => gone.abort();
  }, [key]);
  return { data, failure };
}

/** After so many milliseconds, and not before somebody looks. */
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
