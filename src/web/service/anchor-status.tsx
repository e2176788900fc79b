// The status of anchors and rounds, in words and shapes.

import { chainName } from '../parts/chains.ts';
import { Chip, type Status, StatusMark } from '../parts/mark.tsx';
import { Age } from '../parts/moment.tsx';
import { formatCount, formatSpan, formatWei } from '../parts/units.ts';
import { visible } from '../parts/visible.ts';
import type { AnchorState, ListedRound } from './answers.ts';

function statusOf({ status, problem }: Pick<AnchorState, 'status' | 'problem'>): Status {
  if (status === 'finalized') return 'final';
  return problem === null ? status : 'trouble';
}

const ORDER: readonly Status[] = ['trouble', 'final', 'included', 'submitted', 'pending'];

/** One final anchor is enough for `final`; trouble with another anchor is still shown. */
export function roundStatus({ anchors }: Pick<ListedRound, 'anchors'>): Status {
  const statuses = anchors.map(statusOf);
  return ORDER.find((status) => statuses.includes(status)) ?? 'unverified';
}

const WORDS: Readonly<Partial<Record<Status, string>>> = {
  pending: 'waiting to be sent',
  submitted: 'sent, not in a block yet',
  included: 'in a block, not final yet',
  final: 'final',
  trouble: 'in trouble',
};

/** One anchor: its chain, status, duration and cost. */
export function AnchorLine({ anchor, closedAt }: { readonly anchor: AnchorState; readonly closedAt: string }) {
  const status = statusOf(anchor);
  const { block, cost, finalizedAt, problem } = anchor;
  return (
    <div class="anchor">
      <span class="where">
        {chainName(anchor.chain)}
        {block !== null && <span class="soft">{` block ${formatCount(block.number)}`}</span>}
      </span>
      <Chip status={status}>{WORDS[status]}</Chip>
      <span class="soft small">
        {finalizedAt === null ? (
          <>
            {'for '}
            <Age time={closedAt} />
          </>
        ) : (
          `took ${formatSpan(Date.parse(finalizedAt) - Date.parse(closedAt))}`
        )}
      </span>
      <span class="cost small">{cost == null ? '' : formatWei(cost)}</span>
      {problem !== null && status === 'trouble' && <p class="problem small">{visible(problem, 600)}</p>}
    </div>
  );
}

/** Rounds as a row of small marks, oldest first. It is hidden from screen readers: the list has the same content. */
export function RoundStrip({ rounds }: { readonly rounds: readonly ListedRound[] }) {
  return (
    <div class="pulse" aria-hidden="true">
      {rounds.toReversed().map((round) => (
        <span key={round.number} class={`status ${roundStatus(round)}`} title={`Round ${round.number}`} />
      ))}
    </div>
  );
}

export function Knot({ status }: { readonly status: Status }) {
  return (
    <span class={`status ${status} knot`}>
      <StatusMark status={status} />
    </span>
  );
}
