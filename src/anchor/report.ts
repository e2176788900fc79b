// What operators are told about the targets.

import type { AuditedChain } from '../core/anchor-audit.ts';
import type { Queryable } from '../store/database.ts';
import type { AnchorKinds, AnchorStatus, AnchorType, KindReport } from './kind.ts';

/** What all kinds have in common. */
export interface TargetSummary {
  readonly name: string;
  readonly type: AnchorType;
  /** CAIP-2. */
  readonly chain: string;
  readonly stopped: { readonly code: string; readonly reason: string; readonly at: number } | null;
  readonly anchors: Readonly<Record<AnchorStatus, number>>;
  /** The oldest round that is not final, and when it was closed, milliseconds. */
  readonly oldest: { readonly round: number; readonly closedAt: number } | null;
  /** The most frequent problems, and how many rounds have them. */
  readonly problems: readonly { readonly says: string; readonly rounds: number }[];
  readonly reorganisations: number;
}

export interface TargetReport extends TargetSummary {
  /** What its kind adds. */
  readonly more: KindReport;
}

interface TargetRow {
  name: string;
  kind: AnchorType;
  chain: string;
  stopped_at: number | null;
  stop_code: string | null;
  stop_reason: string | null;
  /** Rounds that it has an anchor for, final or not. */
  rounds: number;
  pending: number;
  submitted: number;
  included: number;
  reorganisations: number;
  oldest: number | null;
  closed_at: number | null;
}

const MOST_PROBLEMS = 5;
const NOTHING_MORE: KindReport = { where: '', lines: [], facts: {} };

/** All targets, by name. @param now milliseconds since the Unix epoch */
export async function reportTargets(kinds: AnchorKinds, database: Queryable, now: number): Promise<TargetReport[]> {
  const [targets, ...reports] = await Promise.all([
    summarizeTargets(database),
    ...Object.values(kinds).map((kind) => kind.report(database, now)),
  ]);
  return targets.map((target) => ({
    ...target,
    more: reports.flatMap((report) => report.get(target.name) ?? [])[0] ?? NOTHING_MORE,
  }));
}

/** All targets by name, without what their kinds add. */
export async function summarizeTargets(database: Queryable): Promise<TargetSummary[]> {
  const [{ rows }, problems] = await Promise.all([
    // The anchors of a target have no gaps (anchor/jobs.ts): only those that are not final need to be counted.
    database.query<TargetRow>(
      `SELECT t.name, t.kind, t.chain, t.stopped_at, t.stop_code, t.stop_reason,
              o.pending, o.submitted, o.included, o.oldest, r.closed_at,
              (SELECT coalesce(max(round) - min(round) + 1, 0) FROM anchors WHERE target = t.name) AS rounds,
              (SELECT count(*) FROM anchor_history h WHERE h.target = t.name AND h.event = 'reorganized') AS reorganisations
       FROM targets t
       CROSS JOIN LATERAL (
         SELECT count(*) FILTER (WHERE status = 'pending') AS pending, count(*) FILTER (WHERE status = 'submitted') AS submitted,
                count(*) FILTER (WHERE status = 'included') AS included, min(round) AS oldest
         FROM anchors WHERE target = t.name AND status <> 'finalized') o
       LEFT JOIN rounds r ON r.number = o.oldest ORDER BY t.name`,
    ),
    readProblems(database),
  ]);
  return rows.map((row) => ({
    name: row.name,
    type: row.kind,
    chain: row.chain,
    stopped:
      row.stop_code === null || row.stop_reason === null || row.stopped_at === null
        ? null
        : { code: row.stop_code, reason: row.stop_reason, at: row.stopped_at },
    anchors: countsOf(row),
    oldest: row.oldest === null || row.closed_at === null ? null : { round: row.oldest, closedAt: row.closed_at },
    problems: problems.filter(({ target }) => target === row.name).map(({ says, rounds }) => ({ says, rounds })),
    reorganisations: row.reorganisations,
  }));
}

function countsOf({ rounds, pending, submitted, included }: TargetRow): TargetSummary['anchors'] {
  return { pending, submitted, included, finalized: rounds - pending - submitted - included };
}

async function readProblems(database: Queryable): Promise<{ target: string; says: string; rounds: number }[]> {
  const { rows } = await database.query<{ target: string; says: string; rounds: number }>(
    `SELECT target, says, rounds FROM (
       SELECT target, problem AS says, count(*) AS rounds,
              row_number() OVER (PARTITION BY target ORDER BY count(*) DESC, problem) AS place
       FROM anchors WHERE status <> 'finalized' AND problem IS NOT NULL GROUP BY 1, 2) p
     WHERE place <= ${MOST_PROBLEMS} ORDER BY target, place`,
  );
  return rows;
}

/** The chains of all targets, by chain and contract, as third parties that audit the service are told. */
export async function auditedChains(kinds: AnchorKinds, database: Queryable): Promise<AuditedChain[]> {
  const chains = await Promise.all(Object.values(kinds).map((kind) => kind.auditedChains(database)));
  const key = ({ chain, contract = '' }: AuditedChain): string => `${chain} ${contract}`;
  return chains.flat().sort((a, b) => (key(a) < key(b) ? -1 : 1));
}
