// Wakes a worker for each webhook with deliveries that are due.

import type { Logger } from 'pino';
import { z } from 'zod';
import type { Queue } from '../queue/queue.ts';
import type { Again } from '../queue/wakeup.ts';
import type { Database } from '../store/database.ts';
import type { Notifications } from '../store/notifications.ts';
import { Deliverer, type DelivererOptions } from './deliverer.ts';
import { LONGEST_DELAY_MS, LONGEST_PAUSE_MS } from './outcome.ts';
import { MAX_WEBHOOKS } from './webhooks.ts';

export const WEBHOOKS_LANE = 'webhooks';

export interface WebhookWorkerOptions extends DelivererOptions {
  readonly queue: Queue;
  /** Reports that deliveries may be due. */
  readonly notifications: Notifications;
}

export interface WebhookWorker {
  /** Aborts attempts in progress; they are repeated later. The queue stays open. */
  stop(): Promise<void>;
}

const task = z.strictObject({ webhook: z.string() });
/** Milliseconds of work on one webhook before the others of its lane get their turn. */
const STRETCH = 20_000;
/** Milliseconds between checks. A delivery that is due sooner is waited for; a later check finds the others. */
const SOON = 2_000;
const HOUR = 3_600_000;
/** Milliseconds between checks for deliveries that a wrong clock delayed. */
const RECALL_MS = 60_000;
const TOLERANCE_MS = 60_000;
/** Milliseconds that events are kept after their last delivery has ended. */
const KEPT = 30 * 24 * HOUR;

export function startWebhooks(options: WebhookWorkerOptions): WebhookWorker {
  const { database, queue, notifications, now, logger } = options;
  const deliverer = new Deliverer(options);
  const stopping = new AbortController();
  const { signal } = stopping;
  const lane = queue.work(
    WEBHOOKS_LANE,
    (data) => deliver(task.parse(data).webhook),
    // One slot for each webhook, so that a slow receiver delays no other.
    { concurrency: MAX_WEBHOOKS },
  );
  const deliver = async (webhook: string): Promise<Again> => {
    const begin = now();
    while (await deliverer.advance(webhook, signal)) {
      if (now() - begin > STRETCH) return { again: 0 };
    }
    const due = signal.aborted ? null : await nextDue(database, webhook);
    const wait = due === null ? Number.POSITIVE_INFINITY : due - now();
    return wait > SOON ? undefined : { again: Math.max(wait, 50) };
  };
  const look = async (): Promise<void> => {
    const { rows } = await database.query<{ id: string }>(
      `SELECT id FROM webhooks w WHERE disabled_at IS NULL AND paused_until <= $1 AND EXISTS (
         SELECT FROM webhook_deliveries WHERE webhook = w.id AND status = 'pending' AND due_at <= $1)`,
      [now() + SOON],
    );
    await queue.wake(rows.map(({ id }) => ({ lane: WEBHOOKS_LANE, id: id.replace('_', '-'), data: { webhook: id } })));
  };
  const recall = (): void => {
    recallDeliveries(database, now()).catch((error: unknown) =>
      logger.warn({ err: error }, 'the check for due webhook deliveries failed'),
    );
  };
  recall();
  const recalling = setInterval(recall, RECALL_MS).unref();
  const following = follow({ look, notifications, signal, logger });
  const purging = setInterval(() => {
    purgeEvents(database, now()).catch((error: unknown) =>
      logger.warn({ err: error }, 'old webhook events could not be deleted'),
    );
  }, HOUR).unref();
  return {
    stop: async () => {
      clearInterval(purging);
      clearInterval(recalling);
      stopping.abort();
      await following;
      await lane.close();
    },
  };
}

/** Checks after each notification and from time to time. */
async function follow({
  look,
  notifications,
  signal,
  logger,
}: {
  readonly look: () => Promise<void>;
  readonly notifications: Notifications;
  readonly signal: AbortSignal;
  readonly logger: Logger;
}): Promise<void> {
  while (!signal.aborted) {
    try {
      await look();
    } catch (error) {
      logger.warn({ err: error }, 'the next due delivery of a webhook could not be looked up; trying again');
    }
    await notifications.next(SOON, signal);
  }
}

/** When the next delivery of a webhook is due; null if there is none or the webhook is disabled. */
async function nextDue(database: Database, webhook: string): Promise<number | null> {
  const { rows } = await database.query<{ due: number | null }>(
    `SELECT greatest(w.paused_until, min(d.due_at)) AS due FROM webhooks w JOIN webhook_deliveries d ON d.webhook = w.id
     WHERE w.id = $1 AND w.disabled_at IS NULL AND d.status = 'pending' GROUP BY w.id`,
    [webhook],
  );
  return rows[0]?.due ?? null;
}

/** A delay above the maximum comes from a clock that was ahead, so such deliveries are made due now. */
export async function recallDeliveries(database: Database, now: number): Promise<void> {
  await database.query('UPDATE webhook_deliveries SET due_at = $1 WHERE due_at > $2 AND status = $3', [
    now,
    now + LONGEST_DELAY_MS + TOLERANCE_MS,
    'pending',
  ]);
  await database.query('UPDATE webhooks SET paused_until = 0 WHERE paused_until > $1', [
    now + LONGEST_PAUSE_MS + TOLERANCE_MS,
  ]);
}

/** Deletes events without pending deliveries. */
export async function purgeEvents(database: Database, now: number): Promise<void> {
  await database.query(
    `DELETE FROM webhook_events e WHERE stored_at < $1
     AND NOT EXISTS (SELECT FROM webhook_deliveries WHERE event = e.id AND status = 'pending')`,
    [now - KEPT],
  );
}
