import { excerpt } from './bytes.ts';
import { FormatError, parsed } from './errors.ts';

/**
 * How far clocks may differ, milliseconds. Service and database further apart: nothing is appended, and no round is closed.
 * Verifiers grant the same to times that the service stamped.
 */
export const MAX_CLOCK_SKEW_MS = 60_000;

/** The last millisecond that `YYYY-…` can name. */
export const MAX_TIME = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** Milliseconds since the Unix epoch as `YYYY-MM-DDTHH:MM:SS.sssZ`. @throws FormatError `time-range` */
export function formatTime(ms: number): string {
  if (!Number.isSafeInteger(ms) || ms < 0 || ms > MAX_TIME) throw new FormatError('time-range', `not a time: ${ms} ms`);
  return new Date(ms).toISOString();
}

/** Milliseconds of exactly `YYYY-MM-DDTHH:MM:SS.sssZ`. @throws FormatError `time-invalid` */
export function parseTime(text: string): number {
  const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text) ? Date.parse(text) : Number.NaN;
  // A date such as February 30 parses, to another day: only the spelling that comes back is a time.
  if (Number.isNaN(ms) || ms < 0 || new Date(ms).toISOString() !== text) {
    throw new FormatError('time-invalid', `not a time of the form YYYY-MM-DDTHH:MM:SS.sssZ: ${excerpt(text)}`);
  }
  return ms;
}

const RFC_3339 = /^(\d{4}-\d\d-\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/**
 * Milliseconds of a time by RFC 3339, section 5.6: with any offset, with or without a fraction of a second. A finer fraction
 * is rounded down. A leap second counts as the second after it.
 * @param up round a finer fraction up
 * @throws FormatError `time-invalid`
 */
export function parseRfc3339(text: string, up = false): number {
  const [, day = '', hour, minute, second, fraction = '', sign, offsetHour = '0', offsetMinute = '0'] =
    RFC_3339.exec(text) ?? [];
  const midnight = parsed(() => parseTime(`${day}T00:00:00.000Z`));
  const valid =
    midnight !== null &&
    Number(hour) < 24 &&
    Number(minute) < 60 &&
    Number(second) <= 60 &&
    Number(offsetHour) < 24 &&
    Number(offsetMinute) < 60;
  const offset = (sign === '-' ? -1 : 1) * (60 * Number(offsetHour) + Number(offsetMinute));
  const seconds = 60 * (60 * Number(hour) + Number(minute) - offset) + Number(second);
  const finer = up && /[1-9]/.test(fraction.slice(3)) ? 1 : 0;
  const ms = valid ? midnight + 1_000 * seconds + Number(fraction.slice(0, 3).padEnd(3, '0')) + finer : Number.NaN;
  if (Number.isNaN(ms) || ms < 0 || ms > MAX_TIME) {
    throw new FormatError('time-invalid', `not a time such as 2026-01-31T12:00:00Z (RFC 3339): ${excerpt(text)}`);
  }
  return ms;
}

/** Whether `parseTime` takes it. */
export function isTime(text: string): boolean {
  return parsed(() => parseTime(text)) !== null;
}
