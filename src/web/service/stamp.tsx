import { useSignal } from '@preact/signals';
import { toHex, utf8 } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import { MAX_ENTRY_BYTES } from '../../core/limits.ts';
import { DropFile } from '../parts/drop-file.tsx';
import { hashFile } from '../parts/hashing.ts';
import { formatBytes } from '../parts/units.ts';
import { visible } from '../parts/visible.ts';
import { appendedAnswer, logAnswer, logsAnswer } from './answers.ts';
import { ask, logPath } from './api.ts';
import { Failure } from './notice.tsx';
import { usePolled } from './polled.ts';
import { go, href } from './router.ts';
import { may, ownLogs } from './session.ts';

/** What is stamped here does not go among the entries of an application, unless the user says so. */
const OWN_LOG = 'stamps';
const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** Logs a file or a text. */
export function Stamp() {
  const { data: logs } = usePolled<readonly string[]>(
    'logs to stamp in',
    async (signal) => {
      const own = ownLogs.value;
      if (own !== null) return own;
      if (!may('read')) return [];
      return (await ask('v1/logs?limit=500', logsAnswer, { signal })).logs.map(({ name }) => name);
    },
    () => null,
  );
  const log = useSignal('');
  const file = useSignal<File | null>(null);
  const text = useSignal('');
  const keep = useSignal(false);
  const progress = useSignal<number | null>(null);
  const busy = useSignal(false);
  const failure = useSignal<string | null>(null);
  const known = (logs.value ?? []).filter((name) => name !== '_system');
  const standard = known.includes(OWN_LOG) || may('admin') ? OWN_LOG : (known[0] ?? OWN_LOG);
  const name = log.value.trim() || standard;

  const stamp = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (busy.value) return;
    const what = file.value ?? (text.value === '' ? null : new Blob([new Uint8Array(utf8(text.value))]));
    failure.value = faultOf(what, name, keep.value);
    if (failure.value !== null || what === null) return;
    busy.value = true;
    try {
      if (!known.includes(name)) await ensureLog(name);
      const onProgress = (bytes: number): void => {
        progress.value = bytes / Math.max(1, what.size);
      };
      const index = keep.value ? await sendContent(name, what) : await sendDigest(name, what, onProgress);
      go(href.entry(name, index));
    } catch (error) {
      failure.value = messageOf(error);
    } finally {
      busy.value = false;
      progress.value = null;
    }
  };

  return (
    <>
      <div class="stack tight">
        <h1 tabIndex={-1}>Stamp</h1>
        <p class="lead">
          Creates a log entry and a receipt that proves the latest time at which your file or text can have been
          created.
        </p>
      </div>
      <form class="card stack stamp" onSubmit={stamp}>
        <DropFile
          label="Choose or drop a file"
          hint="it is hashed in this page"
          file={file.value}
          onFiles={([first]) => {
            file.value = first ?? null;
            if ((first?.size ?? 0) > MAX_ENTRY_BYTES) keep.value = false;
          }}
        >
          {progress.value !== null && (
            <progress class="bar" aria-label="Hashing the file" max={1} value={progress.value} />
          )}
        </DropFile>
        {file.value === null ? (
          <div class="field">
            <label for="text">Or a text</label>
            <textarea
              id="text"
              rows={3}
              value={text.value}
              onInput={(event) => {
                text.value = event.currentTarget.value;
              }}
            />
          </div>
        ) : (
          <div>
            <button
              type="button"
              class="button quiet"
              onClick={() => {
                file.value = null;
              }}
            >
              Use a text instead
            </button>
          </div>
        )}
        <fieldset class="stack tight">
          <legend>What is sent</legend>
          <Choice keep={keep} value={false} label="Only its digest">
            The content stays with you. Keep it: without it the receipt proves nothing.
          </Choice>
          <Choice keep={keep} value={true} label="The content">
            {`The log keeps it, up to ${formatBytes(MAX_ENTRY_BYTES)}.`}
          </Choice>
        </fieldset>
        <div class="field">
          <label for="log">Log</label>
          <input
            id="log"
            class="mono"
            type="text"
            list="logs"
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            placeholder={standard}
            value={log.value}
            aria-describedby="log-hint"
            onInput={(event) => {
              log.value = event.currentTarget.value;
            }}
          />
          <datalist id="logs">
            {known.map((each) => (
              <option key={each} value={each} />
            ))}
          </datalist>
          <span class="hint" id="log-hint">
            {known.includes(name)
              ? `It goes into ${name}.`
              : `It goes into ${visible(name, 64)}${logs.value !== null && may('admin') ? ', which will be created' : ''}.`}
          </span>
        </div>
        <Failure of={failure} />
        <div class="row">
          <button type="submit" class="button first">
            {busy.value ? 'Stamping…' : 'Stamp'}
          </button>
        </div>
      </form>
    </>
  );
}

interface ChoiceProps {
  readonly keep: { value: boolean };
  readonly value: boolean;
  readonly label: string;
  readonly children: preact.ComponentChildren;
}

function Choice({ keep, value, label, children }: ChoiceProps) {
  return (
    <label class="choice">
      <input
        type="radio"
        name="sent"
        checked={keep.value === value}
        onChange={() => {
          keep.value = value;
        }}
      />
      <span>
        {label} <span class="soft small">{children}</span>
      </span>
    </label>
  );
}

function faultOf(what: Blob | null, log: string, keep: boolean): string | null {
  if (what === null) return 'Choose a file or enter a text.';
  if (!NAME.test(log)) return 'The name of a log consists of lower-case letters, digits, dots, dashes and underscores.';
  if (keep && what.size > MAX_ENTRY_BYTES)
    return `The content has more than ${formatBytes(MAX_ENTRY_BYTES)}: send its digest.`;
  return keep && what.size === 0 ? 'The content is empty: send its digest.' : null;
}

/** Creating an existing log changes nothing. Without permission to create logs, the append shows whether the log exists. */
async function ensureLog(name: string): Promise<void> {
  if (may('admin')) await ask(logPath(name), logAnswer, { method: 'PUT' });
}

async function sendContent(log: string, what: Blob): Promise<number> {
  // Not the content's own type: the service would split some types into several entries.
  const headers = { 'content-type': 'application/octet-stream', 'idempotency-key': freshKey() };
  const body = await what.arrayBuffer();
  return (await ask(`${logPath(log)}/entries`, appendedAnswer, { method: 'POST', headers, body })).index;
}

async function sendDigest(log: string, what: Blob, onProgress: (bytes: number) => void): Promise<number> {
  const digest = toHex(await hashFile(what, { onProgress, signal: new AbortController().signal }));
  const headers = { 'content-type': 'application/json', 'idempotency-key': freshKey() };
  const body = JSON.stringify({ digests: [digest] });
  return (await ask(`${logPath(log)}/digests`, appendedAnswer, { method: 'POST', headers, body })).index;
}

function freshKey(): string {
  return toHex(crypto.getRandomValues(new Uint8Array(16)));
}
