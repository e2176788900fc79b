// What audits have in common in what they say: by the database, over the network, from a mirror.

import type { ChainOutcome } from '../../core/anchor-audit.ts';
import { type Claim, type Moment, VERDICT_FORMAT, type Verdict } from '../../core/verdict.ts';
import { FAULTS, STANDINGS, type StandingCode } from './codes.ts';
import { type Finding, sentence } from './findings.ts';

/** What an audit came to. */
export interface Conclusion {
  /** The first in front. */
  readonly findings: readonly Finding[];
  /** How much is wrong in all. */
  readonly faults: number;
  /** What holds; a claim that a finding refutes is left out. */
  readonly standing: readonly Claim[];
  /** What chains say. */
  readonly anchors: readonly Claim[];
  /** Blocks that prove. */
  readonly moments: readonly Moment[];
  /** Whether the operator gave up what was published: an attacker could have done so, too. */
  readonly recovered: boolean;
}

/** A verdict has room for 64 claims. */
const MOST_FAULTS = 40;

/**
 * The verdict. Proven: nothing is wrong, and a final block of a chain has one of the rounds, and so all before it. What is
 * newer is named. Never proven again where the operator gave up what was published.
 */
export function conclude({ findings, faults, standing, anchors, moments, recovered }: Conclusion): Verdict {
  const refuted = findings.slice(0, MOST_FAULTS).map(refutation);
  const more = faults - refuted.length;
  const first = refuted[0];
  if (first !== undefined && more > 0) {
    refuted[0] = {
      ...first,
      says: `${first.says} (${more.toLocaleString('en')} more of it or beside it.)`.slice(0, 2_000),
    };
  }
  const wrong = new Set<Claim['claim']>(findings.map(({ code }) => FAULTS[code].claim));
  const existedBefore = findings.length > 0 || recovered ? null : earliest(moments);
  return {
    format: VERDICT_FORMAT,
    result: findings.length > 0 ? 'refuted' : existedBefore === null ? 'unproven' : 'proven',
    existedBefore,
    notBefore: null,
    claims: [...refuted, ...standing.filter(({ claim }) => !wrong.has(claim)), ...anchors].slice(0, 64),
  };
}

function refutation(finding: Finding): Claim {
  const { claim } = FAULTS[finding.code];
  const says = capital(sentence(finding)).slice(0, 1_900);
  const grounds = claim === 'anchor' && finding.code !== 'timestamp-broken' ? 'rpc' : 'bytes';
  return { claim, status: 'refuted', grounds, code: finding.code, says };
}

/** Whose word stands where no chain speaks, and how much there is. */
export interface Told {
  /** Such as `the database`. */
  readonly by: string;
  readonly rounds: number;
  /** Entries that are in no round yet. */
  readonly unrounded: number;
}

export function anchorClaims(chains: readonly ChainOutcome[], told: Told): Claim[] {
  if (chains.length > 0) return chains.flatMap((outcome) => chainClaims(outcome, told));
  return [claim('no-anchor', 'anchor', 'none', `Nothing is anchored, so nothing outside ${told.by} confirms it.`)];
}

/** Blocks of chains that prove. */
export function provingMoments(chains: readonly ChainOutcome[]): Moment[] {
  return chains.flatMap((outcome) =>
    outcome.kind === 'asked' && outcome.answer.newest !== null ? [outcome.answer.newest.moment] : [],
  );
}

export function recoveredClaim(lost: number): Claim {
  const rounds = lost === 0 ? '' : ` ${many(lost, 'round')} on chain from before are not there any more.`;
  const says = `By _system the operator declared that something published was lost with a database that was set back.${rounds} What followed is in order, what was lost cannot be audited.`;
  return claim('recovered', 'round', 'none', says);
}

/** Roots of the service on chains that are no rounds any more, by its own word. */
export function lostRounds(chains: readonly ChainOutcome[]): number {
  return chains.reduce((sum, outcome) => sum + (outcome.kind === 'asked' ? outcome.answer.lost : 0), 0);
}

export function resumedClaim(entries: number): Claim {
  const says = `${many(entries, 'entry', 'entries')} before these were read by an earlier audit and not again: their tree still is the one it was then.`;
  return claim('resumed', 'position', 'none', says);
}

function chainClaims(outcome: ChainOutcome, told: Told): Claim[] {
  switch (outcome.kind) {
    case 'no-source': {
      const says = `No trusted node of ${outcome.chain} was asked: ${many(outcome.rounds, 'anchor')} there are ${told.by}'s word.`;
      return [claim('no-source', 'anchor', 'none', says, outcome.chain)];
    }
    case 'failed':
      return [claim('source-failed', 'anchor', 'none', `${capital(outcome.says)}.`, outcome.chain)];
    case 'other-instance': {
      const says = `${capital(outcome.node)} serves another start of ${outcome.chain} than the anchors are on.`;
      return [claim('other-chain-instance', 'anchor', 'none', says, outcome.chain)];
    }
    case 'asked':
      return asked(outcome, told);
  }
}

function asked(
  { chain, node, grounds = 'rpc', answer }: Extract<ChainOutcome, { kind: 'asked' }>,
  { by, rounds, unrounded }: Told,
): Claim[] {
  const { newest, count } = answer;
  if (newest === null) {
    return [claim('no-anchor', 'anchor', 'none', `By ${node} no round is in a final block of ${chain}.`, chain)];
  }
  const { block, time } = newest.moment;
  const says = `By ${node} ${many(count, 'round')} of ${rounds} are in final blocks of ${chain}; all up to round ${newest.round} existed before block ${block.number}, ${time}.`;
  const claims: Claim[] = [{ ...claim('anchors-final', 'anchor', grounds, says, chain), time }];
  const behind = rounds - newest.round;
  if (behind > 0 || unrounded > 0) {
    const rest = `${many(behind, 'newer round')} and ${many(unrounded, 'entry', 'entries')} in no round yet are not in a final block of ${chain}: of them ${by} alone speaks.`;
    claims.push(claim('anchors-behind', 'anchor', 'none', rest, chain));
  }
  return claims;
}

export function claim(
  code: StandingCode,
  name: Claim['claim'],
  grounds: Claim['grounds'],
  says: string,
  chain?: string | null,
): Claim {
  return { claim: name, status: STANDINGS[code], ...(chain == null ? {} : { chain }), grounds, code, says };
}

export function many(count: number, one: string, other = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : other}`;
}

const capital = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;

/** Times of one form compare as text. */
function earliest(moments: readonly Moment[]): Moment | null {
  return moments.reduce<Moment | null>(
    (first, each) => (first === null || each.time < first.time ? each : first),
    null,
  );
}
