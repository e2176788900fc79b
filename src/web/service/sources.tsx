import { type Signal, useSignal } from '@preact/signals';
import { messageOf } from '../../core/errors.ts';
import { SCHEME_CHOICES } from '../../sources/scheme-names.ts';
import { Copyable } from '../parts/bytes.tsx';
import { Chip } from '../parts/mark.tsx';
import { Ago } from '../parts/moment.tsx';
import { visible } from '../parts/visible.ts';
import { logsAnswer, type SourceAnswer, sourcesAnswer, sourceWithSecret } from './answers.ts';
import { ask, send } from './api.ts';
import { Failure, Loading } from './notice.tsx';
import { usePolled } from './polled.ts';
import { href } from './router.ts';
import { pace } from './session.ts';

const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const json = { 'content-type': 'application/json' };

interface Shown {
  readonly sources: readonly SourceAnswer[];
  readonly logs: readonly string[];
}

/** A secret that was made just now, to be shown once. */
interface Told {
  readonly name: string;
  readonly path: string;
  readonly secret: string | null;
}

/** The senders whose signed webhooks are logged. */
export function SourcesPage() {
  const changes = useSignal(0);
  const told = useSignal<Told | null>(null);
  const fault = useSignal<string | null>(null);
  const { data, failure } = usePolled<Shown>(
    `sources ${changes.value}`,
    async (signal) => {
      const [{ sources }, { logs }] = await Promise.all([
        ask('v1/sources', sourcesAnswer, { signal }),
        ask('v1/logs?limit=500', logsAnswer, { signal }),
      ]);
      return { sources, logs: logs.map(({ name }) => name).filter((name) => name !== '_system') };
    },
    () => pace.value,
  );
  /** Does what changes sources, and shows them anew. */
  const change = async (work: () => Promise<Told | null>): Promise<void> => {
    fault.value = null;
    try {
      told.value = await work();
      changes.value++;
    } catch (error) {
      fault.value = messageOf(error);
    }
  };
  const shown = data.value;
  return (
    <>
      <div class="stack tight">
        <h1 tabIndex={-1}>Sources</h1>
        <p class="lead">
          Senders of signed webhooks. Each has an address of its own, and its events are logged once their signature is
          checked.
        </p>
      </div>
      {told.value !== null && <Secret {...told.value} />}
      <Failure of={failure} />
      <Failure of={fault} />
      {shown === null ? failure.value === null && <Loading /> : <SourceTable sources={shown.sources} change={change} />}
      {shown !== null && <NewSource logs={shown.logs} change={change} />}
    </>
  );
}

type Change = (work: () => Promise<Told | null>) => Promise<void>;

function Secret({ name, path, secret }: Told) {
  return (
    <section class="card stack" aria-labelledby="told-title">
      <h2 id="told-title">{`Enter this at the sender of ${visible(name, 63)}`}</h2>
      <div class="stack tight">
        <span class="soft small">Address</span>
        <Copyable text={new URL(path.slice(1), document.baseURI).href} what="address" />
      </div>
      {secret !== null && (
        <div class="stack tight">
          <span class="soft small">Secret. It cannot be shown again.</span>
          <Copyable text={secret} what="secret" />
        </div>
      )}
    </section>
  );
}

function SourceTable({ sources, change }: { readonly sources: readonly SourceAnswer[]; readonly change: Change }) {
  if (sources.length === 0) return <p class="soft">There is no source yet.</p>;
  return (
    <table class="table">
      <thead>
        <tr>
          <th scope="col">Source</th>
          <th scope="col">Log</th>
          <th scope="col">Last event</th>
          <th scope="col">Last refused</th>
          <th scope="col">
            <span class="sr">Changes</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {sources.map((source) => (
          <SourceRow key={source.id} source={source} change={change} />
        ))}
      </tbody>
    </table>
  );
}

