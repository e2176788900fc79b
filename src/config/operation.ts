// How the service behaves towards those who use and watch it.

import { z } from 'zod';
import { duration } from './settings.ts';

/** So many requests of one API key in so many whole seconds. */
export interface RateLimit {
  readonly requests: number;
  readonly seconds: number;
}

export interface OperationConfig {
  /** Null: no limit. */
  readonly rateLimit: RateLimit | null;
  /** A file with the token that opens /metrics; null: an API key with the scope admin does alone. */
  readonly metricsTokenFile: string | null;
  /** Milliseconds between being told to stop and taking no more connections. */
  readonly drainDelay: number;
  /** Whether webhooks may go to private addresses. */
  readonly webhookAllowPrivate: boolean;
}

const RATE = 'not a rate: write 6000/1m, 100/1s, or off';

/** A limit such as `6000/1m`. */
const rate = z.string().transform((text, context): RateLimit | null => {
  if (text === 'off') return null;
  const [, requests = '', window = ''] = /^([1-9]\d{0,8})\/(\w{1,12})$/.exec(text) ?? [];
  const ms = duration.safeParse(window);
  if (ms.success && ms.data % 1_000 === 0) return { requests: Number(requests), seconds: ms.data / 1_000 };
  context.addIssue({ code: 'custom', message: RATE });
  return z.NEVER;
});

/** A duration, or none: `0s`. */
const pause = z.union([z.literal('0s').transform(() => 0), duration], 'not a duration: write 0s, 500ms or 10s');

/** The variables of the environment. */
export const operationVariables = {
  RATE_LIMIT: rate
    .default(null)
    .describe('How many requests one API key may make in a time. All processes count together if there is a Redis.'),
  METRICS_TOKEN_FILE: z
    .string()
    .min(1)
    .optional()
    .describe('A file with the token for `/metrics`. Without it an API key with the scope `admin` is needed.'),
  DRAIN_DELAY: pause
    .default(0)
    .describe(
      'When told to stop, `/readyz` answers 503 for this long before connections are refused. Set it to the time that the load balancer needs to notice.',
    ),
  WEBHOOK_ALLOW_PRIVATE: z
    .enum(['true', 'false'], 'not true or false')
    .default('false')
    .describe('Whether webhooks may go to loopback, private and link-local addresses, and by plain HTTP.'),
};

type Variables = z.output<z.ZodObject<typeof operationVariables>>;

export function operationOf(data: Variables): OperationConfig {
  return {
    rateLimit: data.RATE_LIMIT,
    metricsTokenFile: data.METRICS_TOKEN_FILE ?? null,
    drainDelay: data.DRAIN_DELAY,
    webhookAllowPrivate: data.WEBHOOK_ALLOW_PRIVATE === 'true',
  };
}
