import type { ReadonlySignal } from '@preact/signals';
import { StatusMark } from '../parts/mark.tsx';
import { visible } from '../parts/visible.ts';

/** An error message that screen readers announce. */
export function Failure({ of }: { readonly of: ReadonlySignal<string | null> }) {
  return (
    <div role="alert">
      {of.value !== null && (
        <p class="status refuted error">
          <StatusMark status="trouble" />
          {visible(of.value)}
        </p>
      )}
    </div>
  );
}

export function Loading() {
  return <p class="soft">Loading…</p>;
}
