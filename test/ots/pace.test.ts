import { describe, expect, test } from 'vitest';
import { afterFailure, Rests, UNHURRIED } from '../../src/ots/pace.ts';

const CALENDAR = 'https://calendar.example';
const { first, most } = UNHURRIED.retry;

/** One failure at this moment. @returns milliseconds that the calendar rests from then on */
function fail(rests: Rests, now: number, retryAfter: number | null = null): number {
  rests.failed(CALENDAR, 'HTTP 502', { now, retryAfter });
  return (rests.of(CALENDAR, now)?.until ?? now) - now;
}

describe('calendars that fail', () => {
  test('each failure of an awake calendar doubles its rest, up to the longest', () => {
    const rests = new Rests(UNHURRIED);
    const waits: number[] = [];
    for (let now = 0, i = 0; i < 10; i++) {
      waits.push(fail(rests, now));
      now = rests.of(CALENDAR, now)?.until ?? now;
      expect(rests.of(CALENDAR, now)).toBeNull();
    }
    expect(waits).toEqual(waits.map((_, i) => Math.min(first * 2 ** i, most)));
    expect(waits).toEqual(waits.map((_, i) => afterFailure(UNHURRIED, i + 1)));
    expect(waits.at(-1)).toBe(most);
  });

  test('failures of requests that were under way when the rest began do not count', () => {
    const rests = new Rests(UNHURRIED);
    // A thousand rounds had asked before the first failure came.
    for (let now = 0; now < 1_000; now++) expect(fail(rests, now)).toBe(first);
    const awake = rests.of(CALENDAR, 999)?.until ?? 0;
    expect(awake).toBe(999 + first);
    expect(fail(rests, awake)).toBe(2 * first);
    expect(fail(rests, awake + 1)).toBe(2 * first);
  });

  test('the first failure since the last answer is told from those behind it', () => {
    const rests = new Rests(UNHURRIED);
    const told = () => rests.failed(CALENDAR, 'HTTP 502', { now: 0, retryAfter: null });
    expect([told(), told(), rests.answered(CALENDAR), told()]).toEqual([true, false, true, true]);
  });

  test('an answer ends the rest and starts the count again', () => {
    const rests = new Rests(UNHURRIED);
    expect(rests.answered(CALENDAR)).toBe(false);
    expect(fail(rests, 0)).toBe(first);
    expect(fail(rests, first)).toBe(2 * first);
    expect(rests.answered(CALENDAR)).toBe(true);
    expect(rests.of(CALENDAR, first)).toBeNull();
    expect(fail(rests, first)).toBe(first);
  });

  test('a calendar that asks for more time gets it, and rests alone', () => {
    const rests = new Rests(UNHURRIED);
    expect(fail(rests, 0, 60_000)).toBe(60_000);
    expect(rests.of('https://other.example', 1)).toBeNull();
    expect(rests.of(CALENDAR, 1)?.problem).toBe('HTTP 502');
  });

  test('a rest of an hour and a minute is the longest: a longer one comes from a clock that was ahead', () => {
    const rests = new Rests(UNHURRIED);
    expect(fail(rests, 0, 3_660_000)).toBe(3_660_000);
    rests.answered(CALENDAR);
    expect(fail(rests, 0, 3_660_001)).toBe(0);
  });
});
