// The events of webhooks, as they are stored and as receivers get them.

import { z } from 'zod';
import { ANCHOR_TYPES } from '../core/receipt-schema.ts';
import { formatTime } from '../core/time.ts';

/** A number of milliseconds in the database, text in messages. */
const time = z.int().nonnegative().transform(formatTime);
const anchor = z.object({
  type: z.enum(ANCHOR_TYPES),
  round: z.int().positive(),
  root: z.string(),
  target: z.string(),
  /** CAIP-2. */
  chain: z.string(),
  /** Null: this type of anchor has no contract or transaction of the service. */
  contract: z.string().nullable(),
  transaction: z.string().nullable(),
  block: z.object({ number: z.int().nonnegative(), hash: z.string(), time }),
});

const stamped = z.object({
  type: z.literal(ANCHOR_TYPES.rfc3161),
  round: z.int().positive(),
  root: z.string(),
  target: z.string(),
  authority: z.string(),
  time,
  /** Milliseconds; null: the authority does not say. */
  accuracy: z.int().nonnegative().nullable(),
});

/** The `data` of an event, by type. */
const DATA = {
  'round.closed': z.object({
    number: z.int().positive(),
    closedAt: time,
    root: z.string(),
    previousRoot: z.string(),
    /** Number of leaves, including the link. */
    size: z.int().positive(),
  }),
  'anchor.included': anchor,
  'anchor.finalized': anchor,
  'anchor.reorganised': anchor,
  'anchor.stamped': stamped,
  'anchor.stopped': z.object({ target: z.string(), chain: z.string(), code: z.string(), reason: z.string() }),
} as const;

export type EventType = keyof typeof DATA;

export const EVENT_TYPES = [
  'round.closed',
  'anchor.included',
  'anchor.finalized',
  'anchor.reorganised',
  'anchor.stamped',
  'anchor.stopped',
] as const satisfies readonly EventType[];

/** The states of a delivery. */
export const DELIVERY_STATUSES = ['pending', 'delivered', 'dead'] as const;
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

export function isEventType(text: string): text is EventType {
  return Object.hasOwn(DATA, text);
}

/** A stored event. */
export interface StoredEvent {
  /** UUID. */
  readonly message: string;
  readonly type: string;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  readonly data: unknown;
}

/** The id of an event for receivers: the same at every attempt and in every replay. */
export function messageId({ message }: Pick<StoredEvent, 'message'>): string {
  return `msg_${message.replaceAll('-', '')}`;
}

/** What a round took in of a log: the entries with `from` ≤ index < `size`. */
export interface GrownLog {
  /** The log's name. */
  readonly log: string;
  readonly from: number;
  readonly size: number;
}

/** The logs that a round took in: all of them, or the first so many. */
export interface GrownLogs {
  readonly logs: readonly GrownLog[];
  readonly moreLogs: boolean;
}

const ofRound = z.union([
  z.object({ round: z.int().positive() }).transform(({ round }) => round),
  z.object({ number: z.int().positive() }).transform(({ number }) => number),
]);

/** The number of the round that an event tells of; null if it tells of none. */
export function roundOfEvent({ data }: Pick<StoredEvent, 'data'>): number | null {
  return ofRound.safeParse(data).data ?? null;
}

/**
 * The body that is signed and sent: type, timestamp and data (Standard Webhooks, "Payload structure"). The same event
 * always gives the same text, because a round never changes.
 * @param grown of the event's round; null for an event that tells of none
 */
export function eventBody({ type, at, data }: StoredEvent, grown: GrownLogs | null): string {
  const facts = isEventType(type) ? DATA[type].parse(data) : data;
  const told = typeof facts === 'object' && grown !== null ? { ...facts, ...grown } : facts;
  return JSON.stringify({ type, timestamp: formatTime(at), data: told });
}
