import { effect } from '@preact/signals';
import { render } from 'preact';
import { useEffect } from 'preact/hooks';
import * as z from 'zod/mini';
import { Emblem } from '../parts/mark.tsx';
import { visible } from '../parts/visible.ts';
import { EntryDetails } from './entry.tsx';
import { Find } from './find.tsx';
import { LogPage } from './log.tsx';
import { Loading } from './notice.tsx';
import { Overview } from './overview.tsx';
import { RoundPage, Rounds } from './rounds.tsx';
import { href, type Route, route } from './router.ts';
import { admitted, loadSession, may, ownLogs, session, signOut } from './session.ts';
import { SignIn } from './sign-in.tsx';
import { SourcesPage } from './sources.tsx';
import { Stamp } from './stamp.tsx';

// The page's content security policy forbids `eval`.
z.config({ jitless: true });

function App() {
  return (
    <>
      <button type="button" class="skip button" onClick={focusTitle}>
        Skip to the content
      </button>
      <header class="masthead">
        <div class="frame">
          <a class="brand" href={href.overview}>
            <Emblem />
            <span>Antequem</span>
          </a>
          <nav aria-label="Pages">
            <ul class="menu">
              {admitted.value && (
                <>
                  <Item to={href.overview} label="Overview" here={route.value.page === 'overview'} />
                  {ownLogs.value === null && may('read') && (
                    <Item to={href.rounds} label="Rounds" here={['rounds', 'round'].includes(route.value.page)} />
                  )}
                  {ownLogs.value === null && may('admin') && (
                    <Item to={href.sources} label="Sources" here={route.value.page === 'sources'} />
                  )}
                  {may('append') && <Item to={href.stamp} label="Stamp" here={route.value.page === 'stamp'} />}
                </>
              )}
              <Item to="verify" label="Verifier" here={false} />
            </ul>
          </nav>
          <Who />
        </div>
      </header>
      <main class="frame" id="main">
        <Page />
      </main>
    </>
  );
}

function Item({ to, label, here }: { readonly to: string; readonly label: string; readonly here: boolean }) {
  return (
    <li>
      <a href={to} aria-current={here ? 'page' : undefined}>
        {label}
      </a>
    </li>
  );
}

function Who() {
  const { key, origin } = session.value ?? { key: null };
  return (
    <div class="who small">
      {origin !== undefined && <span class="soft">{visible(origin, 100)}</span>}
      {key !== null && (
        <>
          <span class="soft">{visible(key.name, 60)}</span>
          <button type="button" class="button quiet" onClick={signOut}>
            Sign out
          </button>
        </>
      )}
    </div>
  );
}

function Page() {
  const current = route.value;
  useEffect(focusLater, [current]);
  if (session.value === null) return <Loading />;
  if (!admitted.value) return <SignIn />;
  switch (current.page) {
    case 'overview':
      return may('read') ? <Overview /> : <Stamp />;
    case 'rounds':
      return <Rounds />;
    case 'round':
      return <RoundPage number={current.number} />;
    case 'log':
      return <LogPage name={current.log} until={current.until} criteria={current.criteria} from={current.from} />;
    case 'entry':
      return <EntryDetails log={current.log} index={current.index} />;
    case 'find':
      return <Find digest={current.digest} />;
    case 'sources':
      return <SourcesPage />;
    case 'stamp':
      return <Stamp />;
    case 'unknown':
      return (
        <div class="stack tight">
          <h1 tabIndex={-1}>There is nothing here</h1>
          <p>
            <a href={href.overview}>Back to the overview</a>
          </p>
        </div>
      );
  }
}

function titleOf(current: Route): string {
  switch (current.page) {
    case 'round':
      return `Round ${current.number}`;
    case 'log':
      return `Log ${current.log}`;
    case 'entry':
      return `Entry ${current.index} of ${current.log}`;
    default:
      return {
        overview: 'Overview',
        rounds: 'Rounds',
        sources: 'Sources',
        stamp: 'Stamp',
        find: 'Find',
        unknown: 'Nothing',
      }[current.page];
  }
}

let first = true;

/** Moves the focus to the new page's title, so that screen readers announce the change. */
function focusLater(): void {
  if (!first) focusTitle();
  first = false;
}

function focusTitle(): void {
  scrollTo(0, 0);
  document.querySelector('h1')?.focus();
}

effect(() => {
  document.title = `${admitted.value ? titleOf(route.value) : 'Sign in'} · Antequem`;
});

const page = document.getElementById('page');
if (page !== null) {
  page.replaceChildren();
  render(<App />, page);
  void loadSession();
}
