// What an audit found, as the one answer that every part of the product gives.

import type { ChainOutcome } from '../../core/anchor-audit.ts';
import { lowest, type Moment, upperTime } from '../../core/moment.ts';
import { type Claim, VERDICT_FORMAT, type Verdict } from '../../core/verdict.ts';
import { FAULTS, STANDINGS, type StandingCode } from './codes.ts';
import { type Finding, type Findings, sentence } from './findings.ts';

export interface AuditResult {
  /** Whose word stands where no chain confirms it, such as `the database`. */
  readonly by: string;
  readonly logs: number;
  /** Entries that were read. */
  readonly entries: number;
  /** Entries that an earlier audit read, and whose tree still is what it was. */
  readonly resumed: number;
  /** Null: what entries commit to was not read. */
  readonly contents: {
    readonly erased: number;
    /** Of those erased the ones that a run of retention names. */
    readonly byRetention: number;
    /** Entries that a run names and has not erased yet. */
    readonly open: number;
    /** Entries whose payload stayed with the client, as far as the database tells. */
    readonly digests: number;
  } | null;
  /** Acts of `_system` whose commitments were compared; null: they are among the contents, or were not read. */
  readonly acts: number | null;
  readonly checkpoints: number;
  /** Null: rounds were not read. */
  readonly rounds: number | null;
  /** Rounds of which only roots and links were read, without leaves. Default: none. */
  readonly links?: number;
  /** Entries that are in no round yet. */
  readonly unrounded: number;
  /** Whether the keys of the logs are known from elsewhere. */
  readonly keysKnown: boolean;
  /** Whether the operator gave up what was published: an attacker could have done so, too. */
  readonly recovered: boolean;
  readonly chains: readonly ChainOutcome[];
  /** What the comparison with another view came to; null: there was none. */
  readonly compared: { readonly with: string; readonly logs: number; readonly rounds: number } | null;
  /** Why the rest could not be read; null: all was. */
  readonly incomplete: string | null;
}

export interface Audit {
  readonly verdict: Verdict;
  /** The first in front. */
  readonly findings: readonly Finding[];
  readonly result: AuditResult;
  /** Milliseconds that the walk over entries took. */
  readonly walked: number;
}

/** A verdict has room for 64 claims. */
const MOST_CLAIMS = 64;
const MOST_FAULTS = 40;

/**
 * The verdict. Proven: nothing is wrong, and a final block of a chain has one of the rounds, and so all before it. What is
 * newer is named. Never proven again where the operator gave up what was published.
 */
export function auditVerdict(result: AuditResult, found: Findings): Verdict {
  const findings = found.list();
  const refuted = findings.slice(0, MOST_FAULTS).map(refutation);
  const more = found.count - refuted.length;
  const [first] = refuted;
  if (first !== undefined && more > 0) {
    refuted[0] = {
      ...first,
      says: `${first.says} (${more.toLocaleString('en')} more findings are like it or follow from it.)`.slice(0, 2_000),
    };
  }
  const wrong = new Set<Claim['claim']>(findings.map(({ code }) => FAULTS[code].claim));
  const existedBefore = findings.length > 0 || result.recovered ? null : lowest(provingMoments(result.chains));
  // What was not read to its end does not hold either.
  const holding = result.incomplete === null ? holdingClaims(result).filter(({ claim }) => !wrong.has(claim)) : [];
  const rest = result.incomplete === null ? anchorClaims(result) : [incompleteClaim(result.incomplete)];
  return {
    format: VERDICT_FORMAT,
    result: findings.length > 0 ? 'refuted' : existedBefore === null ? 'unproven' : 'proven',
    existedBefore,
    notBefore: null,
    claims: [...refuted, ...holding, ...rest].slice(0, MOST_CLAIMS),
  };
}

function refutation(finding: Finding): Claim {
  const { claim } = FAULTS[finding.code];
  const says = capital(sentence(finding)).slice(0, 1_900);
  const grounds = claim === 'anchor' && finding.code !== 'timestamp-broken' ? 'rpc' : 'bytes';
  return { claim, status: 'refuted', grounds, code: finding.code, says };
}

