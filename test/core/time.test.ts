import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatTime, MAX_TIME, parseTime } from '../../src/core/time.ts';

const code = (value: string): unknown => expect.objectContaining({ name: 'FormatError', code: value });

test('every millisecond from 1970 to 9999 comes back', () =>
  fc.assert(
    fc.property(fc.integer({ min: 0, max: MAX_TIME }), (ms) => {
      const text = formatTime(ms);
      expect(text).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      expect(parseTime(text)).toBe(ms);
    }),
    { numRuns: 1_000 },
  ));

test('the ends', () => {
  expect(formatTime(0)).toBe('1970-01-01T00:00:00.000Z');
  expect(formatTime(MAX_TIME)).toBe('9999-12-31T23:59:59.999Z');
  expect(parseTime('2024-02-29T00:00:00.000Z')).toBe(Date.UTC(2024, 1, 29));
});

test.each([-1, MAX_TIME + 1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])('%d is not formatted', (ms) => {
  expect(() => formatTime(ms)).toThrow(code('time-range'));
});

test.each([
  '',
  '2026-02-30T00:00:00.000Z',
  '2025-02-29T00:00:00.000Z',
  '2026-13-01T00:00:00.000Z',
  '2026-00-01T00:00:00.000Z',
  '2026-01-01T24:00:00.000Z',
  '2026-01-01T23:59:60.000Z',
  '2026-01-01T00:60:00.000Z',
  '1969-12-31T23:59:59.999Z',
  '2026-01-01T00:00:00Z',
  '2026-01-01T00:00:00.00Z',
  '2026-01-01T00:00:00.0000Z',
  '2026-01-01T00:00:00.000z',
  '2026-01-01t00:00:00.000Z',
  '2026-01-01 00:00:00.000Z',
  '2026-01-01T00:00:00.000+00:00',
  '+012026-01-01T00:00:00.000Z',
  ' 2026-01-01T00:00:00.000Z',
  '2026-01-01T00:00:00.000Z\n',
  '２026-01-01T00:00:00.000Z',
])('%j is not a time', (text) => {
  expect(() => parseTime(text)).toThrow(code('time-invalid'));
});
