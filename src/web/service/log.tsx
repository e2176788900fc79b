import { useSignal } from '@preact/signals';
import { messageOf } from '../../core/errors.ts';
import { Copyable, ShortBytes } from '../parts/bytes.tsx';
import { Chip } from '../parts/mark.tsx';
import { Ago, LocalTime } from '../parts/moment.tsx';
import { formatBytes, formatCount } from '../parts/units.ts';
import { visible } from '../parts/visible.ts';
import { type EntryAnswer, entriesAnswer, type LogAnswer, logAnswer } from './answers.ts';
import { ask, logPath } from './api.ts';
import { Keeping } from './keeping.tsx';
import { LogSearch } from './log-search.tsx';
import { Failure, Loading } from './notice.tsx';
import { usePolled } from './polled.ts';
import { href, type LogCriteria } from './router.ts';
import { Search } from './search.tsx';
import { may, pace } from './session.ts';

const PAGE = 50;

/** Pages of the service that one page here looks through: each goes through 10,000 entries at most. */
const MOST_SEARCHED = 20;

interface Shown {
  readonly log: LogAnswer;
  /** Newest first; what a search found in the order of the log. */
  readonly entries: readonly EntryAnswer[];
  /** The index after the newest of them. */
  readonly end: number;
  /** Where a search goes on; null: nothing is left, or it is none. */
  readonly next: number | null;
}

interface LogPageProps {
  readonly name: string;
  /** The index after the newest shown; null: all. */
  readonly until: number | null;
  readonly criteria: LogCriteria | null;
  readonly from: number;
}

/** One log with its entries, newest first, or with what a search finds. */
export function LogPage({ name, until, criteria, from: start }: LogPageProps) {
  const made = useSignal(0);
  const { data, failure, problem } = usePolled<Shown>(
    `log ${name} ${until} ${start} ${JSON.stringify(criteria)} ${made.value}`,
    async (signal) => {
      const log = await ask(logPath(name), logAnswer, { signal });
      if (criteria !== null) return { log, end: log.size, ...(await search(name, criteria, start, signal)) };
      const end = Math.min(until ?? log.size, log.size);
      const from = Math.max(0, end - PAGE);
      const { entries } =
        end === from
          ? { entries: [] }
          : await ask(`${logPath(name)}/entries?from=${from}&limit=${end - from}`, entriesAnswer, { signal });
      return { log, entries: entries.toReversed(), end, next: null };
    },
    () => (criteria === null ? pace.value : null),
  );
  const shown = data.value;
  return (
    <>
      <div class="row spread">
        <h1 tabIndex={-1}>
          <span class="soft">Log </span>
          <span class="bytes">{visible(name, 64)}</span>
        </h1>
        <Search />
      </div>
      {problem.value === 'log-not-found' ? <NoLog name={name} onMade={() => made.value++} /> : <Failure of={failure} />}
      {shown === null && failure.value === null && <Loading />}
      {shown !== null && (
        <>
          <Description log={shown.log} />
          <section class="stack" aria-labelledby="entries-title">
            <h2 id="entries-title">{criteria === null ? 'Entries' : 'Entries found'}</h2>
            <LogSearch key={name} log={name} criteria={criteria} />
            {shown.entries.length === 0 ? (
              <p class="soft">{noneOf(criteria, shown.next)}</p>
            ) : (
              <EntryTable {...shown} />
            )}
            {criteria === null ? (
              <Pager {...shown} />
            ) : (
              shown.next !== null && (
                <p>
                  <a class="button" href={href.search(name, criteria, shown.next)}>
                    {`Search on from entry ${formatCount(shown.next)}`}
                  </a>
                </p>
              )
            )}
          </section>
        </>
      )}
    </>
  );
}

function noneOf(criteria: LogCriteria | null, next: number | null): string {
  if (criteria === null) return 'None yet.';
  return next === null ? 'No entry fits.' : 'No entry fits so far.';
}

/** The first entries that fit, a page of them at most. */
async function search(
  log: string,
  criteria: LogCriteria,
  start: number,
  signal: AbortSignal,
): Promise<{ entries: EntryAnswer[]; next: number | null }> {
  const entries: EntryAnswer[] = [];
  let next: number | null = start;
  for (let page = 0; page < MOST_SEARCHED && next !== null && entries.length < PAGE; page++) {
    const query: URLSearchParams = new URLSearchParams({ from: String(next), limit: String(PAGE - entries.length) });
    for (const [name, value] of Object.entries(criteria)) {
      query.set(name, name === 'since' || name === 'until' ? `${value.length === 16 ? `${value}:00` : value}Z` : value);
    }
    const answer = await ask(`${logPath(log)}/entries?${query}`, entriesAnswer, { signal });
    entries.push(...answer.entries);
    next = answer.next ?? null;
  }
  return { entries, next };
}

