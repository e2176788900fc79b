// Keeps the public archive: a static log that anybody may read, as it was when some round was closed.

import { shownActs, shownService, verifierKeysOf } from '../anchor/shown.ts';
import { actsPath, MANIFEST, SERVICE } from '../audit/remote/layout.ts';
import { utf8 } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { TILE_WIDTH } from '../core/tiles.ts';
import { listedLogs } from '../log/listing.ts';
import { LOG_COLUMNS, type LogRow, logOf, type Registry } from '../log/registry.ts';
import { each, type LogSources, publishLog } from './published-logs.ts';
import { publishRounds, type RoundSources } from './published-rounds.ts';

export interface PublishingOptions extends LogSources, RoundSources {
  readonly registry: Registry;
  /** The chains of all targets, as auditors from outside see them. */
  readonly chains: () => Promise<readonly object[]>;
  /** Ends the work between two steps. */
  readonly signal: AbortSignal;
}

/** Rounds that are published together. */
const STEP_ROUNDS = 1_000;

/**
 * Publishes all rounds that were closed by a time, with the logs as far as the newest of them has them.
 * @param from the newest round that the archive shows; 0: none
 * @param before milliseconds since the Unix epoch
 * @param onStep told the newest round that it shows by now
 */
export async function publishArchive(
  options: PublishingOptions,
  from: number,
  before: number,
  onStep: (round: number) => Promise<void>,
): Promise<number> {
  let newest = from;
  while (!options.signal.aborted) {
    const next = await nextRound(options, newest, before);
    if (next === null) break;
    await publishStep(options, newest, next);
    newest = next;
    await onStep(newest);
  }
  return newest;
}

async function nextRound({ database }: PublishingOptions, from: number, before: number): Promise<number | null> {
  const { rows } = await database.query<{ number: number | null }>(
    `SELECT max(number) AS number FROM (SELECT number, closed_at FROM rounds WHERE number > $1 ORDER BY number LIMIT $2) AS r
     WHERE closed_at <= $3`,
    [from, STEP_ROUNDS, before],
  );
  return rows[0]?.number ?? null;
}

/** Takes the archive from one round to a later one. What a checkpoint commits to is there before the checkpoint. */
async function publishStep(options: PublishingOptions, from: number, to: number): Promise<void> {
  const { database, registry, store, chains } = options;
  const { rows } = await database.query<LogRow & { size: number }>(
    `SELECT ${LOG_COLUMNS}, r.size
     FROM logs l CROSS JOIN LATERAL
       (SELECT size, round FROM round_logs WHERE log = l.id AND round <= $2 ORDER BY size DESC LIMIT 1) AS r
     WHERE r.round > $1 ORDER BY l.name`,
    [from, to],
  );
  const { system } = registry;
  await each(
    rows.filter(({ id }) => id !== system.id),
    (row) => publishAt(options, row),
  );
  await publishRounds(options, from + 1, to);
  const ownRow = rows.find(({ id }) => id === system.id);
  if (ownRow !== undefined) {
    if (options.publishRounds) await publishActs(options, ownRow.size);
    await publishAt(options, ownRow);
  }
  if (options.publishRounds) {
    // The round at hand is in the acts that come behind it.
    const service = await shownService(database, registry, to - 1, await chains());
    await store.putCurrent(SERVICE, utf8(JSON.stringify(service)));
  }
  await store.putCurrent(MANIFEST, utf8(await manifest(options, to)));
}

async function publishAt(options: PublishingOptions, row: LogRow & { readonly size: number }): Promise<void> {
  const log = logOf(row);
  const checkpoint = await options.checkpoints.at(log, row.size);
  if (checkpoint === null) {
    throw new AntequemError('log-damaged', `the checkpoint of ${log.name} at size ${row.size} is gone: run an audit`);
  }
  await publishLog(options, log, row.size, checkpoint.note);
}

/** The acts in `size` entries of `_system`. */
async function publishActs({ database, store, entries, registry, lock }: PublishingOptions, size: number) {
  const { system } = registry;
  const { rows } = await database.query<{ published: number }>('SELECT published FROM archive_logs WHERE log = $1', [
    system.id,
  ]);
  const first = Math.floor((rows[0]?.published ?? 0) / TILE_WIDTH);
  for (let index = first; index * TILE_WIDTH < size; index++) {
    const width = Math.min(TILE_WIDTH, size - index * TILE_WIDTH);
    const acts = utf8(await shownActs(entries, system, index * TILE_WIDTH, width));
    await store.putNew(actsPath(index, width), acts, width === TILE_WIDTH ? lock() : null);
  }
}

async function manifest({ database, registry, publishRounds }: PublishingOptions, rounds: number): Promise<string> {
  const logs = [];
  for (const log of await listedLogs(database)) {
    logs.push({ log: log.origin, verifierKeys: await verifierKeysOf(database, log) });
  }
  const verifierKeys = await verifierKeysOf(database, registry.system);
  const origin = registry.serviceOrigin;
  return JSON.stringify({
    format: 'antequem-archive/v1',
    origin,
    verifierKeys,
    rounds,
    auditable: publishRounds,
    logs,
  });
}
