// Fetches the events of pulled sources, page by page. Of all processes one asks for a page of a source at a time; where to go
// on is stored in the transaction that appends, so a process that dies loses nothing and repeats nothing.

import type { Logger } from 'pino';
import { AntequemError, type ErrorCode, messageOf } from '../../core/errors.ts';
import type { Log } from '../../log/log.ts';
import { prepare } from '../../log/prepared.ts';
import { type Sequencing, sequence } from '../../log/sequence.ts';
import { type Database, transaction } from '../../store/database.ts';
import type { Sources } from '../sources.ts';
import type { FetchWindow } from './api.ts';
import { fetchPage, PageFailure, type PulledPage, readPulledPage } from './page.ts';

const LOOK_MS = 1_000;
const AT_ONCE = 4;
/** A process that dies while it asks holds its source up for so long. */
const LEASE_MS = 90_000;
const COMMIT_MS = 15_000;
/** Events may appear in an API some time after they happened. */
const SETTLED_MS = 30_000;
const OVERLAP_MS = 15 * 60_000;
/** Event ids are known for a week: what was fetched before is not asked for again later than this. */
const KNOWN_MS = 6 * 24 * 3_600_000;
const MAX_WINDOW_MS = 24 * 3_600_000;
const FIRST_PAUSE_MS = 5_000;
const PAGE_FAILURES = 4;
const MAX_PAUSE_MS = 10 * 60_000;

export interface PullerOptions {
  readonly database: Database;
  readonly sources: Sources;
  readonly sequencing: Sequencing;
  readonly logger: Logger;
}

interface Claim {
  readonly source: string;
  readonly version: number;
  /** Until then all is fetched; amid a window where that begins. */
  readonly since: number;
  /** Where the window ends, amid one. */
  readonly until: number;
  /** Where in the window to go on; null: a new one begins. */
  readonly page: string | null;
  readonly failures: number;
}

/** @returns a function that stops this */
export function startPuller(options: PullerOptions): () => Promise<void> {
  const { logger } = options;
  const stopping = new AbortController();
  const work = async (): Promise<void> => {
    while (!stopping.signal.aborted && (await pullOnce(options, stopping.signal)));
  };
  let working: Promise<unknown> | null = null;
  const look = (): void => {
    working ??= Promise.all(Array.from({ length: AT_ONCE }, work))
      .catch((error: unknown) => logger.warn({ err: error }, 'sources were not looked at; this is tried again'))
      .finally(() => {
        working = null;
      });
  };
  look();
  const timer = setInterval(look, LOOK_MS).unref();
  return async () => {
    clearInterval(timer);
    stopping.abort();
    await working;
  };
}

/** Fetches one page of the source that has waited longest. False: none is due. */
export async function pullOnce(
  { database, sources, sequencing, logger }: PullerOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const claim = await claimSource(database, sequencing.effects.now());
  if (claim === null) return false;
  try {
    const pulled = await sources.findPulled(claim.source);
    if (pulled === null) return true;
    const { source, api, token, log, pauseMs } = pulled;
    const window = windowOf(claim, sequencing.effects.now());
    const bytes = await fetchPage(api.request(window, claim.page, token), signal);
    await store(database, sequencing, { claim, window, page: readPulledPage(source, api, bytes), log, pauseMs });
  } catch (error) {
    if (signal.aborted) return false;
    const { code, wait } = await note(database, claim, error, sequencing.effects.now());
    const { source } = claim;
    logger.warn({ source, code, retryInMs: wait }, `a source was not fetched from: ${messageOf(error)}`);
  }
  return true;
}

async function claimSource(database: Database, now: number): Promise<Claim | null> {
  const { rows } = await database.query<Claim>(
    `UPDATE source_cursors SET next_at = $1 + ${LEASE_MS} WHERE source = (
       SELECT source FROM source_cursors WHERE next_at <= $1 ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED)
     RETURNING source, version, since, until, page, failures`,
    [now],
  );
  return rows[0] ?? null;
}

/**
 * What is asked for now. A new window begins before the end of the last one, for what came late; the log knows what it has
 * of that. Amid a window neither end moves.
 */
function windowOf({ since, until, page, version }: Claim, now: number): FetchWindow {
  if (page !== null) return { since, until };
  return {
    since: version > 0 && now - since < KNOWN_MS ? since - OVERLAP_MS : since,
    until: Math.max(since, Math.min(since + MAX_WINDOW_MS, now - SETTLED_MS)),
  };
}

interface Fetched {
  readonly claim: Claim;
  readonly window: FetchWindow;
  readonly page: PulledPage;
  readonly log: Log;
  readonly pauseMs: number;
}

/** Appends the events of a page, and stores where to go on. */
async function store(
  database: Database,
  sequencing: Sequencing,
  { claim, window, page: { drafts, next }, log, pauseMs }: Fetched,
): Promise<void> {
  const now = sequencing.effects.now();
  const upToDate = next === null && window.until >= now - SETTLED_MS - pauseMs;
  const since = next === null ? window.until : window.since;
  const settle = await transaction(
    database,
    async (tx, defer) => {
      const { rowCount } = await tx.query(
        `UPDATE source_cursors SET version = version + 1, since = $3, until = $4, page = $5, next_at = $6, failures = 0,
                problem = NULL WHERE source = $1 AND version = $2`,
        [claim.source, claim.version, since, window.until, next, upToDate ? now + pauseMs : now],
      );
      // Another process was faster, or the source is gone.
      if (rowCount === 0 || drafts.length === 0) return async () => {};
      await tx.query('UPDATE sources SET received_at = $2 WHERE id = $1', [claim.source, now]);
      const prepared = prepare(log, { drafts, idempotency: null }, sequencing.effects);
      const { outcomes, settle } = await sequence(tx, defer, log, [prepared], sequencing);
      const [outcome] = outcomes;
      if (outcome !== undefined && 'refused' in outcome) throw outcome.refused;
      return settle;
    },
    { deadline: COMMIT_MS },
  );
  await settle();
}

/** Remembers a failure, and when to ask again. */
async function note(
  database: Database,
  { source, version, failures }: Claim,
  error: unknown,
  now: number,
): Promise<{ code: string; wait: number }> {
  const pause = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(failures, 10), MAX_PAUSE_MS);
  const wait = Math.max(pause, (error instanceof PageFailure ? error.retryAfter : null) ?? 0);
  const code: ErrorCode = error instanceof AntequemError ? error.code : 'pull-failed';
  const says = messageOf(error).slice(0, 500);
  await database.query(
    // A page that is refused again and again may be none any more: its window begins anew.
    `UPDATE source_cursors SET next_at = $3, failures = failures + 1, problem = $4,
            page = CASE WHEN failures + 1 >= ${PAGE_FAILURES} THEN NULL ELSE page END WHERE source = $1 AND version = $2`,
    [source, version, now + wait, says],
  );
  await database.query('UPDATE sources SET refused_at = $2, refusal = $3 WHERE id = $1', [source, now, code]);
  return { code, wait };
}