/** What holds as long as nothing is wrong. */
function holdingClaims(result: AuditResult): Claim[] {
  const { contents, acts, rounds, links = 0, compared, resumed, recovered } = result;
  const claims = [
    contents === null ? contentsNotRead() : contentsHold(result.entries, contents),
    entriesHold(result),
    checkpointsHold(result),
    rounds === null
      ? claim(
          'rounds-not-read',
          'round',
          'none',
          'Rounds and acts were not read: that needs an API key with scope read.',
        )
      : claim('rounds-hold', 'round', 'bytes', roundsHold(rounds)),
    claim(
      'times-hold',
      'received-at',
      'none',
      "Times never decrease, none is after the close of its round or long before the close of a round without its entry; otherwise they are the operator's word.",
    ),
  ];
  if (links > 0) {
    const says = `${many(links, 'round')}: each names the root of the one before. Their leaves are not public, so they say nothing of the logs.`;
    claims.push(claim('links-hold', 'round', 'bytes', says));
  }
  if (acts !== null && rounds !== null) {
    claims.push(claim('acts-hold', 'content', 'bytes', `${many(acts, 'act')} of _system: each has its commitment.`));
  }
  if (compared !== null) {
    const says = `${compared.with} shows the same: ${many(compared.logs, 'log')}, of which the longer continues the shorter, and ${many(compared.rounds, 'round')}.`;
    claims.push(claim('views-agree', 'position', 'bytes', says));
  }
  if (resumed > 0) {
    const says = `An earlier audit read ${many(resumed, 'entry', 'entries')} before these; they were not read again, and their tree is the same as then.`;
    claims.push(claim('resumed', 'position', 'none', says));
  }
  if (recovered) claims.push(recoveredClaim(lostRounds(result.chains)));
  return claims;
}

function contentsHold(
  entries: number,
  { erased, byRetention, open, digests }: NonNullable<AuditResult['contents']>,
): Claim {
  const runs = byRetention === 0 ? '' : `, ${byRetention.toLocaleString('en')} of them by retention`;
  const rest = open === 0 ? '' : `; ${open.toLocaleString('en')} more are named by retention and not erased yet`;
  const says = `${many(entries - erased - digests, 'payload')} have their digests and commitments, ${many(digests, 'digest')} without a payload their commitments; ${erased.toLocaleString('en')} erased, each on record${runs}${rest}.`;
  return claim('contents-hold', 'content', 'bytes', says);
}

function contentsNotRead(): Claim {
  const says =
    'Payloads, digests and nonces were not read: the holder of a payload and its nonce or receipt can check it.';
  return claim('contents-not-read', 'content', 'none', says);
}

function entriesHold({ entries, logs, contents, rounds }: AuditResult): Claim {
  const compared = [
    'tiles',
    ...(contents === null ? [] : ['heads']),
    'checkpoints',
    ...(rounds === null ? [] : ['rounds']),
  ];
  const says = `${many(entries, 'entry', 'entries')} of ${many(logs, 'log')}: each names the one before, and their trees are those of ${listed(compared)}.`;
  return claim('entries-hold', 'position', 'bytes', says);
}

function checkpointsHold({ checkpoints, keysKnown, contents }: AuditResult): Claim {
  if (keysKnown) {
    const says = `${many(checkpoints, 'checkpoint')}: each is signed, and of the tree its log had.`;
    return claim('checkpoints-hold', 'checkpoint', 'key', says);
  }
  const namer = contents === null ? 'that the service named when it was first audited' : 'that the database names';
  const says = `${many(checkpoints, 'checkpoint')}: each is of the tree its log had, and signed by the key ${namer}; nothing else confirms the keys.`;
  return claim('keys-not-given', 'checkpoint', 'none', says);
}

function roundsHold(rounds: number): string {
  return `${many(rounds, 'round')}: each follows the one before, its leaves make its root, and _system tells of it.`;
}

function incompleteClaim(why: string): Claim {
  return claim('audit-incomplete', 'position', 'none', `The rest could not be read: ${why}.`.slice(0, 2_000));
}

function recoveredClaim(lost: number): Claim {
  const rounds = lost === 0 ? '' : ` ${many(lost, 'round')} on chain from before are missing.`;
  const says = `By _system the operator declared that something published was lost with a database that was set back.${rounds} What followed is in order; what was lost cannot be audited.`;
  return claim('recovered', 'round', 'none', says);
}

function anchorClaims(result: AuditResult): Claim[] {
  const { chains, rounds, by } = result;
  if (rounds === null) return [];
  if (chains.length === 0) {
    return [claim('no-anchor', 'anchor', 'none', `Nothing is anchored, so nothing outside ${by} confirms it.`)];
  }
  return [
    ...chains.flatMap((outcome) => chainClaims(outcome, by, rounds, result.unrounded)),
    ...chains.flatMap(gapClaims),
  ];
}

