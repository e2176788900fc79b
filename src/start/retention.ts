// Looks for entries that are older than their log keeps them, at times of its own.

import type { Logger } from 'pino';
import { AntequemError } from '../core/errors.ts';
import { lookForDue, type RetentionParts } from '../log/retention-run.ts';

/** Milliseconds after a start until the first look: what else there is to do comes first. */
const FIRST_LOOK_MS = 10_000;

export interface RetentionWork extends Omit<RetentionParts, 'stopping'> {
  readonly logger: Logger;
}

/** Returns how to stop that: the step under way is finished. */
export function startRetention({ logger, ...parts }: RetentionWork): () => Promise<void> {
  const stopping = new AbortController();
  let working: Promise<void> | null = null;
  const work = async (): Promise<void> => {
    try {
      await parts.holds.mirror();
      const { run, erased, problem } = await lookForDue({ ...parts, stopping: stopping.signal });
      if (run !== null || erased > 0) logger.info({ run, erased }, 'retention erased entries');
      if (problem !== null) logger.warn(problem);
    } catch (error) {
      if (error instanceof AntequemError) logger.warn({ code: error.code }, error.message);
      else logger.error({ err: error }, 'retention erased nothing; this is tried again');
    }
  };
  const look = (): void => {
    working ??= work().finally(() => {
      working = null;
    });
  };
  const first = setTimeout(look, Math.min(FIRST_LOOK_MS, parts.interval)).unref();
  const timer = setInterval(look, parts.interval).unref();
  return async () => {
    clearTimeout(first);
    clearInterval(timer);
    stopping.abort();
    await working;
  };
}
