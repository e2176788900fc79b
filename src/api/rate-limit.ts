import type { Response } from 'express';
import type { Decision, Quota } from '../access/quota.ts';
import { Problem } from './problem.ts';

/** The one policy, as the fields name it. */
const NAME = '"requests"';

/**
 * Takes a request off its caller's quota and says so in the answer (draft-ietf-httpapi-ratelimit-headers-10: `q` requests
 * in `w` seconds, `r` left, `t` seconds until there are more).
 * @throws Problem 429 `rate-limited`
 */
export function charge(quota: Quota, owner: string, response: Response | undefined): void | Promise<void> {
  const decision = quota.take(owner);
  return decision instanceof Promise
    ? decision.then((decided) => tell(quota, decided, response))
    : tell(quota, decision, response);
}

function tell({ policy }: Quota, { allowed, remaining, resets }: Decision, response: Response | undefined): void {
  const seconds = Math.max(1, Math.ceil(resets / 1_000));
  response?.setHeader('RateLimit-Policy', `${NAME};q=${policy.requests};w=${policy.seconds}`);
  response?.setHeader('RateLimit', `${NAME};r=${remaining};t=${seconds}`);
  if (allowed) return;
  throw new Problem(
    'rate-limited',
    `this API key may make ${policy.requests} requests in ${policy.seconds} s: try again in ${seconds} s`,
    { 'Retry-After': String(seconds) },
  );
}
