// What an audit found, as the one answer that every part of the product gives.

import type { Claim, Moment, Verdict } from '../core/verdict.ts';
import { VERDICT_FORMAT } from '../core/verdict.ts';
import type { ChainOutcome } from './chains.ts';
import { FAULTS, STANDINGS, type StandingCode } from './codes.ts';
import { type Finding, sentence } from './findings.ts';

/** What was walked. */
export interface AuditCounts {
  logs: number;
  /** Entries that were read. */
  entries: number;
  /** Entries that an earlier audit had read, and whose tree still is what it was. */
  resumed: number;
  erased: number;
  /** Entries whose payload stayed with the client, as far as the database tells. */
  digests: number;
  checkpoints: number;
  rounds: number;
}

export interface AuditResult {
  readonly counts: AuditCounts;
  /** The first in front. */
  readonly findings: readonly Finding[];
  /** How much is wrong in all. */
  readonly faults: number;
  readonly chains: readonly ChainOutcome[];
  /** Whether the keys of the logs are known otherwise than by the database. */
  readonly keysKnown: boolean;
  /** Entries that are in no round yet. */
  readonly unrounded: number;
  readonly recovered: boolean;
}

/** A verdict has room for 64 claims. */
const MOST_FAULTS = 40;

/**
 * The verdict. Proven: nothing is wrong, and a final block of a chain has one of the rounds, and so all before it. What is
 * newer is named. Never proven again where the operator gave up what was published: an attacker could have done so, too.
 */
export function auditVerdict(result: AuditResult): Verdict {
  const { findings } = result;
  const refuted = findings.slice(0, MOST_FAULTS).map(refutation);
  const more = result.faults - refuted.length;
  const first = refuted[0];
  if (first !== undefined && more > 0) {
    refuted[0] = {
      ...first,
      says: `${first.says} (${more.toLocaleString('en')} more of it or beside it.)`.slice(0, 2_000),
    };
  }
  const wrong = new Set<Claim['claim']>(findings.map(({ code }) => FAULTS[code].claim));
  const anchors = anchorClaims(result);
  const moments = result.chains.flatMap((outcome) =>
    outcome.kind === 'asked' && outcome.answer.newest !== null ? [outcome.answer.newest.moment] : [],
  );
  const existedBefore = findings.length > 0 || result.recovered ? null : earliest(moments);
  return {
    format: VERDICT_FORMAT,
    result: findings.length > 0 ? 'refuted' : existedBefore === null ? 'unproven' : 'proven',
    existedBefore,
    notBefore: null,
    claims: [...refuted, ...standing(result).filter(({ claim }) => !wrong.has(claim)), ...anchors].slice(0, 64),
  };
}

function refutation(finding: Finding): Claim {
  const { claim } = FAULTS[finding.code];
  const text = sentence(finding);
  const says = `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`.slice(0, 1_900);
  return { claim, status: 'refuted', grounds: claim === 'anchor' ? 'rpc' : 'bytes', code: finding.code, says };
}

