import { signal } from '@preact/signals';
import { HASH_HEX } from '../../core/bytes.ts';
import { Bytes } from '../parts/bytes.tsx';
import { DropFile } from '../parts/drop-file.tsx';
import { formatBytes } from '../parts/units.ts';
import { hashName } from './proof-file.ts';
import { content, digested, progress, take, takeContent } from './state.ts';

const text = signal('');
const textFault = signal<string | null>(null);

/** The content of the receipt: a file, or a text or digest that the user types. */
export function ContentForm() {
  const held = content.value;
  return (
    <section class="stack tight" aria-labelledby="content-title">
      <h2 id="content-title">The file</h2>
      <DropFile
        label="Choose or drop the file"
        hint="of any size; you can drop its receipt together with it"
        file={held?.kind === 'file' ? held.file : null}
        multiple
        onFiles={take}
      >
        <Progress />
      </DropFile>
      {digested.value !== null && (
        <p class="small digest">
          <span class="soft">{`${hashName(digested.value.hash)}, a fingerprint of the bytes:`}</span>
          <br />
          <Bytes text={digested.value.hex} />
        </p>
      )}
      <details class="other" open={held !== null && held.kind !== 'file'}>
        <summary>Not a file: a line of text, or a SHA-256 digest (a fingerprint of the bytes)</summary>
        <form class="field" onSubmit={useText}>
          <label for="text">Text or digest</label>
          <textarea
            id="text"
            class="mono"
            rows={3}
            spellcheck={false}
            value={text.value}
            aria-describedby="text-hint"
            aria-invalid={textFault.value !== null}
            onInput={(event) => {
              text.value = event.currentTarget.value;
            }}
          />
          <span class="hint" id="text-hint">
            {textFault.value ??
              'Used exactly as typed, without a newline at the end. 64 hex digits are taken as a digest.'}
          </span>
          <div class="row">
            <button type="submit" class="button">
              Use this text
            </button>
            {held !== null && held.kind !== 'file' && (
              <span class="soft small">{held.kind === 'text' ? 'The text is used.' : 'The digest is used.'}</span>
            )}
          </div>
        </form>
      </details>
    </section>
  );
}

function useText(event: Event): void {
  event.preventDefault();
  const typed = text.value;
  const hex = typed.trim().toLowerCase();
  textFault.value = typed === '' ? 'Enter a text.' : null;
  if (typed === '') return;
  void takeContent(HASH_HEX.test(hex) ? { kind: 'digest', hex } : { kind: 'text', text: typed });
}

function Progress() {
  const state = progress.value;
  if (state === null) return null;
  const { done, size } = state;
  return (
    <div class="progress">
      <progress aria-label="Hashing the file" max={Math.max(1, size)} value={done} />
      <span class="small soft">{`hashed ${formatBytes(done)} of ${formatBytes(size)}`}</span>
    </div>
  );
}
