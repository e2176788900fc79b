import { useSignal } from '@preact/signals';
import { useId } from 'preact/hooks';
import { HASH_HEX, toHex } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import { hashFile } from '../parts/hashing.ts';
import { go, href } from './router.ts';

/** Finds where a digest was logged. The user types the digest or chooses a file, which is hashed in the page. */
export function Search() {
  const digest = useSignal('');
  const fault = useSignal<string | null>(null);
  const done = useSignal<number | null>(null);
  const id = useId();
  const find = (event: Event): void => {
    event.preventDefault();
    const hex = digest.value.trim().toLowerCase();
    fault.value = HASH_HEX.test(hex) ? null : 'A SHA-256 digest has 64 hex digits.';
    if (fault.value === null) go(href.find(hex));
  };
  const findFile = async (file: File): Promise<void> => {
    fault.value = null;
    done.value = 0;
    const onProgress = (bytes: number): void => {
      done.value = bytes / Math.max(1, file.size);
    };
    try {
      go(href.find(toHex(await hashFile(file, { onProgress, signal: new AbortController().signal }))));
    } catch (error) {
      fault.value = messageOf(error);
    } finally {
      done.value = null;
    }
  };
  return (
    <search>
      <form class="search" onSubmit={find}>
        <label class="sr" for={id}>
          SHA-256 digest to find
        </label>
        <input
          id={id}
          class="mono"
          type="text"
          autocomplete="off"
          spellcheck={false}
          placeholder="find a SHA-256 digest"
          aria-describedby={`${id}-fault`}
          aria-invalid={fault.value !== null}
          value={digest.value}
          onInput={(event) => {
            digest.value = event.currentTarget.value;
          }}
        />
        <button type="submit" class="button">
          Find
        </button>
        <span class="button file">
          or a file
          <input
            type="file"
            aria-label="Find a file: it is hashed here, and its digest looked up"
            onChange={(event) => {
              const [file] = event.currentTarget.files ?? [];
              if (file !== undefined) void findFile(file);
            }}
          />
        </span>
        <span class="below small" id={`${id}-fault`} role="status">
          {fault.value ?? (done.value === null ? '' : `hashed ${Math.round(done.value * 100)} %`)}
        </span>
      </form>
    </search>
  );
}
