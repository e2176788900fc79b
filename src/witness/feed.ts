import type { Logger } from 'pino';
import { dueLogs } from '../log/due-checkpoints.ts';
import { LOG_COLUMNS, type LogRow, logOf } from '../log/registry.ts';
import type { RollbackState } from '../log/rollback.ts';
import type { Database } from '../store/database.ts';
import type { Pursuit } from './pursuit.ts';
import type { Witnesses } from './witnesses.ts';

/** Logs in one query. */
const PAGE = 500;
/** Logs that are offered to one witness concurrently. */
const AT_ONCE = 8;

export interface FeedOptions {
  readonly database: Database;
  readonly witnesses: Witnesses;
  readonly rollback: RollbackState;
  /** Milliseconds between checks. */
  readonly interval: number;
  readonly logger: Logger;
}

/**
 * Regularly offers checkpoints that nobody asked for, such as those of rounds, which are signed for it. Several processes
 * may do this: a witness that is offered a checkpoint twice cosigns it twice.
 * @returns a function that stops this
 */
export function feedWitnesses({ database, witnesses, rollback, interval, logger }: FeedOptions): () => Promise<void> {
  let stopped = false;
  let looking: Promise<void> | null = null;
  const look = async (): Promise<void> => {
    try {
      await signDue();
      await Promise.all(witnesses.pursuits.map((pursuit) => feed(pursuit)));
    } catch (error) {
      logger.warn({ err: error }, 'the search for checkpoints to offer to witnesses failed');
    }
  };
  /** Signs what rounds have of logs and nobody asked for, so that it can be offered. */
  const signDue = async (): Promise<void> => {
    for (let after = 0; ; ) {
      if (stopped || rollback.finding !== null) return;
      const page = await dueLogs(database, after, PAGE);
      await Promise.all(
        page.map(async ({ log, size }) => {
          if (await witnesses.concerns(log)) await witnesses.options.publisher.at(log, size);
        }),
      );
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      after = last.log.id;
    }
  };
  const feed = async (pursuit: Pursuit): Promise<void> => {
    for (let after = 0; ; ) {
      const page = await lacking(database, pursuit, after);
      for (let i = 0; i < page.length; i += AT_ONCE) {
        // A database that was restored from an old copy must not offer checkpoints.
        if (stopped || rollback.finding !== null) return;
        const some = page.slice(i, i + AT_ONCE);
        await Promise.all(
          some.map(async ({ log, checkpoint }) => {
            if (!pursuit.rests(log) && (await witnesses.concerns(log))) await pursuit.pursue(log, checkpoint);
          }),
        );
      }
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      after = last.log.id;
    }
  };
  const timer = setInterval(() => {
    looking ??= look().finally(() => {
      looking = null;
    });
  }, interval).unref();
  return async () => {
    stopped = true;
    clearInterval(timer);
    await looking;
  };
}

/** Logs whose newest checkpoint this witness has not cosigned, with that checkpoint. */
async function lacking(database: Database, { witness }: Pursuit, after: number) {
  const { rows } = await database.query<LogRow & { size: number; root: Uint8Array; note: string }>(
    `SELECT ${LOG_COLUMNS}, c.size, c.root, c.note
     FROM logs l
     CROSS JOIN LATERAL (SELECT size, root, note FROM checkpoints WHERE log = l.id ORDER BY size DESC LIMIT 1) c
     LEFT JOIN LATERAL
       (SELECT size FROM cosignatures WHERE witness = $1 AND log = l.id ORDER BY size DESC LIMIT 1) s ON true
     WHERE l.id > $2 AND c.size > coalesce(s.size, 0)
     ORDER BY l.id LIMIT $3`,
    [Buffer.from(witness.key.id), after, PAGE],
  );
  return rows.map((row) => {
    const log = logOf(row);
    const { size, note } = row;
    return { log, checkpoint: { origin: log.origin, size, root: new Uint8Array(row.root), note } };
  });
}
