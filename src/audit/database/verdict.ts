// What an audit found, as the one answer that every part of the product gives.

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

const DATABASE = 'the database';

/** The verdict of an audit by the database. */
export function auditVerdict(result: AuditResult): Verdict {
  const { findings, faults, chains, counts, unrounded, recovered } = result;
  return conclude({
    findings,
    faults,
    standing: standing(result),
    anchors: anchorClaims(chains, { by: DATABASE, rounds: counts.rounds, unrounded }),
    moments: provingMoments(chains),
    recovered,
  });
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
  if (resumed > 0) claims.push(resumedClaim(resumed));
  if (recovered) claims.push(recoveredClaim(lostRounds(chains)));
  return claims;
}
