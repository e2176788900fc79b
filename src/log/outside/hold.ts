// A legal hold: entries of a log, by when they were received, that nothing erases while it is there.

import * as z from 'zod/mini';
import { sha256 } from '#sha256';
import { toHex, utf8 } from '../../core/bytes.ts';
import { AntequemError } from '../../core/errors.ts';
import { parseJson } from '../../core/json.ts';
import { formatTime, isTime, parseTime } from '../../core/time.ts';

export const HOLD_ID = /^hold_[0-9a-f]{32}$/;
export const MAX_REASON_LENGTH = 500;

/** Times are milliseconds since the Unix epoch. */
export interface Hold {
  readonly id: string;
  /** The origin of the log. */
  readonly log: string;
  /** Entries received from then on; null: from the first. */
  readonly since: number | null;
  /** Entries received before then; null: all that come, too. */
  readonly until: number | null;
  readonly reason: string;
  readonly addedAt: number;
}

/**
 * Where holds are kept beside the database, in a place that is not restored with it.
 *
 * Every method throws AntequemError `guard-unavailable` where the store does not answer or a hold in it cannot be read.
 */
export interface HoldStore {
  /** Where it is, for people; without secrets. */
  readonly name: string;
  all(): Promise<Hold[]>;
  /** Durable as the store is. Adding again changes nothing. */
  put(hold: Hold): Promise<void>;
  /** Removing again changes nothing. */
  remove(id: string): Promise<void>;
  close(): Promise<void>;
}

const time = z.nullable(z.string().check(z.refine(isTime)));
const form = z.object({
  id: z.string().check(z.regex(HOLD_ID)),
  log: z.string(),
  since: time,
  until: time,
  reason: z.string(),
  addedAt: z.string().check(z.refine(isTime)),
});

/** A hold as it is kept: a check, a space and JSON. */
export function holdText({ id, log, since, until, reason, addedAt }: Hold): string {
  const optional = (ms: number | null): string | null => (ms === null ? null : formatTime(ms));
  const json = JSON.stringify({
    id,
    log,
    since: optional(since),
    until: optional(until),
    reason,
    addedAt: formatTime(addedAt),
  });
  return `${checkOf(json)} ${json}`;
}

/** @throws AntequemError `guard-unavailable` where the text was altered: a hold that cannot be read must not be passed over */
export function parseHold(text: string, place: string): Hold {
  const [check = ''] = text.split(' ', 1);
  const json = text.slice(check.length + 1).trimEnd();
  const read = form.safeParse(check === checkOf(json) ? parseJson(utf8(json)) : null);
  if (!read.success) {
    const says = `the hold in ${place} cannot be read, so nothing is erased: restore it, or remove it and add the hold again`;
    throw new AntequemError('guard-unavailable', says);
  }
  const optional = (text: string | null): number | null => (text === null ? null : parseTime(text));
  const { since, until, addedAt, ...rest } = read.data;
  return { ...rest, since: optional(since), until: optional(until), addedAt: parseTime(addedAt) };
}

function checkOf(json: string): string {
  return toHex(sha256(utf8(json)).subarray(0, 6));
}
