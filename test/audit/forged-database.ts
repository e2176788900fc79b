// A made-up history as the database of a service would have it.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { sha256 } from '#sha256';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { parseCheckpoint } from '../../src/core/checkpoint.ts';
import { entryLeafHash, parseEntry } from '../../src/core/entry.ts';
import { parseNote } from '../../src/core/note.ts';
import { logId, logOrigin, SYSTEM_LOG } from '../../src/core/origin.ts';
import { parseCheckpointLeaf } from '../../src/core/round.ts';
import { parseBundle, TILE_WIDTH, tileLocation, tilePath, tileWidth } from '../../src/core/tiles.ts';
import { parseTime } from '../../src/core/time.ts';
import { asAdministrator } from '../support/history.ts';
import { type EntryRow, writeStoredEntries } from '../support/stored-entries.ts';
import { actCount, FORGED_ORIGIN, FORGED_SEED, type ForgedStory, forgedContent, NEW_YEAR } from './forged.ts';

interface RoundFile {
  readonly number: number;
  readonly closedAt: string;
  readonly previousRoot: string;
  readonly root: string;
  readonly size: number;
  readonly leaves: readonly { readonly leaf: string; readonly checkpoint?: string }[];
}

/** Fills an empty database with the story that a mirror has. */
export async function forgeDatabase(url: string, mirror: string, story: ForgedStory): Promise<void> {
  const read = (path: string): Buffer => readFileSync(join(mirror, ...path.split('/')));
  const acts = actsOf(read, story);
  await asAdministrator(url, async (client) => {
    // A forger has no use for it: a log that did not grow may be in a round.
    await client.query('ALTER TABLE round_logs DROP CONSTRAINT round_logs_pkey');
    const ids = new Map<string, number>();
    for (const name of [...Object.keys(story.logs), SYSTEM_LOG]) {
      ids.set(toHex(logId(logOrigin(FORGED_ORIGIN, name))), await forgeLog(client, read, name, story, acts));
    }
    for (let number = 1; number <= story.rounds.length; number++) {
      await forgeRound(client, JSON.parse(read(`v1/audit/rounds/${tilePath(number)}`).toString()), ids);
    }
  });
}

/** The payloads of `_system`. */
function actsOf(read: (path: string) => Buffer, story: ForgedStory): string[] {
  const count = actCount(story);
  const location = tileLocation({ level: 'entries', index: 0, width: count });
  return read(location.replace('tile/entries', 'v1/audit/acts')).toString().split('\n').slice(0, count);
}

/** @returns its id */
async function forgeLog(
  client: pg.Client,
  read: (path: string) => Buffer,
  name: string,
  story: ForgedStory,
  acts: readonly string[],
): Promise<number> {
  const origin = logOrigin(FORGED_ORIGIN, name);
  const note = read(`logs/${name}/checkpoint`).toString();
  const { size, root } = parseCheckpoint(parseNote(note).text);
  const entries = Array.from({ length: Math.ceil(size / TILE_WIDTH) }, (_, index) =>
    parseBundle(read(`logs/${name}/${tileLocation({ level: 'entries', index, width: tileWidth(0, index, size) })}`)),
  )
    .flat()
    .map(parseEntry);
  const last = entries.at(-1);
  const system = name === SYSTEM_LOG;
  const { rows } = await client.query<{ id: number }>(
    `WITH made AS (
       INSERT INTO logs (name, origin, log_id, blinded, created_at, ml_dsa) VALUES ($1, $2, $3, $4, $5, $10) RETURNING id)
     INSERT INTO log_heads (log, size, root, last_leaf, last_received_at) SELECT id, $6, $7, $8, $9 FROM made RETURNING log AS id`,
    [
      name,
      origin,
      Buffer.from(logId(origin)),
      !system,
      NEW_YEAR,
      size,
      Buffer.from(root),
      Buffer.from(last === undefined ? logId(origin) : entryLeafHash(last)),
      last?.receivedAt ?? 0,
      story.mlDsa?.[name] !== undefined,
    ],
  );
  const id = rows[0]?.id ?? 0;
  await client.query('INSERT INTO log_keys (log, number, public_key, created_at) VALUES ($1, 1, $2, $3)', [
    id,
    Buffer.from(FORGED_SEED.signer(origin).publicKey),
    NEW_YEAR,
  ]);
  await forgeTiles(client, read, name, id, size);
  const stored = entries.map((entry, index): EntryRow => {
    const { payload, nonce } = system
      ? { payload: acts[index] ?? '', nonce: new Uint8Array(0) }
      : forgedContent(story, name, index);
    return {
      index,
      received_at: entry.receivedAt,
      digest: Buffer.from(sha256(Buffer.from(payload))),
      nonce: Buffer.from(nonce),
      commitment: Buffer.from(entry.commitment),
      leaf_hash: Buffer.from(entryLeafHash(entry)),
      payload: Buffer.from(payload),
      erased: false,
    };
  });
  await writeStoredEntries(client, id, stored);
  await client.query('INSERT INTO digest_batches (log, first, prefixes) VALUES ($1, 0, $2)', [
    id,
    Buffer.concat(stored.map(({ payload }) => sha256(payload ?? Buffer.alloc(0)).subarray(0, 6))),
  ]);
  await client.query('INSERT INTO checkpoints (log, size, root, note, signed_at) VALUES ($1, $2, $3, $4, 0)', [
    id,
    size,
    Buffer.from(root),
    note,
  ]);
  return id;
}

