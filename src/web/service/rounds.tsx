import { useSignal } from '@preact/signals';
import { messageOf } from '../../core/errors.ts';
import { Copyable } from '../parts/bytes.tsx';
import { chainName } from '../parts/chains.ts';
import { StatusMark } from '../parts/mark.tsx';
import { Ago, LocalTime } from '../parts/moment.tsx';
import { formatCount, formatWei } from '../parts/units.ts';
import { visible } from '../parts/visible.ts';
import { AnchorLine, Knot, RoundStrip, roundStatus } from './anchor-status.tsx';
import { type AnchorState, type ListedRound, roundAnswer, roundsAnswer } from './answers.ts';
import { ask } from './api.ts';
import { Failure, Loading } from './notice.tsx';
import { usePolled } from './polled.ts';
import { href } from './router.ts';
import { pace } from './session.ts';

/** The timeline of rounds, newest first. */
export function Rounds() {
  const { data, failure } = usePolled(
    'rounds',
    (signal) => ask('v1/rounds?limit=40', roundsAnswer, { signal }),
    () => pace.value,
  );
  const older = useSignal<readonly ListedRound[]>([]);
  const trouble = useSignal<string | null>(null);
  const newest = data.value?.rounds ?? [];
  const known = new Set(newest.map(({ number }) => number));
  const rounds = [...newest, ...older.value.filter(({ number }) => !known.has(number))];
  const last = rounds.at(-1)?.number ?? 1;
  const showOlder = async (): Promise<void> => {
    try {
      const { rounds: found } = await ask(`v1/rounds?limit=40&before=${last}`, roundsAnswer);
      older.value = [...older.value, ...found];
    } catch (error) {
      trouble.value = messageOf(error);
    }
  };
  return (
    <>
      <div class="stack tight">
        <h1 tabIndex={-1}>Rounds</h1>
        <p class="lead">Each round puts the heads of all logs under one root, which is then anchored.</p>
      </div>
      <Failure of={failure} />
      {data.value === null && failure.value === null && <Loading />}
      {data.value !== null && rounds.length === 0 && <p class="soft">No round has closed yet.</p>}
      {newest.length > 0 && <RoundStrip rounds={newest} />}
      {rounds.length > 0 && <RoundList rounds={rounds} />}
      <Failure of={trouble} />
      {rounds.length > 0 && last > 1 && (
        <button type="button" class="button" onClick={showOlder}>
          Show older ones
        </button>
      )}
    </>
  );
}

export function RoundList({ rounds }: { readonly rounds: readonly ListedRound[] }) {
  return (
    <ol class="timeline">
      {rounds.map((round) => (
        <li key={round.number}>
          <Knot status={roundStatus(round)} />
          <div class="round">
            <div>
              <a class="number" href={href.round(round.number)}>
                {`Round ${formatCount(round.number)}`}
              </a>
              <span class="soft small">
                {`${formatCount(round.size)} leaves, closed `}
                <Ago time={round.closedAt} />
              </span>
            </div>
            <div class="anchors">
              {round.anchors.length === 0 && <span class="soft small">anchored nowhere</span>}
              {round.anchors.map((anchor) => (
                <AnchorLine key={anchor.target} anchor={anchor} closedAt={round.closedAt} />
              ))}
            </div>
          </div>
        </li>
      ))}
    </ol>
  );
}

/** One round with all its details. */
export function RoundPage({ number }: { readonly number: number }) {
  const { data, failure } = usePolled(
    `round ${number}`,
    (signal) => ask(`v1/rounds/${number}`, roundAnswer, { signal }),
    (round) => (['final', 'unverified'].includes(roundStatus(round)) ? null : pace.value),
  );
  const round = data.value;
  return (
    <>
      <div class="stack tight">
        <h1 tabIndex={-1}>{`Round ${formatCount(number)}`}</h1>
        <nav class="row" aria-label="Neighbours">
          {number > 1 && <a href={href.round(number - 1)}>{`Round ${formatCount(number - 1)}`}</a>}
          <a href={href.rounds}>All rounds</a>
          <a href={href.round(number + 1)}>{`Round ${formatCount(number + 1)}`}</a>
        </nav>
      </div>
      <Failure of={failure} />
      {round === null && failure.value === null && <Loading />}
      {round !== null && (
        <>
          <dl class="facts card">
            <div>
              <dt>Closed</dt>
              <dd>
                <LocalTime time={round.closedAt} />
              </dd>
            </div>
            <div>
              <dt>Root</dt>
              <dd>
                <Copyable text={round.root} what="the root" />
              </dd>
            </div>
            <div>
              <dt>Root of the one before</dt>
              <dd>
                <Copyable text={round.previousRoot} what="the root of the round before" />
              </dd>
            </div>
            <div>
              <dt>Leaves</dt>
              <dd>{`${formatCount(round.size)}: the link and ${formatCount(round.size - 1)} more`}</dd>
            </div>
            {round.beacons.map(({ chain, height, hash }) => (
              <div key={chain}>
                <dt>Formed after</dt>
                <dd>
                  {`block ${formatCount(height)} of ${chainName(chain)} `}
                  <Copyable text={hash} what="the hash of the block" />
                </dd>
              </div>
            ))}
          </dl>
          <section class="stack" aria-labelledby="anchors-title">
            <h2 id="anchors-title">Anchors</h2>
            {round.anchors.length === 0 && <p class="soft">The round is not anchored: no chain is configured.</p>}
            {round.anchors.map((anchor) => (
              <AnchorCard key={anchor.target} anchor={anchor} closedAt={round.closedAt} />
            ))}
          </section>
        </>
      )}
    </>
  );
}

function AnchorCard({ anchor, closedAt }: { readonly anchor: AnchorState; readonly closedAt: string }) {
  const { block, transaction, contract, cost, proofProblem, chain, finalizedAt } = anchor;
  const facts: [string, preact.ComponentChild][] = [['Chain', chain]];
  if (contract !== undefined)
    facts.push(['Contract', <Copyable key="c" text={contract} what="the contract's address" />]);
  if (transaction != null) {
    facts.push(['Transaction', <Copyable key="t" text={transaction} what="the transaction's hash" />]);
  }
  if (block !== null) {
    facts.push(['Block', `${formatCount(block.number)}`]);
    facts.push(['Hash of the block', <Copyable key="h" text={block.hash} what="the hash of the block" />]);
    facts.push(['Time of the block', <LocalTime key="m" time={block.time} />]);
  }
  if (finalizedAt !== null) facts.push(['Final', <LocalTime key="f" time={finalizedAt} />]);
  if (cost != null) facts.push(['Cost', `${formatWei(cost)} (${cost} wei)`]);
  return (
    <div class="card stack">
      <AnchorLine anchor={anchor} closedAt={closedAt} />
      <dl class="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {proofProblem != null && (
        <p class="status submitted soft">
          <StatusMark status="trouble" /> {`There is no proof of its block: ${visible(proofProblem, 600)}`}
        </p>
      )}
    </div>
  );
}
