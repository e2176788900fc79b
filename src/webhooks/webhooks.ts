// Creates, lists, deletes and replays webhooks.

import { AntequemError, FormatError } from '../core/errors.ts';
import type { Database } from '../store/database.ts';
import { transaction } from '../store/database.ts';
import { takeLock } from '../store/service-name.ts';
import { parseDestination } from './destination.ts';
import { type DeliveryStatus, EVENT_TYPES, type EventType, isEventType, messageId } from './event.ts';

/** Workers reserve a slot for each webhook, so that no webhook waits for another. */
export const MAX_WEBHOOKS = 100;

const DESCRIPTION = /^[^\p{Cc}\p{Cs}]{0,200}$/u;
const ID = /^wh_[0-9a-f]{16}$/;

export interface Webhook {
  readonly id: string;
  readonly url: string;
  readonly description: string;
  readonly events: readonly EventType[];
  /** Milliseconds since the Unix epoch, like every time here. */
  readonly createdAt: number;
  /** When the receiver answered 410 (gone): no events are stored or sent until a replay. */
  readonly disabledAt: number | null;
  /** Until when deliveries are paused because the receiver was unreachable; null if they are not paused. */
  readonly pausedUntil: number | null;
  readonly deliveries: Readonly<Record<DeliveryStatus, number>>;
  /** The problem of the newest undelivered event that had a failed attempt. */
  readonly problem: string | null;
}

export interface Delivery {
  /** Position among all events, the cursor for the next page. */
  readonly event: number;
  /** The id for the receiver (`webhook-id`). */
  readonly id: string;
  readonly type: string;
  /** When it happened. */
  readonly at: number;
  readonly status: DeliveryStatus;
  readonly attempts: number;
  /** Time of the next attempt; null if there is none. */
  readonly dueAt: number | null;
  /** HTTP status of the last answer. */
  readonly answered: number | null;
  readonly problem: string | null;
  readonly updatedAt: number;
}

/** Which deliveries to repeat: one, all events since a time, or all that were given up. */
export type Selection = { readonly id: string } | { readonly since: number } | { readonly dead: true };

export interface WebhooksOptions {
  readonly database: Database;
  readonly now: () => number;
  readonly random: (length: number) => Uint8Array;
  readonly allowPrivate: boolean;
}

interface WebhookRow {
  id: string;
  url: string;
  description: string;
  events: string[];
  created_at: number;
  disabled_at: number | null;
  paused_until: number;
  pending: number;
  delivered: number;
  dead: number;
  problem: string | null;
}

export class Webhooks {
  readonly #options: WebhooksOptions;

  constructor(options: WebhooksOptions) {
    this.#options = options;
  }

  /** @throws FormatError `webhook-url-invalid`, `webhook-invalid`; AntequemError `webhooks-full` */
  async create(wanted: { url: string; events?: readonly string[]; description?: string }): Promise<Webhook> {
    const { database, now, random, allowPrivate } = this.#options;
    const { description = '' } = wanted;
    const url = parseDestination(wanted.url, allowPrivate).href;
    const events = [...new Set(wanted.events ?? EVENT_TYPES)].filter(known);
    if (events.length === 0 || !DESCRIPTION.test(description)) {
      throw new FormatError(
        'webhook-invalid',
        'a webhook needs events, and a description, if any, of at most 200 characters without control characters',
      );
    }
    const id = `wh_${Buffer.from(random(8)).toString('hex')}`;
    await transaction(database, async (tx) => {
      await takeLock(tx, 'webhooks');
      const { rowCount } = await tx.query(
        `INSERT INTO webhooks (id, url, description, events, created_at) SELECT $1, $2, $3, $4, $5
         WHERE (SELECT count(*) FROM webhooks) < ${MAX_WEBHOOKS}`,
        [id, url, description, events, now()],
      );
      if (rowCount === 0) {
        throw new AntequemError('webhooks-full', `there are ${MAX_WEBHOOKS} webhooks already: delete one first`);
      }
    });
    return this.read(id);
  }

  /** All, oldest first. */
  async list(): Promise<Webhook[]> {
    return this.#select('', []);
  }

  /** @throws AntequemError `webhook-not-found` */
  async read(id: string): Promise<Webhook> {
    const [webhook] = await this.#select('WHERE w.id = $1', [checkId(id)]);
    if (webhook === undefined) throw notFound(id);
    return webhook;
  }

  /** Also deletes its pending deliveries. @throws AntequemError `webhook-not-found` */
  async delete(id: string): Promise<void> {
    const { rowCount } = await this.#options.database.query('DELETE FROM webhooks WHERE id = $1', [checkId(id)]);
    if (rowCount === 0) throw notFound(id);
  }

