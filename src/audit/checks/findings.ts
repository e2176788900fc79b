import { SYSTEM_LOG } from '../../core/origin.ts';
import { FAULTS, type FaultCode } from './codes.ts';

/** One thing that is wrong, at the first place where it is. */
export interface Finding {
  readonly code: FaultCode;
  /** Name of the log, null where it is about none in particular. */
  readonly log: string | null;
  /** The first entry that nothing vouches for any more, null where none can be named. */
  readonly index: number | null;
  /** Where it may be any of several entries: the end of them. */
  readonly until: number | null;
  readonly round: number | null;
  /** One plain sentence: what is where, without what it means. */
  readonly says: string;
}

/** How many pairs of code and log are remembered; more are only counted. */
const REMEMBERED = 1_000;

/** Gathers what is wrong: the first place for each code and log, and how many findings there are in all. */
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

/** Faults that cause others about the same log, such as broken signatures. */
const CAUSES: ReadonlySet<FaultCode> = new Set(['key-differs', 'log-differs', 'log-gone']);

/**
 * Causes come before their consequences: `_system`, by which the rest is judged, before the other logs; entries before the
 * rounds that cover them; rounds before their anchors. A finding about one entry comes before one about a range that ends
 * with it.
 */
function compare(a: Finding, b: Finding): number {
  return (
    rank(a) - rank(b) ||
    (a.log ?? '').localeCompare(b.log ?? '') ||
    place(a) - place(b) ||
    Number(a.until !== null) - Number(b.until !== null) ||
    at(a.round) - at(b.round) ||
    // A changed entry may have any time; what _system tells of a round comes before its leaves.
    Number(a.code === 'time-decreases') - Number(b.code === 'time-decreases') ||
    Number(b.code === 'round-differs') - Number(a.code === 'round-differs')
  );
}

function rank({ code, log }: Finding): number {
  const { claim } = FAULTS[code];
  // The round that lost its anchor comes first: that it was rewritten breaks its proof, and leaves its root on the chain.
  if (claim === 'anchor') return code === 'root-unknown' ? 6 : code === 'anchor-differs' ? 5 : 4;
  // Mostly the time of the round is wrong.
  if (code === 'received-after-close' || code === 'backdated') return 2;
  if (log === SYSTEM_LOG) return 0;
  if (log !== null || claim === 'position') return 1;
  return claim === 'content' ? 3 : 2;
}

function place({ code, index, until }: Finding): number {
  return index === null && CAUSES.has(code) ? -1 : at(until ?? index);
}

const at = (place: number | null): number => place ?? Number.MAX_SAFE_INTEGER;
