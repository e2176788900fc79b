import { useSignal } from '@preact/signals';
import {
  type Anchor,
  type AnchorOf,
  isFinalAnchor,
  knownAnchors,
  parseReceipt,
  type Receipt,
} from '../../core/receipt.ts';
import { Copyable } from '../parts/bytes.tsx';
import { chainName } from '../parts/chains.ts';
import { openVerifier } from '../parts/handover.ts';
import { Chip, type Status } from '../parts/mark.tsx';
import { LocalTime } from '../parts/moment.tsx';
import { formatBytes, formatCount, formatMoment } from '../parts/units.ts';
import { visible } from '../parts/visible.ts';
import { Knot } from './anchor-status.tsx';
import { type EntryAnswer, entryAnswer } from './answers.ts';
import { ask, logPath, send } from './api.ts';
import { ErasedNotice } from './erased.tsx';
import { Failure, Loading } from './notice.tsx';
import { PayloadText } from './payload.tsx';
import { usePolled } from './polled.ts';
import { nextStage, reachedBy } from './progress.ts';
import { href } from './router.ts';

interface Shown {
  readonly entry: EntryAnswer;
  /** Null for an erased entry. */
  readonly receipt: Receipt | null;
}

/** Seconds that the service may hold a request while nothing changes. */
const WAIT = 25;

/** One entry and its receipt, which is updated until it is final. */
export function EntryDetails({ log, index }: { readonly log: string; readonly index: number }) {
  const path = `${logPath(log)}/entries/${index}`;
  const known = useSignal<Receipt | null>(null);
  const { data, failure } = usePolled<Shown>(
    path,
    async (signal) => {
      const entry = await ask(path, entryAnswer, { signal });
      if (entry.erased) return { entry, receipt: null };
      const stage = known.value === null ? null : nextStage(known.value);
      const wait = stage === null ? '' : `?wait=${WAIT}&until=${stage}`;
      const receipt = parseReceipt(await (await send(`${path}/receipt${wait}`, { signal })).json());
      known.value = receipt;
      return { entry, receipt };
    },
    ({ receipt }) => (receipt === null || nextStage(receipt) === null ? null : 500),
  );
  const shown = data.value;
  return (
    <>
      <div class="stack tight">
        <h1 tabIndex={-1}>
          {`Entry ${formatCount(index)} `}
          <span class="soft">of </span>
          <a class="bytes" href={href.log(log)}>
            {visible(log, 64)}
          </a>
        </h1>
      </div>
      <Failure of={failure} />
      {shown === null && failure.value === null && <Loading />}
      {shown !== null && (
        <>
          {shown.receipt === null ? (
            <ErasedNotice log={shown.entry.log} index={index} />
          ) : (
            <>
              <Road receipt={shown.receipt} />
              <Downloads
                path={path}
                name={`${log}-${index}`}
                receipt={shown.receipt}
                stored={shown.entry.payloadSize !== null}
              />
            </>
          )}
          <Facts entry={shown.entry} />
          {shown.entry.payloadSize !== null && <PayloadText path={path} size={shown.entry.payloadSize} />}
        </>
      )}
    </>
  );
}

/** The entry's progress, as the service reports it. */
function Road({ receipt }: { readonly receipt: Receipt }) {
  const reached = reachedBy(receipt);
  const round = 'round' in receipt ? receipt.round : null;
  const anchors = knownAnchors(receipt);
  const state = reached.finalized ? 'final' : reached.included ? 'included' : reached.round ? 'submitted' : 'pending';
  return (
    <section class="stack" aria-labelledby="road-title">
      <div class="row spread">
        <h2 id="road-title">Receipt</h2>
        <div role="status">
          <Chip status={state}>{ROAD_WORDS[state]}</Chip>
        </div>
      </div>
      <ol class="timeline road">
        <Station status="final" title="Logged">
          {`at index ${formatCount(receipt.entry.index)}, ${formatMoment(receipt.entry.receivedAt)} by the service's clock`}
        </Station>
        <Station status={round === null ? 'pending' : 'final'} title="Rolled into a round">
          {round === null ? (
            'when the next one closes'
          ) : (
            <>
              <a href={href.round(round.number)}>{`round ${formatCount(round.number)}`}</a>
              {`, closed ${formatMoment(round.closedAt)}`}
            </>
          )}
        </Station>
        {anchors.length === 0 && (
          <Station status="pending" title="Anchored to a chain">
            {expected(receipt)}
          </Station>
        )}
        {anchors.map((anchor) => (
          <Station
            key={`${anchor.type} ${whereOf(anchor.type, anchor)}`}
            status={anchorStatus(anchor)}
            title={`Anchored to ${whereOf(anchor.type, anchor)}`}
          >
            {wordsOf(anchor.type, anchor, receipt)}
          </Station>
        ))}
        {'round' in receipt && receipt.storedPath !== undefined && (
          <Station status="final" title="Open to contracts">
            {'by way of '}
            <a href={href.round(receipt.storedPath.round)}>{`round ${formatCount(receipt.storedPath.round)}`}</a>
            {`, whose root the contract on ${chainName(receipt.storedPath.chain)} has stored`}
          </Station>
        )}
      </ol>
    </section>
  );
}