  /** Newest first, those below `before`. @throws AntequemError `webhook-not-found` */
  async deliveries(
    id: string,
    {
      status,
      before,
      limit,
    }: { readonly status: DeliveryStatus | null; readonly before: number; readonly limit: number },
  ): Promise<Delivery[]> {
    await this.#demand(id);
    const { rows } = await this.#options.database.query<{
      event: number;
      message: string;
      type: string;
      at: number;
      status: DeliveryStatus;
      attempts: number;
      due_at: number;
      answered: number | null;
      problem: string | null;
      updated_at: number;
    }>(
      `SELECT d.event, e.message, e.type, e.at, d.status, d.attempts, d.due_at, d.answered, d.problem, d.updated_at
       FROM webhook_deliveries d JOIN webhook_events e ON e.id = d.event
       WHERE d.webhook = $1 AND d.event < $2 AND ($3::text IS NULL OR d.status = $3) ORDER BY d.event DESC LIMIT $4`,
      [id, before, status, limit],
    );
    return rows.map(({ message, due_at, updated_at, ...row }) => ({
      ...row,
      id: messageId({ message }),
      dueAt: row.status === 'pending' ? due_at : null,
      updatedAt: updated_at,
    }));
  }

  /**
   * Repeats deliveries from the start of their schedule, except those in progress, and enables a disabled or paused
   * webhook. @returns how many
   * @throws AntequemError `webhook-not-found`
   */
  async replay(id: string, selection: Selection): Promise<number> {
    const { database, now } = this.#options;
    return transaction(database, async (tx) => {
      const { rowCount: found } = await tx.query(
        'UPDATE webhooks SET disabled_at = NULL, failures = 0, paused_until = 0 WHERE id = $1',
        [checkId(id)],
      );
      if (found === 0) throw notFound(id);
      const { rowCount } = await tx.query(
        `UPDATE webhook_deliveries d SET status = 'pending', attempts = 0, since = $2, due_at = $2, updated_at = $2,
                answered = NULL, problem = NULL
         FROM webhook_events e WHERE d.webhook = $1 AND e.id = d.event AND d.status <> 'pending'
           AND CASE WHEN $3::text IS NOT NULL THEN replace(e.message::text, '-', '') = $3
                    WHEN $4::bigint IS NOT NULL THEN e.at >= $4 ELSE d.status = 'dead' END`,
        [
          id,
          now(),
          'id' in selection ? selection.id.replace(/^msg_/, '') : null,
          'since' in selection ? selection.since : null,
        ],
      );
      await tx.query('SELECT notify_service()');
      return rowCount ?? 0;
    });
  }

  async #demand(id: string): Promise<void> {
    const { rowCount } = await this.#options.database.query('SELECT 1 FROM webhooks WHERE id = $1', [checkId(id)]);
    if (rowCount === 0) throw notFound(id);
  }

  async #select(where: string, values: readonly string[]): Promise<Webhook[]> {
    const { rows } = await this.#options.database.query<WebhookRow>(
      `SELECT w.id, w.url, w.description, w.events, w.created_at, w.disabled_at, w.paused_until, c.*, p.problem
       FROM webhooks w
       CROSS JOIN LATERAL (
         SELECT count(*) FILTER (WHERE status = 'pending') AS pending,
                count(*) FILTER (WHERE status = 'delivered') AS delivered,
                count(*) FILTER (WHERE status = 'dead') AS dead
         FROM webhook_deliveries WHERE webhook = w.id) c
       LEFT JOIN LATERAL (
         SELECT problem FROM webhook_deliveries WHERE webhook = w.id AND status <> 'delivered' AND problem IS NOT NULL
         ORDER BY updated_at DESC LIMIT 1) p ON true
       ${where} ORDER BY w.created_at, w.id`,
      [...values],
    );
    const now = this.#options.now();
    return rows.map((row) => ({
      id: row.id,
      url: row.url,
      description: row.description,
      events: row.events.filter(isEventType),
      createdAt: row.created_at,
      disabledAt: row.disabled_at,
      pausedUntil: row.paused_until > now ? row.paused_until : null,
      deliveries: { pending: row.pending, delivered: row.delivered, dead: row.dead },
      problem: row.problem,
    }));
  }
}

/** @throws FormatError `webhook-invalid` */
function known(type: string): type is EventType {
  if (isEventType(type)) return true;
  throw new FormatError(
    'webhook-invalid',
    `unknown event ${JSON.stringify(type.slice(0, 40))}: the events are ${EVENT_TYPES.join(', ')}`,
  );
}

/** Text that is not an id cannot be in the database. @throws AntequemError `webhook-not-found` */
function checkId(id: string): string {
  if (!ID.test(id)) throw notFound(id);
  return id;
}

function notFound(id: string): AntequemError {
  return new AntequemError(
    'webhook-not-found',
    `there is no webhook ${ID.test(id) ? id : JSON.stringify(id.slice(0, 40))}`,
  );
}
