import type { JSX } from 'preact';

/** Status marks by shape, word and color. */
export type Status = 'verified' | 'refuted' | 'unverified' | 'pending' | 'submitted' | 'included' | 'final' | 'trouble';

export const STATUS_WORDS: Readonly<Record<Status, string>> = {
  verified: 'verified',
  refuted: 'refuted',
  unverified: 'not verified',
  pending: 'waiting',
  submitted: 'sent',
  included: 'in a block',
  final: 'final',
  trouble: 'in trouble',
};

const RING = <circle cx="10" cy="10" r="8" fill="none" stroke="currentColor" stroke-width="2" />;
const DISC = <circle cx="10" cy="10" r="9" fill="currentColor" />;
const CHECK = (
  <>
    {DISC}
    <path d="m5.8 10.3 2.9 2.9 5.5-6" fill="none" stroke="var(--ground)" stroke-width="2.2" stroke-linecap="round" />
  </>
);

const SHAPES: Readonly<Record<Status, JSX.Element>> = {
  verified: CHECK,
  final: CHECK,
  refuted: (
    <>
      {DISC}
      <path d="m6.6 6.6 6.8 6.8m0-6.8-6.8 6.8" stroke="var(--ground)" stroke-width="2.2" stroke-linecap="round" />
    </>
  ),
  trouble: (
    <>
      <path d="M10 1.5 19 17.5H1Z" fill="currentColor" stroke="currentColor" stroke-linejoin="round" />
      <path d="M10 7.2v5m0 2.4v.2" stroke="var(--ground)" stroke-width="2.1" stroke-linecap="round" />
    </>
  ),
  unverified: (
    <circle cx="10" cy="10" r="8" fill="none" stroke="currentColor" stroke-width="2" stroke-dasharray="3.2 3.1" />
  ),
  pending: (
    <>
      {RING}
      <path d="M10 5.6V10l2.8 2" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" />
    </>
  ),
  submitted: (
    <>
      {RING}
      <path d="M10 14V6.4M6.9 9.2 10 6.1l3.1 3.1" fill="none" stroke="currentColor" stroke-width="2" />
    </>
  ),
  included: (
    <>
      {RING}
      <path d="M10 5a5 5 0 0 1 0 10Z" fill="currentColor" />
    </>
  ),
};

/** Only the shape, for use beside a word. It takes the color of the surrounding `status`. */
export function StatusMark({ status }: { readonly status: Status }) {
  return (
    <svg class="mark" viewBox="0 0 20 20" aria-hidden="true">
      {SHAPES[status]}
    </svg>
  );
}

export function Chip({ status, children }: { readonly status: Status; readonly children?: preact.ComponentChildren }) {
  return (
    <span class={`status ${status} chip`}>
      <StatusMark status={status} />
      <span>{children ?? STATUS_WORDS[status]}</span>
    </span>
  );
}

/** The logo: an object and the point in time before which it existed. */
export function Emblem() {
  return (
    <svg viewBox="0 0 28 28" aria-hidden="true">
      <path d="M3 14h17" stroke="currentColor" stroke-width="2.4" stroke-dasharray="2.4 2.4" />
      <circle cx="9" cy="14" r="5" fill="currentColor" />
      <path d="M22 3v22" stroke="currentColor" stroke-width="3.4" stroke-linecap="round" />
    </svg>
  );
}