function chainClaims(outcome: ChainOutcome, by: string, rounds: number, unrounded: number): Claim[] {
  switch (outcome.kind) {
    case 'no-source': {
      const says = `No trusted node of ${outcome.chain} was asked: ${many(outcome.rounds, 'anchor')} there are ${by}'s word.`;
      return [claim('no-source', 'anchor', 'none', says, outcome.chain)];
    }
    case 'failed':
      return [claim('source-failed', 'anchor', 'none', `${capital(outcome.says)}.`, outcome.chain)];
    case 'other-instance': {
      const says = `${capital(outcome.node)} serves another start of ${outcome.chain} than the anchors are on.`;
      return [claim('other-chain-instance', 'anchor', 'none', says, outcome.chain)];
    }
    case 'not-trusted': {
      const says = `${many(outcome.rounds, 'token')} of ${outcome.authority}: ${outcome.says}.`;
      return [claim('no-source', 'anchor', 'none', says)];
    }
    case 'stamped':
      return stampedClaims(outcome, rounds, unrounded);
    case 'asked':
      return askedClaims(outcome, by, rounds, unrounded);
  }
}

function askedClaims(
  { chain, node, grounds = 'rpc', answer }: Extract<ChainOutcome, { kind: 'asked' }>,
  by: string,
  rounds: number,
  unrounded: number,
): Claim[] {
  const { newest, count, newer = 0 } = answer;
  const later = `${many(newer, 'newer root')} from an account of this service ${newer === 1 ? 'is' : 'are'} on ${chain}: this copy is older than ${newer === 1 ? 'it' : 'they are'}, or was cut off. Audit the service to know which.`;
  const older = newer === 0 ? [] : [claim('anchors-behind', 'anchor', 'none', later, chain)];
  if (newest === null) {
    const says = `By ${node} no round is in a final block of ${chain}.`;
    return [claim('no-anchor', 'anchor', 'none', says, chain), ...older];
  }
  const { block, time } = newest.moment;
  const says = `By ${node} ${many(count, 'round')} of ${rounds} are in final blocks of ${chain}; all up to round ${newest.round} existed before block ${block.number}, ${upperTime(newest.moment)}.`;
  const claims: Claim[] = [{ ...claim('anchors-final', 'anchor', grounds, says, chain), time }, ...older];
  const behind = rounds - newest.round;
  if (behind > 0 || unrounded > 0) {
    const rest = `${many(behind, 'newer round')} and ${many(unrounded, 'entry', 'entries')} in no round yet are not in a final block of ${chain}: for them there is only ${by}'s word.`;
    claims.push(claim('anchors-behind', 'anchor', 'none', rest, chain));
  }
  return claims;
}

function stampedClaims(
  { authority, answer: { count, newest } }: Extract<ChainOutcome, { kind: 'stamped' }>,
  rounds: number,
  unrounded: number,
): Claim[] {
  const { moment, round } = newest;
  const says = `${many(count, 'round')} of ${rounds} have tokens of ${authority} that a trusted CA vouches for; all up to round ${round} existed before ${upperTime(moment)}.`;
  const claims: Claim[] = [{ ...claim('anchors-final', 'anchor', 'tsa', says), time: moment.time }];
  const behind = rounds - round;
  if (behind > 0 || unrounded > 0) {
    const rest = `${many(behind, 'newer round')} and ${many(unrounded, 'entry', 'entries')} in no round yet have no token of ${authority}.`;
    claims.push(claim('anchors-behind', 'anchor', 'none', rest));
  }
  return claims;
}

/** Rounds that have no anchor of their own: the next one that has vouches for them. */
function gapClaims(outcome: ChainOutcome): Claim[] {
  const newest = outcome.kind === 'asked' ? outcome.answer.newest : null;
  if (outcome.kind !== 'asked' || newest === null || outcome.answer.count >= newest.round) return [];
  const says = `${many(newest.round - outcome.answer.count, 'round')} before round ${newest.round} have no anchor of their own on ${outcome.chain}: the next anchored round vouches for them.`;
  return [claim('anchors-missing', 'anchor', 'none', says, outcome.chain)];
}

/** Blocks of chains and tokens that prove. */
function provingMoments(chains: readonly ChainOutcome[]): Moment[] {
  return chains.flatMap((outcome): Moment[] => {
    if (outcome.kind === 'stamped') return [outcome.answer.newest.moment];
    return outcome.kind === 'asked' && outcome.answer.newest !== null ? [outcome.answer.newest.moment] : [];
  });
}

/** Roots of the service on chains that are no rounds any more, by its own word. */
function lostRounds(chains: readonly ChainOutcome[]): number {
  return chains.reduce((sum, outcome) => sum + (outcome.kind === 'asked' ? outcome.answer.lost : 0), 0);
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

function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

function capital(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}
