import { useSignal } from '@preact/signals';
import { visible } from './visible.ts';

/** A hash or other machine text in full. */
export function Bytes({ text }: { readonly text: string }) {
  return <span class="bytes">{visible(text)}</span>;
}

/** A sentence, with the hashes in it as machine text. */
export function Prose({ text }: { readonly text: string }) {
  const parts = text.split(/\b((?:0x)?[0-9a-f]{40,})\b/);
  return <>{parts.map((part, i) => (i % 2 === 1 ? <Bytes key={part} text={part} /> : part))}</>;
}

/** Shows only the first and last characters, on narrow screens the first, but gives screen readers the whole text. */
export function ShortBytes({ text }: { readonly text: string }) {
  if (text.length <= 20) return <Bytes text={text} />;
  return (
    <span class="bytes short" title={text}>
      <span aria-hidden="true">
        {`${text.slice(0, 8)}…`}
        <span class="tail">{text.slice(-8)}</span>
      </span>
      <span class="sr">{text}</span>
    </span>
  );
}

/** Machine text with a copy button, if the page may use the clipboard. */
export function Copyable({ text, what }: { readonly text: string; readonly what: string }) {
  const copied = useSignal(false);
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text);
    copied.value = true;
    setTimeout(() => {
      copied.value = false;
    }, 2_000);
  };
  return (
    <span class="copyable">
      <Bytes text={text} />
      {window.isSecureContext && (
        <button type="button" class="button quiet" onClick={copy}>
          {copied.value ? 'Copied' : 'Copy'}
          <span class="sr">{` ${what}`}</span>
        </button>
      )}
    </span>
  );
}
