import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { messageOf } from '../../core/errors.ts';
import { formatBytes } from '../parts/units.ts';
import { visible } from '../parts/visible.ts';
import { send } from './api.ts';
import { Failure } from './notice.tsx';

const MOST_SHOWN = 16_384;

/** The payload as plain text. It is never rendered as HTML. */
export function PayloadText({ path, size }: { readonly path: string; readonly size: number }) {
  const text = useSignal<string | null>(null);
  const failure = useSignal<string | null>(null);
  useEffect(() => {
    text.value = null;
    failure.value = null;
    if (size > 16 * MOST_SHOWN) return;
    const gone = new AbortController();
    void (async () => {
      try {
        const response = await send(`${path}/payload`, { signal: gone.signal });
        const bytes = new Uint8Array(await response.arrayBuffer());
        text.value = new TextDecoder().decode(bytes.subarray(0, MOST_SHOWN));
      } catch (error) {
        if (!gone.signal.aborted) failure.value = messageOf(error);
      }
    })();
    return () => gone.abort();
  }, [path, size, text, failure]);
  return (
    <section class="stack" aria-labelledby="content-title">
      <div class="row spread">
        <h2 id="content-title">Content</h2>
        <a class="button" href={`${path}/payload`} download="">
          {`Download (${formatBytes(size)})`}
        </a>
      </div>
      <Failure of={failure} />
      {text.value !== null && <pre class="text">{visible(text.value, MOST_SHOWN)}</pre>}
      {size > MOST_SHOWN && <p class="soft small">Only its beginning is shown, if anything.</p>}
    </section>
  );
}