function standing({ counts, keysKnown, recovered, chains }: AuditResult): Claim[] {
  const { logs, entries, resumed, erased, digests, checkpoints, rounds } = counts;
  const kept = entries - erased - digests;
  const claims = [
    claim(
      'contents-hold',
      'content',
      'bytes',
      `${many(kept, 'payload')} have their digests and commitments, ${many(digests, 'digest')} without a payload their commitments; ${erased.toLocaleString('en')} erased, each on record.`,
    ),
    claim(
      'entries-hold',
      'position',
      'bytes',
      `${many(entries, 'entry', 'entries')} of ${many(logs, 'log')}: each names the one before, and their trees are those of the tiles, heads, checkpoints and rounds.`,
    ),
    keysKnown
      ? claim(
          'checkpoints-hold',
          'checkpoint',
          'key',
          `${many(checkpoints, 'checkpoint')}: each is signed, and of the tree its log had.`,
        )
      : claim(
          'keys-not-given',
          'checkpoint',
          'none',
          `${many(checkpoints, 'checkpoint')}: each is of the tree its log had, and signed by the key that the database names; nothing outside the database confirms the keys.`,
        ),
    claim(
      'rounds-hold',
      'round',
      'bytes',
      `${many(rounds, 'round')}: each follows the one before, its leaves make its root, and _system tells of it.`,
    ),
    claim(
      'times-hold',
      'received-at',
      'none',
      "Times never decrease and none is after the close of its round; otherwise they are the operator's word.",
    ),
  ];
  if (resumed > 0) {
    claims.push(
      claim(
        'resumed',
        'position',
        'none',
        `${many(resumed, 'entry', 'entries')} before these were read by an earlier audit and not again: their tree still is the one it was then.`,
      ),
    );
  }
  if (recovered) {
    const lost = chains.reduce((sum, outcome) => sum + (outcome.kind === 'asked' ? outcome.answer.lost : 0), 0);
    const rounds = lost === 0 ? '' : ` ${many(lost, 'round')} on chain from before are not there any more.`;
    const says = `By _system the operator declared that something published was lost with a database that was set back.${rounds} What followed is in order, what was lost cannot be audited.`;
    claims.push(claim('recovered', 'round', 'none', says));
  }
  return claims;
}

function anchorClaims({ chains, counts, unrounded }: AuditResult): Claim[] {
  const claims = chains.flatMap((outcome) => chainClaims(outcome, counts.rounds, unrounded));
  if (chains.length === 0)
    claims.push(
      claim('no-anchor', 'anchor', 'none', 'Nothing is anchored, so nothing outside the database confirms it.'),
    );
  return claims;
}

function chainClaims(outcome: ChainOutcome, rounds: number, unrounded: number): Claim[] {
  switch (outcome.kind) {
    case 'no-source': {
      const says = `No trusted node of ${outcome.chain} was asked: ${many(outcome.rounds, 'anchor')} there are the database's word.`;
      return [claim('no-source', 'anchor', 'none', says, outcome.chain)];
    }
    case 'failed':
      return [claim('source-failed', 'anchor', 'none', `${capital(outcome.says)}.`, outcome.chain)];
    case 'other-instance': {
      const says = `${capital(outcome.node)} serves another start of ${outcome.chain} than the anchors are on.`;
      return [claim('other-chain-instance', 'anchor', 'none', says, outcome.chain)];
    }
    case 'asked':
      return asked(outcome, rounds, unrounded);
  }
}

function asked(
  { chain, node, answer }: Extract<ChainOutcome, { kind: 'asked' }>,
  rounds: number,
  unrounded: number,
): Claim[] {
  const { newest, count } = answer;
  if (newest === null) {
    return [claim('no-anchor', 'anchor', 'none', `By ${node} no round is in a final block of ${chain}.`, chain)];
  }
  const { block, time } = newest.moment;
  const says = `By ${node} ${many(count, 'round')} of ${rounds} are in final blocks of ${chain}; all up to round ${newest.round} existed before block ${block.number}, ${time}.`;
  const claims: Claim[] = [{ ...claim('anchors-final', 'anchor', 'rpc', says, chain), time }];
  const behind = rounds - newest.round;
  if (behind > 0 || unrounded > 0) {
    const rest = `${many(behind, 'newer round')} and ${many(unrounded, 'entry', 'entries')} in no round yet are not in a final block of ${chain}: of them the database alone speaks.`;
    claims.push(claim('anchors-behind', 'anchor', 'none', rest, chain));
  }
  return claims;
}

function claim(
  code: StandingCode,
  name: Claim['claim'],
  grounds: Claim['grounds'],
  says: string,
  chain?: string | null,
): Claim {
  return { claim: name, status: STANDINGS[code], ...(chain == null ? {} : { chain }), grounds, code, says };
}

function many(count: number, one: string, other = `${one}s`): string {
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
