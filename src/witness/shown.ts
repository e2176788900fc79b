// What witnesses show to others of our logs (C2SP tlog-witness, "Monitor Retrieval Mechanism"): a fork that was cosigned
// elsewhere is found there.

import type { Logger } from 'pino';
import { sha256 } from '#sha256';
import { collectAtMost } from '../core/bounded.ts';
import { equalBytes, toHex, utf8 } from '../core/bytes.ts';
import { type Checkpoint, parseCheckpoint } from '../core/checkpoint.ts';
import { parsed } from '../core/errors.ts';
import { EMPTY_ROOT } from '../core/merkle.ts';
import { checkNote, type Note, noteKeyId, parseNote } from '../core/note.ts';
import type { Log } from '../log/log.ts';
import { LOG_COLUMNS, type LogRow, logOf, type Registry } from '../log/registry.ts';
import type { TileStore } from '../log/tilestore.ts';
import type { Database } from '../store/database.ts';
import { witnessUrl } from './offer.ts';
import { WitnessProblems } from './problems.ts';
import type { AskedWitness } from './pursuit.ts';

/** Logs in one query. */
const PAGE = 500;
const REQUEST_PATIENCE_MS = 10_000;
/** A checkpoint with the signatures of its log and of the witness. */
const MAX_SHOWN_BYTES = 65_536;

/** Milliseconds between two comparisons: a witness may show a checkpoint an hour late. */
const INTERVAL_MS = 3_600_000;
/** Logs in a row that a witness does not answer for before the comparison ends: each may take `REQUEST_PATIENCE_MS`. */
const MAX_UNANSWERED = 8;

export interface ShownOptions {
  readonly database: Database;
  readonly registry: Registry;
  readonly tiles: TileStore;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  readonly logger: Logger;
}

/**
 * Compares, every hour, what each witness shows of our logs with the logs.
 * @returns a function that stops this
 */
export function watchShown(witnesses: readonly AskedWitness[], options: ShownOptions): () => Promise<void> {
  const ending = new AbortController();
  let comparing: Promise<unknown> | null = null;
  /** Where the comparison with each witness goes on. */
  const places = new Map<AskedWitness, number>();
  const compareOne = async (witness: AskedWitness): Promise<void> => {
    try {
      places.set(witness, await compareShown(witness, options, ending.signal, places.get(witness)));
    } catch (error) {
      options.logger.warn({ err: error, witness: witness.name }, 'what the witness shows was not compared');
    }
  };
  const timer = setInterval(() => {
    comparing ??= Promise.all(witnesses.map(compareOne)).finally(() => {
      comparing = null;
    });
  }, INTERVAL_MS).unref();
  return async () => {
    clearInterval(timer);
    ending.abort();
    await comparing;
  };
}

/**
 * Compares what a witness shows of each log that it was asked to cosign with the log. Only a checkpoint that the log itself
 * signed says anything: what else a witness shows, or that it shows nothing, accuses nobody. A log that it does not answer for
 * is left out; after `MAX_UNANSWERED` of them in a row the witness is taken to be down.
 * @param from id of the log after which to begin
 * @returns where the next comparison begins: 0 where this one came to the end
 */
export async function compareShown(
  witness: AskedWitness,
  options: ShownOptions,
  signal: AbortSignal,
  from = 0,
): Promise<number> {
  const { database, logger } = options;
  let unanswered = 0;
  for (let after = from; ; ) {
    const { rows } = await database.query<LogRow>(
      `SELECT ${LOG_COLUMNS} FROM logs l
       WHERE l.id > $1 AND (EXISTS (SELECT FROM cosignatures WHERE witness = $2 AND log = l.id)
                            OR EXISTS (SELECT FROM witness_problems WHERE witness = $2 AND log = l.id))
       ORDER BY l.id LIMIT $3`,
      [after, Buffer.from(witness.key.id), PAGE],
    );
    for (const log of rows.map(logOf)) {
      if (signal.aborted) return after;
      after = log.id;
      const note = await readShown(witness.url, log.origin, signal);
      unanswered = note === 'unreachable' ? unanswered + 1 : 0;
      if (note === 'unreachable') logger.debug({ witness: witness.name, log: log.name }, 'shows nothing');
      else if (note !== null) await compare(witness, log, note, options);
      if (unanswered >= MAX_UNANSWERED) return after;
    }
    if (rows.length < PAGE) return 0;
  }
}

async function compare(witness: AskedWitness, log: Log, note: Note, options: ShownOptions): Promise<void> {
  const { registry, database, now, logger } = options;
  const problems = new WitnessProblems(database);
  const head = parsed(() => parseCheckpoint(note.text));
  const keys = await registry.signers(log);
  const signed = keys.some(
    ({ publicKey }) =>
      checkNote(note, { name: log.origin, keyId: noteKeyId(log.origin, publicKey), publicKey }) === 'verified',
  );
  if (head === null || head.origin !== log.origin || !signed) return;
  const durable = (await registry.head(log))?.size ?? 0;
  if (head.size > durable) {
    const says = `it shows a checkpoint of ${head.size} entries, signed by the log, which has ${durable} here: check whether the database was restored from an old copy`;
    logger.warn({ code: 'witness-shows-more', witness: witness.name, log: log.name }, says);
    return await problems.note(log, witness, 'witness-shows-more', says, now());
  }
  if (equalBytes(await rootAt(log, head, options.tiles), head.root)) return await problems.clear(log, witness, 'shown');
  const says = `it shows a checkpoint of ${head.size} entries, signed by the log, with another root than the log has here: there are two histories. Keep what it shows (${shownAt(witness.url, log.origin)})`;
  logger.error({ code: 'witness-shows-fork', witness: witness.name, log: log.name }, says);
  await problems.note(log, witness, 'witness-shows-fork', says, now());
}

async function rootAt(log: Log, { size }: Checkpoint, tiles: TileStore): Promise<Uint8Array> {
  if (size === 0) return EMPTY_ROOT;
  const [root = EMPTY_ROOT] = await tiles.ranges(log, [{ begin: 0, end: size }], size);
  return root;
}

function shownAt(url: string, origin: string): string {
  return witnessUrl(url, `${toHex(sha256(utf8(origin)))}/checkpoint`);
}

/** What a witness shows of a log; null where that is nothing that can be read. */
async function readShown(url: string, origin: string, signal: AbortSignal): Promise<Note | null | 'unreachable'> {
  try {
    const response = await fetch(shownAt(url, origin), {
      // Redirects are not followed: only the configured address may be asked.
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_PATIENCE_MS)]),
    });
    const bytes = await collectAtMost(response.body, MAX_SHOWN_BYTES);
    if (response.status !== 200 || bytes === null) return null;
    return parsed(() => parseNote(new TextDecoder().decode(bytes)));
  } catch {
    return 'unreachable';
  }
}
