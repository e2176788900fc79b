// Delivers the pending events of one webhook. A process claims an attempt in the database before it makes it, so that two
// processes do not make the same one. If the process is killed, the claim expires and the attempt is repeated: events are
// delivered at least once.

import type { Logger } from 'pino';
import { AntequemError } from '../core/errors.ts';
import type { Database } from '../store/database.ts';
import { parseDestination } from './destination.ts';
import { eventBody, messageId, roundOfEvent, type StoredEvent } from './event.ts';
import { grownLogs } from './grown-logs.ts';
import { type Attempted, giveUpOld, recordAttempts } from './outcome.ts';
import { post } from './post.ts';
import { signedHeaders } from './signature.ts';

export interface DelivererOptions {
  readonly database: Database;
  /** The secrets of the webhook with this id; several during a rotation. */
  readonly secret: (webhook: string) => Uint8Array | readonly Uint8Array[];
  readonly allowPrivate: boolean;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly logger: Logger;
  /** Milliseconds until an attempt times out. Default 15,000. */
  readonly patience?: number;
}

/** Concurrent attempts for one webhook. */
const AT_ONCE = 4;
const PATIENCE = 15_000;

interface Claim extends StoredEvent {
  readonly event: number;
  readonly attempts: number;
  readonly since: number;
  readonly url: string;
}

export class Deliverer {
  readonly #options: DelivererOptions;

  constructor(options: DelivererOptions) {
    this.#options = options;
  }

  /**
   * Makes the attempts that are due for a webhook, a few at a time. Throws errors of the database.
   * @returns whether more are due now
   */
  async advance(webhook: string, signal: AbortSignal): Promise<boolean> {
    const { database, now, random, logger } = this.#options;
    await giveUpOld(database, webhook, now());
    const claims = await this.#claim(webhook);
    if (claims.length === 0) return false;
    const attempted = await Promise.all(claims.map((claim) => this.#attempt(webhook, claim, signal)));
    const { reached, gone, dead } = await recordAttempts(database, webhook, attempted, { now: now(), random });
    if (gone) logger.warn({ webhook }, 'the receiver of a webhook answered 410 (gone): the webhook is disabled');
    if (dead > 0)
      logger.warn({ webhook, dead }, 'deliveries of a webhook were given up: see antequem webhooks deliveries');
    return reached && !gone && !signal.aborted && claims.length === AT_ONCE;
  }

  async #claim(webhook: string): Promise<Claim[]> {
    const { database, now, patience = PATIENCE } = this.#options;
    const { rows } = await database.query<Claim>(
      `WITH due AS (
         SELECT d.event, w.url FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook
         WHERE d.webhook = $1 AND d.status = 'pending' AND d.due_at <= $2
           AND w.disabled_at IS NULL AND w.paused_until <= $2
         ORDER BY d.due_at, d.event LIMIT ${AT_ONCE} FOR UPDATE OF d SKIP LOCKED)
       UPDATE webhook_deliveries d SET attempts = attempts + 1, due_at = $3, updated_at = $2
       FROM due JOIN webhook_events e ON e.id = due.event WHERE d.webhook = $1 AND d.event = due.event
       RETURNING d.event, d.attempts, d.since, due.url, e.message, e.type, e.at, e.data`,
      // A claim lasts twice as long as an attempt may.
      [webhook, now(), now() + 2 * patience],
    );
    return rows;
  }

  async #bodyOf(event: StoredEvent): Promise<string> {
    const round = roundOfEvent(event);
    return eventBody(event, round === null ? null : await grownLogs(this.#options.database, round));
  }

  async #attempt(webhook: string, claim: Claim, signal: AbortSignal): Promise<Attempted> {
    const { secret, allowPrivate, now, patience = PATIENCE } = this.#options;
    const { event, attempts, since } = claim;
    try {
      // Checked again: private addresses may have been allowed when the webhook was created.
      const url = parseDestination(claim.url, allowPrivate);
      const message = { id: messageId(claim), at: now(), body: await this.#bodyOf(claim) };
      const headers = signedHeaders(secret(webhook), message);
      const reply = await post(url, headers, message.body, { allowPrivate, patience, signal });
      return { event, attempts, since, reply };
    } catch (error) {
      if (signal.aborted) return { event, attempts, since, interrupted: true };
      if (error instanceof AntequemError) return { event, attempts, since, problem: error.message };
      throw error;
    }
  }
}
