import { useSignal } from '@preact/signals';
import type { TargetedInputEvent } from 'preact';
import { go, href, type LogCriteria } from './router.ts';

const FIELDS = [
  { name: 'text', label: 'Text', type: 'text', example: 'deleted', hint: 'somewhere in the content' },
  { name: 'field', label: 'Field', type: 'text', example: '/user/username=admin', hint: 'of JSON: /path/to/it=value' },
  { name: 'since', label: 'From', type: 'datetime-local', example: '', hint: 'received then or later (UTC)' },
  { name: 'until', label: 'To', type: 'datetime-local', example: '', hint: 'received before (UTC)' },
] as const;

/** Looks for entries of a log by what is in them, and by when they were received. */
export function LogSearch({ log, criteria }: { readonly log: string; readonly criteria: LogCriteria | null }) {
  const typed = useSignal<LogCriteria>(criteria ?? {});
  const find = (event: Event): void => {
    event.preventDefault();
    go(href.search(log, typed.value));
  };
  const inputOf = (name: keyof LogCriteria) => ({
    id: `find-${name}`,
    value: typed.value[name] ?? '',
    'aria-describedby': `find-${name}-hint`,
    onInput: (event: TargetedInputEvent<HTMLInputElement>) => {
      typed.value = { ...typed.value, [name]: event.currentTarget.value };
    },
  });
  return (
    <details class="card" open={criteria !== null}>
      <summary>Search this log</summary>
      <form class="stack" onSubmit={find}>
        <div class="criteria">
          {FIELDS.map(({ name, label, type, example, hint }) => (
            <div class="field" key={name}>
              <label for={`find-${name}`}>{label}</label>
              {type === 'text' ? (
                <input type="text" autocomplete="off" spellcheck={false} placeholder={example} {...inputOf(name)} />
              ) : (
                <input type="datetime-local" step={1} {...inputOf(name)} />
              )}
              <span class="hint" id={`find-${name}-hint`}>
                {hint}
              </span>
            </div>
          ))}
        </div>
        <div class="row">
          <button type="submit" class="button first">
            Search
          </button>
          {criteria !== null && (
            <a class="button" href={href.log(log)}>
              All entries
            </a>
          )}
        </div>
      </form>
    </details>
  );
}