/** Complete tiles of the lowest level: the stories are short. */
async function forgeTiles(
  client: pg.Client,
  read: (path: string) => Buffer,
  name: string,
  id: number,
  size: number,
): Promise<void> {
  const complete = Math.floor(size / TILE_WIDTH);
  for (let index = 0; index < complete; index++) {
    const above = read(`logs/${name}/${tileLocation({ level: 1, index: 0, width: complete })}`);
    await client.query('INSERT INTO tiles (log, level, index, root, hashes) VALUES ($1, 0, $2, $3, $4)', [
      id,
      index,
      above.subarray(32 * index, 32 * index + 32),
      read(`logs/${name}/${tileLocation({ level: 0, index, width: TILE_WIDTH })}`),
    ]);
  }
}

async function forgeRound(client: pg.Client, round: RoundFile, ids: ReadonlyMap<string, number>): Promise<void> {
  const { number, closedAt, previousRoot, root, size, leaves } = round;
  await client.query(
    `INSERT INTO rounds (number, closed_at, previous_root, root, size, beacons) VALUES ($1, $2, $3, $4, $5, '[]')`,
    [number, parseTime(closedAt), Buffer.from(fromHex(previousRoot)), Buffer.from(fromHex(root)), size],
  );
  const [link = Buffer.alloc(0), ...checkpoints] = leaves.map(({ leaf }) => Buffer.from(fromHex(leaf)));
  await client.query('INSERT INTO packed_leaves (round, link, checkpoints, digests) VALUES ($1, $2, $3, $4)', [
    number,
    link,
    Buffer.concat(checkpoints),
    Buffer.alloc(0),
  ]);
  for (const [index, { leaf: hex, checkpoint }] of leaves.entries()) {
    const bytes = Buffer.from(fromHex(hex));
    const leaf = index === 0 ? null : parseCheckpointLeaf(bytes);
    const log = leaf === null ? null : (ids.get(toHex(leaf.logId)) ?? null);
    if (leaf !== null && log !== null) {
      await client.query('INSERT INTO round_logs (size, round, log, index) VALUES ($1, $2, $3, $4)', [
        leaf.size,
        number,
        log,
        index,
      ]);
    }
    if (checkpoint === undefined) continue;
    const signed = parseCheckpoint(parseNote(checkpoint).text);
    await client.query(
      'INSERT INTO checkpoints (log, size, root, note, signed_at) VALUES ($1, $2, $3, $4, 0) ON CONFLICT (log, size) DO NOTHING',
      [log, signed.size, Buffer.from(signed.root), checkpoint],
    );
  }
}
