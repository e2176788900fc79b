import { SYSTEM_LOG } from '../../core/origin.ts';
import { FAULTS, type FaultCode } from './codes.ts';

/** One thing that is wrong, at the first place where it is. */
export interface Finding {
  readonly code: FaultCode;
  /** Name of the log, null where it is about none in particular. */
  readonly log: string | null;
  /** The first entry that is not vouched for any more, null where none can be named. */
  readonly index: number | null;
  /** Where it is one of several entries: the last of them. */
  readonly until: number | null;
  readonly round: number | null;
  /** One plain sentence: what is where, without what it means. */
  readonly says: string;
}

/** How many kinds of findings by log are remembered; beyond that they are counted. */
const REMEMBERED = 1_000;

/** Gathers what is wrong: of each kind and log the first place, and how many there are in all. */
export class Findings {
  readonly #first = new Map<string, Finding>();
  #count = 0;

  add(code: FaultCode, place: Partial<Pick<Finding, 'log' | 'index' | 'until' | 'round'>>, says: string): void {
    this.#count++;
    const { log = null, index = null, until = null, round = null } = place;
    const key = `${code}/${log ?? ''}`;
    const known = this.#first.get(key);
    if (known === undefined && this.#first.size >= REMEMBERED) return;
    const finding = { code, log, index, until, round, says };
    if (known === undefined || compare(finding, known) < 0) this.#first.set(key, finding);
  }

  /** How often anything was wrong. */
  get count(): number {
    return this.#count;
  }

  /** Whether anything is wrong with this log. */
  concern(log: string): boolean {
    for (const finding of this.#first.values()) if (finding.log === log) return true;
    return false;
  }

  /** The first of each kind, the first of all in front. */
  list(): Finding[] {
    return [...this.#first.values()].sort(compare);
  }
}

/** A finding in full. */
export function sentence({ code, says }: Pick<Finding, 'code' | 'says'>): string {
  return `${says}: ${FAULTS[code].means}.`;
}

/** What makes of entries in order others: wrong signatures for one. */
const CAUSES: ReadonlySet<FaultCode> = new Set(['key-differs', 'log-differs']);

/**
 * What comes behind is mostly a consequence: `_system`, by which the rest is judged, before the other logs, entries before
 * the rounds that cover them, those before their anchors. What names one entry comes before what tells of many that end
 * with it.
 */
function compare(a: Finding, b: Finding): number {
  return (
    rank(a) - rank(b) ||
    (a.log ?? '').localeCompare(b.log ?? '') ||
    place(a) - place(b) ||
    Number(a.until !== null) - Number(b.until !== null) ||
    at(a.round) - at(b.round)
  );
}

function rank({ code, log }: Finding): number {
  const { claim } = FAULTS[code];
  if (claim === 'anchor') return 4;
  // As a rule it is the round whose time is wrong.
  if (code === 'received-after-close' || code === 'backdated') return 2;
  if (log === SYSTEM_LOG) return 0;
  if (log !== null || claim === 'position') return 1;
  return claim === 'content' ? 3 : 2;
}

function place({ code, index, until }: Finding): number {
  return index === null && CAUSES.has(code) ? -1 : at(until ?? index);
}

const at = (place: number | null): number => place ?? Number.MAX_SAFE_INTEGER;
