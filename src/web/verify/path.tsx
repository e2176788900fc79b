import type { Claim } from '../../core/verdict.ts';
import { Bytes } from '../parts/bytes.tsx';
import { Chip, STATUS_WORDS, StatusMark } from '../parts/mark.tsx';
import { visible } from '../parts/visible.ts';
import type { Fact } from './facts.ts';
import type { PathStage } from './steps.ts';

/** The path at a glance: a row of stations that forks to the chains. Each station links to its step below. */
export function Strip({ steps }: { readonly steps: readonly PathStage[] }) {
  const chains = steps.filter(({ id }) => id.startsWith('chain'));
  return (
    <nav class="strip" aria-label="The path, step by step">
      <ol>
        {steps
          .filter((step) => !chains.includes(step))
          .map((step) => (
            <Station key={step.id} step={step} />
          ))}
        {chains.length > 0 && (
          <li class={`fork${chains.length > 1 ? ' many' : ''}`}>
            <ol>
              {chains.map((step) => (
                <Station key={step.id} step={step} />
              ))}
            </ol>
          </li>
        )}
      </ol>
    </nav>
  );
}

function Station({ step }: { readonly step: PathStage }) {
  return (
    <li class={`station status ${step.status}`}>
      <a href={`#step-${step.id}`} onClick={(event) => open(event, step.id)}>
        <StatusMark status={step.status} />
        <span class="title">{visible(step.title, 60)}</span>
        <span class="sr">{`, ${STATUS_WORDS[step.status]}`}</span>
      </a>
    </li>
  );
}

function open(event: Event, id: string): void {
  event.preventDefault();
  const step = document.getElementById(`step-${id}`);
  if (!(step instanceof HTMLDetailsElement)) return;
  step.open = true;
  step.scrollIntoView({ block: 'nearest' });
  step.querySelector('summary')?.focus();
}

/** The steps with their claims; each can be opened to show its bytes. */
export function Steps({ steps }: { readonly steps: readonly PathStage[] }) {
  return (
    <ol class="steps">
      {steps.map((step) => (
        <li key={step.id} class={`status ${step.status}`}>
          <span class="knot">
            <StatusMark status={step.status} />
          </span>
          <details class="step" id={`step-${step.id}`}>
            <summary>
              <span class="row spread">
                <span>
                  <span class="title">{visible(step.title, 200)}</span>
                  <span class="gist">{visible(step.gist, 300)}</span>
                </span>
                <Chip status={step.status} />
              </span>
              {step.claims.map((claim) => (
                <Sentence key={claim.code + claim.says} claim={claim} plain={step.claims.length === 1} />
              ))}
            </summary>
            <div class="inside">
              {step.leaf !== undefined && <TreePicture {...step.leaf} />}
              {step.facts.length > 0 && <Facts facts={step.facts} />}
            </div>
          </details>
        </li>
      ))}
    </ol>
  );
}

const GROUNDS: Readonly<Record<Claim['grounds'], string>> = {
  bytes: 'Based on the bytes alone.',
  key: 'Based on the key you gave.',
  rpc: 'Based on the node you named.',
  'block-hash': 'Based on the block hash you gave.',
  'bitcoin-node': 'Based on the Bitcoin node you named.',
  esplora: 'Based on the Esplora server you named.',
  none: '',
};

function Sentence({ claim, plain }: { readonly claim: Claim; readonly plain: boolean }) {
  return (
    <span class={`sentence status ${claim.status}`}>
      {!plain && (
        <>
          <StatusMark status={claim.status} />
          <span class="sr">{`${STATUS_WORDS[claim.status]}: `}</span>
        </>
      )}
      <span>
        {visible(claim.says, 2_000)} <span class="grounds">{GROUNDS[claim.grounds]}</span>
      </span>
    </span>
  );
}

function Facts({ facts }: { readonly facts: readonly Fact[] }) {
  return (
    <dl class="facts">
      {facts.map(({ name, value, form }) => (
        <div key={name + value}>
          <dt>{name}</dt>
          {form === 'bytes' ? (
            value.split('\n').map((line) => (
              <dd key={line}>
                <Bytes text={line} />
              </dd>
            ))
          ) : (
            <dd>{form === 'plain' ? visible(value) : <pre>{visible(value, 16_384)}</pre>}</dd>
          )}
        </div>
      ))}
    </dl>
  );
}

const WIDTH = 320;
const ROW = 22;

/** A picture of the path from the leaf to the root, with the siblings. */
function TreePicture({ index, size }: { readonly index: number; readonly size: number }) {
  const way = wayUp(index, size);
  const height = way.length * ROW + 8;
  const at = (x: number, level: number): [number, number] => [12 + x * (WIDTH - 24), height - 14 - level * ROW];
  const points = way.map(({ x }, level) => at(x, level));
  return (
    <svg
      class="tree"
      viewBox={`0 0 ${WIDTH} ${height}`}
      role="img"
      aria-label={`Leaf ${index} of ${size} and its path to the root`}
    >
      {way.map(({ sibling }, level) => {
        const up = points[level + 1];
        if (sibling === null || up === undefined) return null;
        const [x, y] = at(sibling, level);
        return (
          <g key={up[1]} class="beside">
            <path d={`M${x} ${y}L${up[0]} ${up[1]}`} />
            <rect x={x - 4} y={y - 4} width="8" height="8" rx="1.5" />
          </g>
        );
      })}
      <path class="way" d={`M${points.map(([x, y]) => `${x} ${y}`).join('L')}`} />
      {points.map(([x, y]) => (
        <circle key={y} class="way" cx={x} cy={y} r="5" />
      ))}
    </svg>
  );
}

/** A node on the path and its sibling (null at the root); x from 0 to 1. */
interface WayPoint {
  readonly x: number;
  readonly sibling: number | null;
}

/** From the leaf to the root, at most 54 points (RFC 9162 section 2.1.1 splits at the largest power of two below). */
function wayUp(index: number, size: number): WayPoint[] {
  const way: WayPoint[] = [];
  let [low, high] = [0, size];
  let sibling: number | null = null;
  const middle = (from: number, to: number): number => (from + to) / 2 / size;
  for (;;) {
    way.unshift({ x: middle(low, high), sibling });
    if (high - low <= 1) return way;
    let split = 1;
    while (split * 2 < high - low) split *= 2;
    const right = index >= low + split;
    sibling = right ? middle(low, low + split) : middle(low + split, high);
    [low, high] = right ? [low + split, high] : [low, low + split];
  }
}
