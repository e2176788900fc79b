// Formats numbers for people.

const BYTES = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** 1,234 · 12 */
export function formatCount(value: number): string {
  return value.toLocaleString('en-GB');
}

/** 73 bytes · 1.4 MiB */
export function formatBytes(value: number): string {
  if (value === 1) return '1 byte';
  let unit = 0;
  let size = value;
  for (; size >= 1_024 && unit < BYTES.length - 1; unit++) size /= 1_024;
  return `${unit === 0 ? size : size.toFixed(size < 10 ? 1 : 0)} ${BYTES[unit]}`;
}

/** A duration: 8 s · 3 min · 2 h · 5 days. */
export function formatSpan(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1_000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** 23 November 2026, 05:12:44 UTC */
export function formatMoment(time: string): string {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return time;
  const day = date.toLocaleDateString('en-GB', { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' });
  return `${day}, ${date.toISOString().slice(11, 19)} UTC`;
}

/** Wei of an EVM chain: 68,940 gwei; from 0.01 coins up in coins, such as 0.0123. */
export function formatWei(wei: string): string {
  const amount = BigInt(wei);
  const gwei = Number(amount / 1_000_000n) / 1_000;
  if (gwei >= 10_000_000) return `${(gwei / 1e9).toLocaleString('en-GB', { maximumSignificantDigits: 4 })} coins`;
  const digits = gwei < 1_000 ? { maximumSignificantDigits: 3 } : { maximumFractionDigits: 0 };
  return `${gwei.toLocaleString('en-GB', digits)} gwei`;
}

/** A sentence of a verdict with its times written for people. */
export function withMoments(says: string): string {
  return says.replaceAll(/\b\d{4}-\d\d-\d\dT[\d:.]{12}Z/g, formatMoment);
}
