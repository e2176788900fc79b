import * as z from 'zod/mini';
import { Chip, StatusMark } from '../parts/mark.tsx';
import { Ago } from '../parts/moment.tsx';
import { formatCount } from '../parts/units.ts';
import { visible } from '../parts/visible.ts';
import { RoundStrip, roundStatus } from './anchor-status.tsx';
import { type ListedRound, type LogAnswer, logsAnswer, roundsAnswer } from './answers.ts';
import { ask } from './api.ts';
import { Failure, Loading } from './notice.tsx';
import { usePolled } from './polled.ts';
import { RoundList } from './rounds.tsx';
import { href } from './router.ts';
import { Search } from './search.tsx';
import { may, ownLogs, pace } from './session.ts';

const readyAnswer = z.object({ notices: z.array(z.string()) });

interface Shown {
  readonly logs: readonly LogAnswer[];
  readonly more: boolean;
  /** Null for a key that is limited to some logs, because rounds show all logs. */
  readonly rounds: readonly ListedRound[] | null;
  readonly notices: readonly string[];
}

/** The overview: what is anchored, and what is waiting. */
export function Overview() {
  const { data, failure } = usePolled<Shown>(
    'overview',
    async (signal) => {
      const [{ logs, next }, rounds, { notices }] = await Promise.all([
        ask('v1/logs?limit=500', logsAnswer, { signal }),
        ownLogs.value === null ? ask('v1/rounds?limit=60', roundsAnswer, { signal }) : null,
        ask('readyz', readyAnswer, { signal }),
      ]);
      return { logs, more: next !== undefined, rounds: rounds?.rounds ?? null, notices };
    },
    () => pace.value,
  );
  const shown = data.value;
  return (
    <>
      <div class="row spread">
        <h1 tabIndex={-1}>At a glance</h1>
        {may('append') && (
          <a class="button first" href={href.stamp}>
            Stamp something
          </a>
        )}
      </div>
      <Failure of={failure} />
      {shown === null ? failure.value === null && <Loading /> : <Contents {...shown} />}
    </>
  );
}

function Contents({ logs, more, rounds, notices }: Shown) {
  return (
    <>
      {notices.map((notice) => (
        <p key={notice} class="status submitted notice">
          <StatusMark status="trouble" />
          {visible(notice)}
        </p>
      ))}
      <Figures logs={logs} rounds={rounds} />
      <section class="stack" aria-labelledby="logs-title">
        <div class="row spread">
          <h2 id="logs-title">Logs</h2>
          <Search />
        </div>
        {logs.length === 0 ? <NoLogs /> : <LogTable logs={logs} />}
        {more && <p class="soft">Not all logs are shown here.</p>}
      </section>
      {rounds !== null && (
        <section class="stack" aria-labelledby="rounds-title">
          <div class="row spread">
            <h2 id="rounds-title">Rounds</h2>
            {rounds.length > 0 && <a href={href.rounds}>All rounds</a>}
          </div>
          {rounds.length === 0 ? (
            <p class="soft">No round has closed yet: the first entry starts the first one.</p>
          ) : (
            <RoundList rounds={rounds.slice(0, 6)} />
          )}
        </section>
      )}
    </>
  );
}

function Figures({ logs, rounds }: Pick<Shown, 'logs' | 'rounds'>) {
  const own = logs.filter(({ name }) => name !== '_system');
  const entries = own.reduce((sum, { size }) => sum + size, 0);
  const waiting = own.reduce((sum, { size, anchored }) => sum + size - (anchored?.size ?? 0), 0);
  const final = rounds?.find((round) => roundStatus(round) === 'final');
  const unfinished = rounds?.filter((round) => !['final', 'unverified'].includes(roundStatus(round))).length ?? 0;
  return (
    <section class="figures card" aria-label="Figures">
      <Figure name={own.length === 1 ? 'log' : 'logs'} value={formatCount(own.length)} />
      <Figure name={entries === 1 ? 'entry' : 'entries'} value={formatCount(entries)} />
      <Figure
        name={waiting === 1 ? 'entry not in a block yet' : 'entries not in a block yet'}
        value={formatCount(waiting)}
      />
      {rounds !== null && (
        <div class="rounds-figure">
          <RoundStrip rounds={rounds} />
          <p class="soft small">
            {final === undefined ? (
              'No round is final yet.'
            ) : (
              <>
                {`Round ${formatCount(final.number)} is final, closed `}
                <Ago time={final.closedAt} />
                {unfinished > 0 ? `; ${formatCount(unfinished)} not yet.` : '.'}
              </>
            )}
          </p>
        </div>
      )}
    </section>
  );
}

function Figure({ name, value }: { readonly name: string; readonly value: string }) {
  return (
    <p class="figure">
      <strong>{value}</strong> <span class="soft small">{name}</span>
    </p>
  );
}

function NoLogs() {
  return (
    <p class="card soft">
      There is no log yet. {may('append') ? <a href={href.stamp}>Stamp something</a> : 'An application can create one'},
      and it appears here.
    </p>
  );
}

function LogTable({ logs }: { readonly logs: readonly LogAnswer[] }) {
  return (
    <div class="card table">
      <table>
        <caption class="sr">Logs</caption>
        <thead>
          <tr>
            <th scope="col">Log</th>
            <th scope="col" class="number">
              Entries
            </th>
            <th scope="col">Last anchor</th>
          </tr>
        </thead>
        <tbody>
          {logs.map((log) => (
            <tr key={log.name}>
              <th scope="row">
                <a class="mono" href={href.log(log.name)}>
                  {visible(log.name, 64)}
                </a>
              </th>
              <td class="number">{formatCount(log.size)}</td>
              <td>
                <LastAnchor log={log} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** How far the log is anchored. Each round adds to the service's own log, so its newest entries are never shown as waiting. */
function LastAnchor({ log: { name, size, anchored } }: { readonly log: LogAnswer }) {
  if (size === 0) return <span class="soft small">empty</span>;
  if (anchored === undefined) return <Chip status="pending">not in a block yet</Chip>;
  const behind = name === '_system' ? 0 : size - anchored.size;
  return (
    <span class="row">
      <Chip status={anchored.status === 'finalized' ? 'final' : 'included'}>
        <Ago time={anchored.time} />
      </Chip>
      {behind > 0 && <span class="soft small">{`${formatCount(behind)} newer wait`}</span>}
    </span>
  );
}
