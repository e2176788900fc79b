import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';
import { formatBytes } from './units.ts';
import { visible } from './visible.ts';

interface DropFileProps {
  readonly label: string;
  readonly hint: string;
  readonly file: File | null;
  readonly onFiles: (files: readonly File[]) => void;
  readonly accept?: string;
  readonly multiple?: boolean;
  readonly children?: ComponentChildren;
}

/** A place to drop a file, or to choose one by mouse or keyboard. */
export function DropFile({ label, hint, file, onFiles, accept, multiple, children }: DropFileProps) {
  const over = useSignal(false);
  const id = useId();
  return (
    <div class={`drop${over.value ? ' over' : ''}${file === null ? '' : ' held'}`}>
      <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.7" aria-hidden="true">
        <path d="M14 2.5H6.5a2 2 0 0 0-2 2v15a2 2 0 0 0 2 2h11a2 2 0 0 0 2-2V8Z" stroke-linejoin="round" />
        <path d="M14 2.5V8h5.5M12 17.5v-6m-2.6 2.6L12 11.4l2.6 2.7" stroke-linecap="round" stroke-linejoin="round" />
      </svg>
      <b>{label}</b>
      {file === null ? (
        <span class="small soft" id={id}>
          {hint}
        </span>
      ) : (
        <span class="small" id={id}>
          <span class="name">{visible(file.name, 200)}</span>
          <span class="soft">{` · ${formatBytes(file.size)}`}</span>
        </span>
      )}
      <input
        type="file"
        aria-label={label}
        aria-describedby={id}
        accept={accept}
        multiple={multiple}
        onChange={(event) => {
          over.value = false;
          const files = [...(event.currentTarget.files ?? [])];
          // Allows the user to choose the same file again after changing it.
          event.currentTarget.value = '';
          if (files.length > 0) onFiles(files);
        }}
        onDragEnter={() => {
          over.value = true;
        }}
        onDragLeave={() => {
          over.value = false;
        }}
        onDrop={() => {
          over.value = false;
        }}
      />
      {children}
    </div>
  );
}