const ROAD_WORDS = {
  pending: 'waiting for its round',
  submitted: 'waiting for a block',
  included: 'in a block, not final yet',
  final: 'final',
} as const;

function Station(props: {
  readonly status: Status;
  readonly title: string;
  readonly children: preact.ComponentChildren;
}) {
  return (
    <li>
      <Knot status={props.status} />
      <div class="station">
        <strong>{props.title}</strong>
        <span class="soft">{props.children}</span>
      </div>
    </li>
  );
}

/** How each type of anchor is shown. */
const SHOWN: {
  readonly [T in Anchor['type']]: {
    where(anchor: AnchorOf[T]): string;
    says(anchor: AnchorOf[T], receipt: Receipt): string;
  };
} = {
  evm: {
    where: ({ chain }) => chainName(chain),
    says(anchor, receipt) {
      if (anchor.status === 'submitted') return `sent, ${expected(receipt)}`;
      const block = `block ${formatCount(anchor.block.number)} of ${formatMoment(anchor.block.time)}`;
      return anchor.status === 'finalized' ? `${block}, final` : `${block}, which may still be replaced`;
    },
  },
  rfc3161: {
    where: ({ authority }) => visible(authority, 200),
    says: ({ time }) => `signed ${formatMoment(time)}`,
  },
  opentimestamps: {
    where({ blocks: [block] = [] }) {
      return block === undefined ? 'Bitcoin, by OpenTimestamps' : chainName(block.chain);
    },
    says({ blocks: [block] = [] }) {
      if (block === undefined) return 'sent to calendars; a Bitcoin block takes some hours';
      return `block ${formatCount(block.height)} of ${formatMoment(block.time)}`;
    },
  },
};

function whereOf<T extends Anchor['type']>(type: T, anchor: AnchorOf[T]): string {
  return SHOWN[type].where(anchor);
}

function wordsOf<T extends Anchor['type']>(type: T, anchor: AnchorOf[T], receipt: Receipt): string {
  return SHOWN[type].says(anchor, receipt);
}

function anchorStatus(anchor: Anchor): Status {
  if (isFinalAnchor(anchor)) return 'final';
  return anchor.status === 'included' ? 'included' : 'submitted';
}

function expected({ expectedBy }: Receipt): string {
  return expectedBy === undefined ? 'not yet' : `expected by ${formatMoment(expectedBy)}`;
}

function Downloads({
  path,
  name,
  receipt,
  stored,
}: {
  readonly path: string;
  readonly name: string;
  readonly receipt: Receipt;
  /** Whether the log has the content. */
  readonly stored: boolean;
}) {
  const verify = (event: Event): void => {
    event.preventDefault();
    openVerifier(async () => {
      const files = [new File([JSON.stringify(receipt)], `${name}.receipt.json`, { type: 'application/json' })];
      if (stored) files.push(new File([await (await send(`${path}/payload`)).blob()], name));
      return files;
    });
  };
  return (
    <div class="row">
      <a class="button first" href={`${path}/receipt`} download={`${name}.receipt.json`}>
        Download the receipt
      </a>
      {knownAnchors(receipt).some(({ type }) => type === 'opentimestamps') && (
        <a class="button" href={`${path}/receipt.ots`} download={`${name}.ots`}>
          As .ots
        </a>
      )}
      <a class="button" href="verify" onClick={verify}>
        Verify it
      </a>
    </div>
  );
}

function Facts({ entry }: { readonly entry: EntryAnswer }) {
  const hashes: [string, string | null][] = [
    ['Digest (SHA-256)', entry.digest],
    ['Nonce', entry.nonce === '' ? null : entry.nonce],
    ['Commitment', entry.commitment],
    ['Leaf hash', entry.leafHash],
  ];
  return (
    <section class="stack" aria-labelledby="facts-title">
      <h2 id="facts-title">Entry</h2>
      <dl class="facts card">
        <div>
          <dt>Received</dt>
          <dd>
            <LocalTime time={entry.receivedAt} />
          </dd>
        </div>
        {hashes.map(([name, value]) =>
          value === null ? null : (
            <div key={name}>
              <dt>{name}</dt>
              <dd>
                <Copyable text={value} what={`the ${name.toLowerCase()}`} />
              </dd>
            </div>
          ),
        )}
        <div>
          <dt>Content</dt>
          <dd>
            {entry.erased
              ? 'erased'
              : entry.payloadSize === null
                ? 'not stored: only the digest was sent'
                : formatBytes(entry.payloadSize)}
          </dd>
        </div>
      </dl>
    </section>
  );
}