/** Offers to make the log that is not there, to those who may. */
function NoLog({ name, onMade }: { readonly name: string; readonly onMade: () => void }) {
  const failure = useSignal<string | null>(null);
  const make = async (): Promise<void> => {
    try {
      await ask(logPath(name), logAnswer, { method: 'PUT' });
      onMade();
    } catch (error) {
      failure.value = messageOf(error);
    }
  };
  return (
    <div class="stack tight">
      <p role="alert">{`There is no log ${visible(name, 64)}.`}</p>
      {may('admin') && (
        <p>
          <button type="button" class="button first" onClick={make}>
            {`Make the log ${visible(name, 64)}`}
          </button>
        </p>
      )}
      <Failure of={failure} />
    </div>
  );
}

function Description({ log }: { readonly log: LogAnswer }) {
  return (
    <dl class="facts card">
      <div>
        <dt>Origin</dt>
        <dd>
          <Copyable text={log.origin} what="the origin" />
        </dd>
      </div>
      <div>
        <dt>Verifier key</dt>
        <dd>
          <Copyable text={log.verifierKey} what="the verifier key" />
        </dd>
      </div>
      <div>
        <dt>Entries</dt>
        <dd>{`${formatCount(log.size)}, ${log.blinded ? 'blinded' : 'not blinded'}`}</dd>
      </div>
      <div>
        <dt>Root</dt>
        <dd>
          <Copyable text={log.root} what="the root" />
        </dd>
      </div>
      <div>
        <dt>Last anchor</dt>
        <dd>
          {log.anchored === undefined ? (
            'none yet'
          ) : (
            <>
              {`the first ${formatCount(log.anchored.size)} by `}
              <a href={href.round(log.anchored.round)}>{`round ${formatCount(log.anchored.round)}`}</a>
              {log.anchored.status === 'finalized' ? ', final, ' : ', not final yet, '}
              <Ago time={log.anchored.time} />
            </>
          )}
        </dd>
      </div>
      <div>
        <dt>Made</dt>
        <dd>
          <LocalTime time={log.createdAt} />
        </dd>
      </div>
      {log.name !== '_system' && <Keeping log={log.name} />}
    </dl>
  );
}

function EntryTable({ log, entries }: Shown) {
  return (
    <div class="card table">
      <table>
        <caption class="sr">Entries, newest first</caption>
        <thead>
          <tr>
            <th scope="col" class="number">
              Index
            </th>
            <th scope="col">Received</th>
            <th scope="col">Digest</th>
            <th scope="col" class="spare">
              Content
            </th>
            <th scope="col">Anchor</th>
          </tr>
        </thead>
        <tbody>
          {entries.map((entry) => (
            <tr key={entry.index}>
              <th scope="row" class="number">
                <a href={href.entry(log.name, entry.index)}>{formatCount(entry.index)}</a>
              </th>
              <td>
                <Ago time={entry.receivedAt} />
              </td>
              <td>{entry.digest === null ? <span class="soft">erased</span> : <ShortBytes text={entry.digest} />}</td>
              <td class="spare soft small">{contentOf(entry)}</td>
              <td>
                <EntryChip index={entry.index} log={log} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function contentOf({ erased, payloadSize }: EntryAnswer): string {
  if (erased) return 'erased';
  return payloadSize === null ? 'not stored' : formatBytes(payloadSize);
}

function EntryChip({ index, log: { anchored } }: { readonly index: number; readonly log: LogAnswer }) {
  if (anchored === undefined || index >= anchored.size) return <Chip status="pending" />;
  return <Chip status={anchored.status === 'finalized' ? 'final' : 'included'} />;
}

function Pager({ log, entries, end }: Shown) {
  const first = entries.at(-1)?.index ?? 0;
  if (first === 0 && end >= log.size) return null;
  return (
    <nav class="row" aria-label="More entries">
      {end < log.size && (
        <a class="button" href={end + PAGE >= log.size ? href.log(log.name) : href.log(log.name, end + PAGE)}>
          Newer
        </a>
      )}
      {first > 0 && (
        <a class="button" href={href.log(log.name, first)}>
          Older
        </a>
      )}
      <span class="soft small">
        {entries.length > 0 && `${formatCount(first)} to ${formatCount(end - 1)} of ${formatCount(log.size)}`}
      </span>
    </nav>
  );
}