function SourceRow({ source, change }: { readonly source: SourceAnswer; readonly change: Change }) {
  const { id, name, scheme, log, receivedAt, refusedAt, refusal, secrets } = source;
  const sure = useSignal(false);
  const path = `v1/sources/${encodeURIComponent(id)}`;
  const rotate = (): Promise<void> =>
    change(async () => ask(`${path}/rotate`, sourceWithSecret, { method: 'POST', headers: json, body: '{}' }));
  const remove = async (): Promise<void> => {
    if (!sure.value) {
      sure.value = true;
      return;
    }
    await change(async () => {
      await send(path, { method: 'DELETE' });
      return null;
    });
  };
  return (
    <tr>
      <td>
        {visible(name, 63)} <span class="soft small">{visible(scheme, 40)}</span>
      </td>
      <td>
        <a href={href.log(log)}>{visible(log, 63)}</a>
      </td>
      <td>{receivedAt === null ? <span class="soft">nothing yet</span> : <Ago time={receivedAt} />}</td>
      <td>
        {refusedAt === null ? (
          <span class="soft">never</span>
        ) : (
          <>
            <Chip status="trouble">{visible(refusal ?? '', 40)}</Chip> <Ago time={refusedAt} />
          </>
        )}
      </td>
      <td class="row">
        {secrets.length > 0 && (
          <button type="button" class="button quiet" onClick={rotate}>
            {`New secret for ${name}`}
          </button>
        )}
        <button type="button" class="button quiet" onClick={remove}>
          {sure.value ? `Really remove ${name}?` : `Remove ${name}`}
        </button>
      </td>
    </tr>
  );
}

function NewSource({ logs, change }: { readonly logs: readonly string[]; readonly change: Change }) {
  const [name, log, scheme, secret] = [useSignal(''), useSignal(''), useSignal(SCHEME_CHOICES[0] ?? ''), useSignal('')];
  const fault = useSignal<string | null>(null);
  const create = async (event: Event): Promise<void> => {
    event.preventDefault();
    const into = log.value === '' ? logs[0] : log.value;
    fault.value = NAME.test(name.value)
      ? null
      : 'The name of a source consists of lower-case letters, digits, dots, dashes and underscores.';
    if (fault.value !== null || into === undefined) return;
    const given = secret.value === '' ? {} : { secret: secret.value };
    const body = JSON.stringify({ name: name.value, log: into, scheme: scheme.value, ...given });
    await change(async () => {
      const made = await ask('v1/sources', sourceWithSecret, { method: 'POST', headers: json, body });
      name.value = secret.value = '';
      return given.secret === undefined ? made : { ...made, secret: null };
    });
  };
  if (logs.length === 0) return <p class="soft">Create a log first: its events go into one.</p>;
  return (
    <form class="card stack stamp" onSubmit={create} aria-labelledby="new-source">
      <h2 id="new-source">New source</h2>
      <div class="field">
        <label for="source-name">Name</label>
        <input
          id="source-name"
          type="text"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          value={name.value}
          onInput={(event) => {
            name.value = event.currentTarget.value;
          }}
        />
      </div>
      <Select id="source-scheme" label="Sender or scheme" value={scheme} of={SCHEME_CHOICES} />
      <Select id="source-log" label="Log" value={log} of={logs} />
      <div class="field">
        <label for="source-secret">The sender’s secret</label>
        <input
          id="source-secret"
          type="password"
          autocomplete="off"
          aria-describedby="source-secret-hint"
          value={secret.value}
          onInput={(event) => {
            secret.value = event.currentTarget.value;
          }}
        />
        <span class="hint" id="source-secret-hint">
          Leave it empty to have one made. Schemes that need settings are set up by antequem sources create.
        </span>
      </div>
      <Failure of={fault} />
      <div class="row">
        <button type="submit" class="button first">
          Create the source
        </button>
      </div>
    </form>
  );
}

function Select({
  id,
  label,
  value,
  of,
}: {
  readonly id: string;
  readonly label: string;
  readonly value: Signal<string>;
  readonly of: readonly string[];
}) {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select
        id={id}
        value={value.value}
        onChange={(event) => {
          value.value = event.currentTarget.value;
        }}
      >
        {of.map((each) => (
          <option key={each} value={each}>
            {each}
          </option>
        ))}
      </select>
    </div>
  );
}
