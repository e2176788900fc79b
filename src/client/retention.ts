// What the service answers about retention and legal holds. docs/retention.md.

import { field, type Reader, size, texts } from './answers.ts';

/** `GET /v1/logs/{log}/retention`. Times are RFC 3339 with milliseconds. */
export interface LogRetention {
  /** The origin of the log. */
  readonly log: string;
  /** How long entries are kept, such as `400d`; null: for ever. */
  readonly period: string | null;
  readonly setAt: string | null;
  /** Entries that retention has erased. */
  readonly erased: number;
  /** Entries that `_system` names as erased and that are erased next. */
  readonly open: number;
  /** When the oldest entry was due that is neither erased nor held; null: none is. */
  readonly dueSince: string | null;
  /** Since when nothing is erased until the holds are confirmed; null: they are. */
  readonly unconfirmedSince: string | null;
}

/** Which entries a hold keeps, by when they were received. Times are RFC 3339, with any offset. */
export interface NewHold {
  /** From then on; without: from the first. */
  readonly from?: string | undefined;
  /** Before then; without: all that come, too. */
  readonly to?: string | undefined;
  /** One line, at most 500 characters. Readers of the log see it. */
  readonly reason: string;
}

/** A legal hold: nothing erases the entries under it. */
export interface LegalHold {
  readonly id: string;
  /** The origin of the log. */
  readonly log: string;
  readonly from: string | null;
  readonly to: string | null;
  readonly reason: string;
  readonly addedAt: string;
  /** False: the database was set back and has lost it. It counts all the same. */
  readonly inDatabase: boolean;
  /** Whether it is kept beside the database, too; null: nowhere is configured. */
  readonly inStore: boolean | null;
}

/** `GET /v1/holds` and `GET /v1/logs/{log}/holds`. */
export interface LegalHolds {
  /** The oldest first. */
  readonly holds: readonly LegalHold[];
  /** Since when nothing is erased until the holds are confirmed; null: they are. */
  readonly unconfirmedSince: string | null;
}

export const readLogRetention: Reader<LogRetention> = (json) => {
  const [log] = texts(json, 'log');
  const [period, setAt, dueSince, unconfirmedSince] = optional(json, 'period', 'setAt', 'dueSince', 'unconfirmedSince');
  const [erased, open] = [size(json, 'erased'), size(json, 'open')];
  if (log === undefined || erased === undefined || open === undefined) return null;
  if (period === undefined || setAt === undefined || dueSince === undefined || unconfirmedSince === undefined) {
    return null;
  }
  return { log, period, setAt, erased, open, dueSince, unconfirmedSince };
};

export const readLegalHold: Reader<LegalHold> = (json) => {
  const [id, log, reason, addedAt] = texts(json, 'id', 'log', 'reason', 'addedAt');
  const [from, to] = optional(json, 'from', 'to');
  const [inDatabase, inStore] = [field(json, 'inDatabase'), field(json, 'inStore')];
  if (id === undefined || log === undefined || reason === undefined || addedAt === undefined) return null;
  if (from === undefined || to === undefined || typeof inDatabase !== 'boolean') return null;
  if (inStore !== null && typeof inStore !== 'boolean') return null;
  return { id, log, from, to, reason, addedAt, inDatabase, inStore };
};

export const readLegalHolds: Reader<LegalHolds> = (json) => {
  const list = field(json, 'holds');
  const [unconfirmedSince] = optional(json, 'unconfirmedSince');
  if (!Array.isArray(list) || unconfirmedSince === undefined) return null;
  const holds = list.flatMap((each: unknown) => readLegalHold(each) ?? []);
  return holds.length === list.length ? { holds, unconfirmedSince } : null;
};

/** The strings and nulls among these fields, undefined in place of the others. */
function optional(json: unknown, ...names: readonly string[]): (string | null | undefined)[] {
  return names.map((name) => (field(json, name) === null ? null : texts(json, name)[0]));
}
