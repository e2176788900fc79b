// What is shown of authorities: what each stamped, and what is wrong with one that does not answer.

import type { ByRound, KindMeasures, KindReport } from '../anchor/kind.ts';
import type { AuditedChain } from '../core/anchor-audit.ts';
import { formatTime } from '../core/time.ts';
import type { Queryable } from '../store/database.ts';

/** What a token adds to the status of an anchor. */
export interface TokenDetails {
  /** Subject of the signer's certificate; null: there is no token yet. */
  readonly authority: string | null;
  /** As stamped. */
  readonly stampedAt: string | null;
  /** Milliseconds; null: there is no token, or the authority does not say. */
  readonly accuracy: number | null;
  /** What is wrong with the authority; null: nothing, or the round is stamped. */
  readonly problem: string | null;
}

export async function readTokenDetails(database: Queryable, rounds: readonly number[]): Promise<ByRound<TokenDetails>> {
  const { rows } = await database.query<{
    round: number;
    target: string;
    authority: string | null;
    block_time: number | null;
    accuracy: number | null;
    problem: string | null;
  }>({
    name: 'tsa-details',
    text: `SELECT a.round, a.target, t.authority, a.block_time, t.accuracy,
                  CASE WHEN a.status = 'finalized' THEN NULL ELSE s.problem END AS problem
           FROM anchors a LEFT JOIN tsa_tokens t ON t.target = a.target AND t.round = a.round
           LEFT JOIN tsa_authorities s ON s.target = a.target
           WHERE a.round = ANY ($1::bigint[]) AND a.kind = 'rfc3161'`,
    values: [rounds],
  });
  const details = new Map<number, Map<string, TokenDetails>>();
  for (const { round, target, authority, block_time, accuracy, problem } of rows) {
    const targets = details.get(round) ?? new Map<string, TokenDetails>();
    details.set(round, targets);
    const stampedAt = block_time === null ? null : formatTime(block_time);
    targets.set(target, { authority, stampedAt, accuracy, problem });
  }
  return details;
}

interface AuthorityRow {
  name: string;
  tokens: number;
  authority: string | null;
  problem: string | null;
  failures: number;
  failing_at: number | null;
  next_at: number;
}

async function readAuthorities(database: Queryable): Promise<AuthorityRow[]> {
  const { rows } = await database.query<AuthorityRow>(
    `SELECT t.name, s.problem, coalesce(s.failures, 0) AS failures, s.failing_at,
            coalesce(s.next_at, 0) AS next_at,
            (SELECT count(*) FROM tsa_tokens k WHERE k.target = t.name) AS tokens,
            (SELECT authority FROM tsa_tokens k WHERE k.target = t.name ORDER BY round DESC LIMIT 1) AS authority
     FROM targets t LEFT JOIN tsa_authorities s ON s.target = t.name WHERE t.kind = 'rfc3161' ORDER BY t.name`,
  );
  return rows;
}

export async function reportAuthorities(database: Queryable): Promise<Map<string, KindReport>> {
  const authorities = await readAuthorities(database);
  return new Map(
    authorities.map(({ name, tokens, authority, problem, failures, failing_at, next_at }) => {
      const failing =
        problem === null || failing_at === null
          ? []
          : [
              {
                label: 'authority',
                says: `has failed since ${formatTime(failing_at)}, ${failures} times in a row: ${problem}`,
                alarm: null,
              },
            ];
      return [
        name,
        {
          where: `tokens of ${authority ?? 'a timestamp authority'}`,
          lines: failing,
          facts: {
            authority,
            tokens,
            problem,
            failures,
            nextTry: problem === null ? null : formatTime(next_at),
          },
        },
      ];
    }),
  );
}

export async function measureAuthorities(database: Queryable): Promise<KindMeasures> {
  const authorities = await readAuthorities(database);
  return {
    gauges: authorities.flatMap(({ name: target, failures, failing_at }) => [
      {
        name: 'antequem_authority_failures',
        help: 'Requests in a row for which a timestamp authority gave no good token.',
        labels: { target },
        value: failures,
      },
      {
        name: 'antequem_authority_failing_seconds',
        help: 'Since when it gives none; 0 where it does.',
        labels: { target },
        value: { since: failing_at },
      },
    ]),
    notices: authorities.flatMap(({ name, problem }) =>
      problem === null ? [] : [`the timestamp authority ${name} gives no token: ${problem}`],
    ),
  };
}

export async function stampingAuthorities(database: Queryable): Promise<AuditedChain[]> {
  const { rows } = await database.query<AuditedChain>(
    "SELECT DISTINCT chain FROM targets WHERE kind = 'rfc3161' ORDER BY chain",
  );
  return rows;
}
