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

/** Whether `parseTime` takes it. */
export function isTime(text: string): boolean {
  return parsed(() => parseTime(text)) !== null;
}
