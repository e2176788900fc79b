import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AppendOptions, Client } from '../client/client.ts';
import { ServiceError } from '../client/failure.ts';
import { type RetryPolicy, retrying } from '../client/retry.ts';
import { AntequemError, messageOf } from '../core/errors.ts';
import { counted, note } from './output.ts';

/**
 * Repeats one request about a log until it is answered, and creates the log if it does not exist. All attempts of an
 * append send the same Idempotency-Key, so the service stores it once.
 */
export async function deliver<T>(
  client: Client,
  log: string,
  send: (options: AppendOptions) => Promise<T>,
  policy: RetryPolicy,
  idempotencyKey: string = randomUUID(),
): Promise<T> {
  const options = { idempotencyKey, ...(policy.signal === undefined ? {} : { signal: policy.signal }) };
  return retrying(async () => {
    try {
      return await send(options);
    } catch (error) {
      if (!(error instanceof ServiceError && error.code === 'log-not-found')) throw error;
      await createLog(client, log, policy.signal);
      return send(options);
    }
  }, policy);
}

async function createLog(client: Client, log: string, signal?: AbortSignal): Promise<void> {
  try {
    await client.createLog(log, signal === undefined ? {} : { signal });
  } catch (error) {
    if (!(error instanceof ServiceError && error.status === 403)) throw error;
    throw new AntequemError(
      'log-not-found',
      `there is no log ${log}, and this key may not create one; create it with an admin key: antequem logs create ${log}`,
      { cause: error },
    );
  }
  note(`created the log ${log}`);
}

/**
 * Retries until attempts have failed for `seconds` in a row. Reports an outage when it begins and from time to time.
 * @param clear clears the terminal's line before a report
 */
export function retryPolicy(seconds: number, signal?: AbortSignal, clear: () => void = () => {}): RetryPolicy {
  let told = Number.NEGATIVE_INFINITY;
  return {
    giveUpAfter: seconds * 1000,
    sleep: async (ms, aborted) => {
      await sleep(ms, undefined, aborted === undefined ? {} : { signal: aborted });
    },
    random: Math.random,
    now: Date.now,
    onRetry: (error, waits) => {
      if (Date.now() - told < 10_000) return;
      told = Date.now();
      clear();
      const what = messageOf(error);
      note(`${what}; trying again in ${counted(Math.ceil(waits / 1000), 'second', 'seconds')}`);
    },
    ...(signal === undefined ? {} : { signal }),
  };
}
