import { signal } from '@preact/signals';
import { formatMoment, formatSpan } from './units.ts';

/** Milliseconds since the Unix epoch by the browser's clock, updated every few seconds. */
const now = signal(Date.now());
setInterval(() => {
  now.value = Date.now();
}, 5_000);

/** How long ago a time was, with the exact time as a tooltip. */
export function Ago({ time }: { readonly time: string }) {
  const past = now.value - Date.parse(time);
  return (
    <time dateTime={time} title={formatMoment(time)}>
      {past < 0 ? 'now' : `${formatSpan(past)} ago`}
    </time>
  );
}

/** How long something has lasted. */
export function Age({ time }: { readonly time: string }) {
  return (
    <time dateTime={time} title={formatMoment(time)}>
      {formatSpan(now.value - Date.parse(time))}
    </time>
  );
}

export function LocalTime({ time }: { readonly time: string }) {
  return <time dateTime={time}>{formatMoment(time)}</time>;
}
