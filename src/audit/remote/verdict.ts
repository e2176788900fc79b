// What a third party's audit found.

import type { ChainOutcome } from '../../core/anchor-audit.ts';
import type { Claim, Verdict } from '../../core/verdict.ts';
import {
  anchorClaims,
  claim,
  conclude,
  lostRounds,
  many,
  provingMoments,
  recoveredClaim,
  resumedClaim,
} from '../checks/claims.ts';
import type { Finding } from '../checks/findings.ts';

export interface MirrorResult {
  readonly logs: number;
  /** Entries that were read now, and by an earlier audit. */
  readonly entries: number;
  readonly resumed: number;
  readonly acts: number;
  readonly checkpoints: number;
  /** Null: rounds were not read. */
  readonly rounds: number | null;
  readonly unrounded: number;
  readonly keysKnown: boolean;
  readonly recovered: boolean;
  readonly chains: readonly ChainOutcome[];
  /** What the comparison with another mirror came to; null: there was none. */
  readonly compared: { readonly with: string; readonly logs: number; readonly rounds: number } | null;
  /** The first in front. */
  readonly findings: readonly Finding[];
  readonly faults: number;
}

const SERVICE = 'the service';

export function mirrorVerdict(result: MirrorResult): Verdict {
  const { findings, faults, chains, rounds, unrounded, recovered } = result;
  return conclude({
    findings,
    faults,
    standing: standing(result),
    anchors: rounds === null ? [] : [...anchorClaims(chains, { by: SERVICE, rounds, unrounded }), ...gaps(chains)],
    moments: provingMoments(chains),
    recovered,
  });
}

function standing(result: MirrorResult): Claim[] {
  const { logs, entries, resumed, acts, checkpoints, rounds, keysKnown, recovered, compared } = result;
  const each = 'each names the one before, and their trees are those of the tiles, checkpoints';
  const claims = [
    claim(
      'entries-hold',
      'position',
      'bytes',
      `${many(entries, 'entry', 'entries')} of ${many(logs, 'log')}: ${each}${rounds === null ? '' : ' and rounds'}.`,
    ),
    claim(
      'contents-not-read',
      'content',
      'none',
      'What the entries commit to was not read: whoever has a payload and its nonce or receipt can check it.',
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
          `${many(checkpoints, 'checkpoint')}: each is of the tree its log had, and signed by the key that the service named when it was first audited; nothing else confirms the keys.`,
        ),
    claim(
      'times-hold',
      'received-at',
      'none',
      "Times never decrease, none is after the close of its round or long before that of a round which does not have it; otherwise they are the operator's word.",
    ),
  ];
  if (rounds === null) {
    const says = 'Rounds and acts of the service were not read: that needs an API key with the scope read.';
    claims.push(claim('rounds-not-read', 'round', 'none', says));
  } else {
    const held = `${many(rounds, 'round')}: each follows the one before, its leaves make its root, and _system tells of it.`;
    claims.push(claim('rounds-hold', 'round', 'bytes', held));
    claims.push(claim('acts-hold', 'content', 'bytes', `${many(acts, 'act')} of _system: each has its commitment.`));
  }
  if (compared !== null) {
    const says = `${compared.with} shows the same: ${many(compared.logs, 'log')}, of which the longer continues the shorter, and ${many(compared.rounds, 'round')}.`;
    claims.push(claim('views-agree', 'position', 'bytes', says));
  }
  if (resumed > 0) claims.push(resumedClaim(resumed));
  if (recovered) claims.push(recoveredClaim(lostRounds(result.chains)));
  return claims;
}

/** Rounds that have no anchor of their own: the next one that has vouches for them. */
function gaps(chains: readonly ChainOutcome[]): Claim[] {
  return chains.flatMap((outcome) => {
    const newest = outcome.kind === 'asked' ? outcome.answer.newest : null;
    if (outcome.kind !== 'asked' || newest === null || outcome.answer.count >= newest.round) return [];
    const says = `${many(newest.round - outcome.answer.count, 'round')} before round ${newest.round} have no anchor of their own on ${outcome.chain}: the next round that has one vouches for them.`;
    return [claim('anchors-missing', 'anchor', 'none', says, outcome.chain)];
  });
}
