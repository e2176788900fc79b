import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatTime, MAX_TIME, parseRfc3339, parseTime } from '../../src/core/time.ts';

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

test.each([
  ['2026-01-31T12:00:00Z', '2026-01-31T12:00:00.000Z'],
  ['2026-01-31t12:00:00z', '2026-01-31T12:00:00.000Z'],
  ['2026-01-31T12:00:00.5Z', '2026-01-31T12:00:00.500Z'],
  ['2026-01-31T12:00:00.123Z', '2026-01-31T12:00:00.123Z'],
  ['2026-01-31T12:00:00.1239Z', '2026-01-31T12:00:00.123Z'],
  ['2026-01-31T12:00:00.9999999Z', '2026-01-31T12:00:00.999Z'],
  ['2026-01-31T12:00:00+02:00', '2026-01-31T10:00:00.000Z'],
  ['2026-01-31T20:00:00.25-05:30', '2026-02-01T01:30:00.250Z'],
  ['2026-01-31T12:00:00-00:00', '2026-01-31T12:00:00.000Z'],
  ['1970-01-01T00:00:00Z', '1970-01-01T00:00:00.000Z'],
  ['1970-01-01T01:00:00+01:00', '1970-01-01T00:00:00.000Z'],
  ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00.000Z'],
])('by RFC 3339 %s is %s', (text, same) => expect(formatTime(parseRfc3339(text))).toBe(same));

test('a finer fraction can be rounded up', () => {
  expect(parseRfc3339('2026-01-31T12:00:00.1230001Z', true)).toBe(parseTime('2026-01-31T12:00:00.124Z'));
  expect(parseRfc3339('2026-01-31T12:00:00.1230000Z', true)).toBe(parseTime('2026-01-31T12:00:00.123Z'));
});

test.each([
  '',
  '2026-01-31',
  '2026-01-31T12:00Z',
  '2026-01-31T12:00:00',
  '2026-01-31 12:00:00Z',
  '2026-01-31T12:00:00.Z',
  '2026-01-31T12:00:00,5Z',
  '2026-01-31T12:00:00+0200',
  '2026-01-31T12:00:00+24:00',
  '2026-01-31T12:00:00+02:60',
  '2026-02-30T12:00:00Z',
  '2026-01-31T24:00:00Z',
  '2026-01-31T23:59:61Z',
  '1970-01-01T00:00:00+00:01',
  '9999-12-31T23:59:59-00:01',
  '+012026-01-31T12:00:00Z',
  '2026-01-31T12:00:00Z\n',
])('%j is no time by RFC 3339', (text) => expect(() => parseRfc3339(text)).toThrow(code('time-invalid')));
