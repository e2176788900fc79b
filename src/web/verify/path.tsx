import { isTestChain } from '../../core/test-chain.ts';
import type { Claim } from '../../core/verdict.ts';
import { Bytes } from '../parts/bytes.tsx';
import { Chip, STATUS_WORDS, StatusMark } from '../parts/mark.tsx';
import { visible } from '../parts/visible.ts';
import type { Fact } from './facts.ts';
import { forPeople } from './sentences.ts';
import type { PathStage } from './stage.ts';

/**
 * The path from the file to the blocks, drawn once. What does not bear on the time hangs beside it; anchors stand side by
 * side at its end, since each of them is enough. Each stage opens to the bytes it is about.
 */
export function Path({ steps }: { readonly steps: readonly PathStage[] }) {
  const main = steps.filter(({ place }) => place === undefined);
  const beside = steps.filter(({ place }) => place === 'beside');
  const anchors = steps.filter(({ place }) => place === 'anchor');
  return (
    <ol class="path" aria-label="The path from the file to the block">
      {main.map((step) => (
        <li key={step.id} class={`status ${step.status}`}>
          <Knot status={step.status} />
          <div class="level">
            <Stage step={step} />
            {step.id === 'entry' && beside.map((each) => <Stage key={each.id} step={each} />)}
          </div>
        </li>
      ))}
      {anchors.length > 0 && (
        <li class={`status ${reached(anchors)}${onTestChains(anchors) ? ' test' : ''}`}>
          <Knot status={reached(anchors)} />
          <div>
            {anchors.length > 1 && <p class="small soft any">Any one of these is enough:</p>}
            <div class="anchors">
              {anchors.map((step) => (
                <Stage key={step.id} step={step} />
              ))}
            </div>
          </div>
        </li>
      )}
    </ol>
  );
}

function reached(anchors: readonly PathStage[]): PathStage['status'] {
  if (anchors.some(({ status }) => status === 'verified')) return 'verified';
  return anchors.some(({ status }) => status === 'refuted') ? 'refuted' : 'unverified';
}

/** Whether all that is proven is proven by chains that prove nothing to others. */
function onTestChains(anchors: readonly PathStage[]): boolean {
  const proving = anchors.filter(({ status }) => status === 'verified');
  return proving.length > 0 && proving.every(({ chain }) => chain !== undefined && isTestChain(chain));
}

function Knot({ status }: { readonly status: PathStage['status'] }) {
  return (
    <span class="knot">
      <StatusMark status={status} />
    </span>
  );
}

function Stage({ step }: { readonly step: PathStage }) {
  const test = step.chain !== undefined && isTestChain(step.chain);
  const optional = step.place === 'beside';
  return (
    <details
      class={`stage status ${step.status}${test ? ' test' : ''}${optional ? ' optional' : ''}`}
      id={`step-${step.id}`}
    >
      <summary>
        <span class="row spread">
          <span>
            <span class="title">{visible(step.title, 200)}</span>
            <span class="gist">{visible(step.gist, 300)}</span>
          </span>
          <Chip status={step.status}>{optional && step.status === 'unverified' ? 'not checked' : undefined}</Chip>
        </span>
        {test && <span class="small tone">A test chain: it proves nothing to others.</span>}
        {optional && <span class="small soft">Optional: the date does not depend on it.</span>}
        {step.claims.map((claim) => (
          <Sentence key={claim.code + claim.says} claim={claim} plain={step.claims.length === 1} />
        ))}
      </summary>
      <div class="inside">
        {step.leaf !== undefined && <TreePicture {...step.leaf} />}
        {step.facts.length > 0 && <Facts facts={step.facts} />}
      </div>
    </details>
  );
}

const GROUNDS: Readonly<Record<Claim['grounds'], string>> = {
  bytes: 'Based on the bytes alone.',
  key: 'Based on the key you gave.',
  rpc: 'Based on the node you named.',
  'block-hash': 'Based on the block that you confirmed.',
  'bitcoin-node': 'Based on the Bitcoin node you named.',
  esplora: 'Based on the Esplora server you named.',
  tsa: 'Based on the timestamp authority you trust.',
  service: 'Based on what the service that you named says of itself.',
  none: '',
};

/** A block that was not confirmed has its place in the form; its hash is not shown here to be copied from the receipt. */
function sentenceOf({ claim, code, says }: Claim): string {
  const unasked = claim === 'anchor' && (code === 'no-source' || code === 'bitcoin-source-missing');
  if (unasked) return 'This block was not confirmed.';
  return forPeople(says.replace(/^The given digest is/, 'Its digest is'));
}

/** The earliest time of the round, which was not asked for. */
function isOptional({ claim, status, grounds }: Claim): boolean {
  return claim === 'not-before' && status === 'unverified' && grounds === 'none';
}

function Sentence({ claim, plain }: { readonly claim: Claim; readonly plain: boolean }) {
  return (
    <span class={`sentence status ${claim.status}`}>
      {!plain && (
        <>
          <StatusMark status={claim.status} />
          <span class="sr">{`${isOptional(claim) ? 'not checked' : STATUS_WORDS[claim.status]}: `}</span>
        </>
      )}
      <span>
        {sentenceOf(claim)} <span class="grounds">{GROUNDS[claim.grounds]}</span>
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
