import { excerpt } from './bytes.ts';
import { FormatError } from './errors.ts';

const UNITS_MS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const;
/** A hundred years. */
const MAX_PERIOD_MS = 36_525 * 86_400_000;

/** Milliseconds of a period such as `400d`, `36h`, `90m` or `30s`. @throws FormatError `retention-invalid` */
export function parsePeriod(text: string): number {
  const [, digits = '', letter = ''] = /^([1-9]\d{0,9})([dhms])$/.exec(text) ?? [];
  const unit = UNITS_MS.find(([name]) => name === letter)?.[1] ?? 0;
  const ms = Number(digits) * unit;
  if (ms > 0 && ms <= MAX_PERIOD_MS) return ms;
  throw new FormatError('retention-invalid', `not a period of at most 36525d, such as 400d or 36h: ${excerpt(text)}`);
}

/** A period of whole seconds, in the largest unit that it is a multiple of. */
export function formatPeriod(ms: number): string {
  const [name, unit] = UNITS_MS.find(([, unit]) => ms % unit === 0) ?? ['s', 1_000];
  return `${Math.ceil(ms / unit)}${name}`;
}
