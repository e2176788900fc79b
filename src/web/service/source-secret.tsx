import { Copyable } from '../parts/bytes.tsx';
import { visible } from '../parts/visible.ts';

/** A source that was made just now, and its secret, which is shown once. */
export interface ToldSource {
  readonly name: string;
  readonly path: string;
  readonly secret: string | null;
}

/** What to enter at the sender of a source. */
export function SourceSecret({ name, path, secret }: ToldSource) {
  return (
    <section class="card stack" aria-labelledby="told-title">
      <h2 id="told-title">{`Enter this at the sender of ${visible(name, 63)}`}</h2>
      <div class="stack tight">
        <span class="soft small">Address</span>
        <Copyable text={new URL(path.slice(1), document.baseURI).href} what="address" />
      </div>
      {secret !== null && (
        <div class="stack tight">
          <span class="soft small">SourceSecret. It cannot be shown again.</span>
          <Copyable text={secret} what="secret" />
        </div>
      )}
    </section>
  );
}
