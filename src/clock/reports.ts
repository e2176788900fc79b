import { BITCOIN_TOLERANCE_MS } from '../core/moment.ts';
import { MAX_CLOCK_SKEW_MS } from '../core/time.ts';
import type { Queryable } from '../store/database.ts';

/** What a process says of its clock. */
export interface ProcessClock {
  readonly kind: 'process';
  /** `HOST:PID`. */
  readonly subject: string;
  /** Milliseconds that it is ahead of the database's clock. */
  readonly ahead: number;
  /** Whether it does not believe its wall clock, which jumped ahead. */
  readonly held: boolean;
  /** Milliseconds by which the wall clock jumped of late; null: it did not. */
  readonly jumped: number | null;
}

/** What a chain shows. */
export interface ChainClock {
  readonly kind: 'chain';
  /** The target. */
  readonly subject: string;
  /** CAIP-2, or {@link CALENDARS}. */
  readonly chain: string;
  /** Milliseconds that its newest final block is ahead of the database's clock; as a rule it is behind. */
  readonly ahead: number;
}

export type ClockReport = ProcessClock | ChainClock;

/** In place of a chain: what the answers of calendars bear. */
export const CALENDARS = 'calendars';
/** A report that is older says nothing. Reports come every few seconds, those of chains every half minute. */
const FRESH = "interval '2 minutes'";

/** Whether a chain shows that our clocks are behind. */
export function showsClocksBehind({ chain, ahead }: ChainClock): boolean {
  return ahead > (chain.startsWith('bip122:') ? BITCOIN_TOLERANCE_MS : MAX_CLOCK_SKEW_MS);
}

export async function reportProcessClock(database: Queryable, report: Omit<ProcessClock, 'kind'>): Promise<void> {
  await database.query(
    `WITH old AS (DELETE FROM clock_reports WHERE abs(extract(epoch FROM clock_timestamp() - seen_at)) > 3600)
     INSERT INTO clock_reports (kind, subject, ahead, held, jumped) VALUES ('process', $1, $2, $3, $4)
     ON CONFLICT (kind, subject) DO UPDATE
       SET ahead = excluded.ahead, held = excluded.held, jumped = excluded.jumped, seen_at = clock_timestamp()`,
    [report.subject, Math.round(report.ahead), report.held, report.jumped === null ? null : Math.round(report.jumped)],
  );
}

/** @param time of the newest final block, milliseconds since the Unix epoch */
export async function reportChainTime(
  database: Queryable,
  { subject, chain, time }: { readonly subject: string; readonly chain: string; readonly time: number },
): Promise<void> {
  await database.query(
    `INSERT INTO clock_reports (kind, subject, chain, ahead)
     VALUES ('chain', $1, $2, $3::bigint - (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
     ON CONFLICT (kind, subject) DO UPDATE
       SET chain = excluded.chain, ahead = excluded.ahead, seen_at = clock_timestamp()`,
    [subject, chain, time],
  );
}

/** Those that are fresh, the worst first. */
export async function readClockReports(database: Queryable): Promise<ClockReport[]> {
  const { rows } = await database.query<{
    kind: 'process' | 'chain';
    subject: string;
    chain: string | null;
    ahead: number;
    held: boolean;
    jumped: number | null;
  }>(
    `SELECT kind, subject, chain, ahead, held, jumped FROM clock_reports
     WHERE seen_at BETWEEN clock_timestamp() - ${FRESH} AND clock_timestamp() + ${FRESH}
     ORDER BY abs(ahead) DESC LIMIT 1000`,
  );
  return rows.map(({ kind, subject, chain, ahead, held, jumped }) =>
    kind === 'chain' && chain !== null
      ? { kind: 'chain', subject, chain, ahead }
      : { kind: 'process', subject, ahead, held, jumped },
  );
}
