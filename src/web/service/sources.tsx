import { useSignal } from '@preact/signals';
import { messageOf } from '../../core/errors.ts';
import { isApiName } from '../../sources/scheme-names.ts';
import { Chip } from '../parts/mark.tsx';
import { Ago } from '../parts/moment.tsx';
import { visible } from '../parts/visible.ts';
import { logsAnswer, type SourceAnswer, sourcesAnswer, sourceWithSecret } from './answers.ts';
import { ask, send } from './api.ts';
import { Failure, Loading } from './notice.tsx';
import { usePolled } from './polled.ts';
import { href } from './router.ts';
import { pace } from './session.ts';
import { SourceForm } from './source-form.tsx';
import { SourceSecret, type ToldSource } from './source-secret.tsx';

const json = { 'content-type': 'application/json' };

interface Shown {
  readonly sources: readonly SourceAnswer[];
  readonly logs: readonly string[];
}

/** Sources: their state, and a form for a new one. */
export function SourcesPage() {
  const changes = useSignal(0);
  const told = useSignal<ToldSource | null>(null);
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
  const change = async (work: () => Promise<ToldSource | null>): Promise<void> => {
    fault.value = null;
    try {
      told.value = await work();
      changes.value++;
    } catch (error) {
      fault.value = messageOf(error);
    }
  };
  const made = (source: ToldSource | null): void => {
    told.value = source;
    changes.value++;
  };
  const shown = data.value;
  return (
    <>
      <div class="stack tight">
        <h1 tabIndex={-1}>Sources</h1>
        <p class="lead">
          A source takes the signed webhooks of one sender at an address of its own, or fetches from an API. Each event
          is logged once.
        </p>
      </div>
      {told.value !== null && <SourceSecret {...told.value} />}
      <Failure of={failure} />
      <Failure of={fault} />
      {shown === null ? failure.value === null && <Loading /> : <SourceTable sources={shown.sources} change={change} />}
      {shown !== null && <SourceForm logs={shown.logs} made={made} />}
    </>
  );
}

type Change = (work: () => Promise<ToldSource | null>) => Promise<void>;

function SourceTable({ sources, change }: { readonly sources: readonly SourceAnswer[]; readonly change: Change }) {
  if (sources.length === 0) return <p class="soft">There is no source yet.</p>;
  return (
    <div class="card table">
      <table>
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
    </div>
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
      <td>
        <div class="row">
          {secrets.length > 0 && !isApiName(scheme) && (
            <button type="button" class="button quiet" onClick={rotate}>
              {`New secret for ${name}`}
            </button>
          )}
          <button type="button" class="button quiet" onClick={remove}>
            {sure.value ? `Really remove ${name}?` : `Remove ${name}`}
          </button>
        </div>
      </td>
    </tr>
  );
}
