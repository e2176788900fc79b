import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { RequestHandler, Router } from 'express';
import { z } from 'zod';
import { toHex } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { LruCache } from '../core/lru.ts';
import { consistencyRanges, HASH_SIZE } from '../core/merkle.ts';
import { parseTileLocation, TILE_WIDTH } from '../core/tiles.ts';
import type { Log } from '../log/log.ts';
import type { Published } from '../log/publish.ts';
import type { TileSource } from '../log/read-replica.ts';
import { described, jsonAnswer } from './description.ts';
import { countForm, hashForm, originForm } from './forms.ts';
import { ownBuffer } from './own-buffer.ts';
import { indexText, pathLog, query } from './parameters.ts';
import { Problem } from './problem.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';

const compress = promisify(gzip);
/** Bytes of complete entry bundles kept, and as many of them compressed: 19 kB each. */
const CACHED_BUNDLES = 16 << 20;

/** What anybody may read from anywhere, web pages of other sites included. */
export const publicRead: RequestHandler = (request, response, next) => {
  response.setHeader('Access-Control-Allow-Origin', '*');
  if (request.method !== 'OPTIONS') return next();
  response.setHeader('Access-Control-Allow-Methods', 'GET, HEAD');
  response.setHeader('Access-Control-Max-Age', '86400');
  response.status(204).end();
};

const checkpointQuery = z.strictObject({ least: indexText.optional() });

const readCheckpoint = described({
  id: 'readCheckpoint',
  tag: 'Tiles',
  summary: 'The checkpoint of a log',
  description:
    'With `least`, one of at least so many entries: a replica may answer. Without it, the newest, or where the database is ' +
    'away the newest that a replica has and that is no older than what this process has shown.',
  access: 'public',
  query: checkpointQuery,
  answers: { 200: { says: 'A C2SP signed note.', content: { 'text/plain': 'text' } } },
  problems: [
    'checkpoint-conflict',
    'checkpoint-not-witnessed',
    'database-set-back',
    'guard-unavailable',
    'log-not-found',
    'signer-silent',
    'size-not-reached',
  ],
});

const readTile = described({
  id: 'readTile',
  tag: 'Tiles',
  summary: 'A tile or an entry bundle of a log',
  description: '`{L}/{N}[.p/{W}]` or `entries/{N}[.p/{W}]`, as C2SP tlog-tiles has them. It never changes.',
  access: 'public',
  path: {
    location: z
      .string()
      .regex(/^(\d{1,2}|entries)\/(x\d{3}\/)*\d{3}(\.p\/\d{1,3})?$/)
      .meta({ description: 'With its slashes.' }),
  },
  answers: { 200: { says: 'Its bytes.', content: { 'application/octet-stream': 'bytes' } } },
  problems: ['archive-damaged', 'archive-unavailable', 'log-not-found', 'tile-location', 'tile-not-found'],
});

/** The read API of C2SP tlog-tiles: checkpoint, tiles, entry bundles. */
export function tileRoutes({ registry, publisher, checkpoints, replica, tiles, entries, memory }: Service): Router {
  const bundles = new LruCache<string, Buffer>(memory ?? CACHED_BUNDLES);
  const compressed = new LruCache<string, Buffer>(memory ?? CACHED_BUNDLES);
  /** Cosignatures and what a policy demands of them are known to the primary alone. */
  const readable = checkpoints === publisher ? replica : null;
  const checkpointOf = async (log: Log, least: number | undefined): Promise<Published> => {
    const shown = publisher.shown(log);
    const replicated = least === undefined ? null : await readable?.checkpoint(log, Math.max(least, shown));
    if (replicated != null) return replicated;
    try {
      const current = await checkpoints.current(log);
      if (least === undefined || least <= current.size) return current;
      throw new Problem('size-not-reached', `the log ${log.name} has ${current.size} entries, not ${least}`);
    } catch (error) {
      const away = error instanceof AntequemError && error.code === 'database-unavailable';
      const found = away ? await readable?.checkpoint(log, Math.max(least ?? 0, shown)) : null;
      if (found == null) throw error;
      return found;
    }
  };
  return exactRouter()
    .get('/logs/:log/checkpoint', readCheckpoint, async (request, response) => {
      const log = await pathLog(request, registry);
      const { least } = query(request, checkpointQuery);
      const { note } = await checkpointOf(log, least);
      response.set('Cache-Control', 'no-cache').type('text/plain; charset=utf-8').send(note);
    })
    .get('/logs/:log/tile/*location', readTile, async (request, response) => {
      const log = await pathLog(request, registry);
      // As it was sent, not decoded: a tile has one address.
      const { level, index, width } = parseTileLocation(request.path.split('/').slice(3).join('/'));
      const height = level === 'entries' ? 0 : level;
      const size = (index * TILE_WIDTH + width) * TILE_WIDTH ** height;
      // Caches keep it forever, so it is sent only after a checkpoint was signed over it.
      const readCovered = async <T>(read: (source: TileSource) => Promise<T>): Promise<T> => {
        const replicated = Number.isSafeInteger(size) ? await replica?.read(log, size, read) : null;
        if (replicated != null) return replicated;
        if (!Number.isSafeInteger(size) || !(await publisher.covers(log, size))) {
          throw new Problem('tile-not-found', `the log ${log.name} has published no checkpoint with such a tile`);
        }
        return read({ tiles, entries });
      };
      const immutable = (): void => {
        response.set('Cache-Control', 'public, max-age=31536000, immutable').type('application/octet-stream');
      };
      if (level !== 'entries') {
        const tile = await readCovered((source) => source.tiles.tile(log, level, index, size));
        immutable();
        return void response.send(Buffer.from(tile.buffer, tile.byteOffset, width * HASH_SIZE));
      }
      const key = `${log.id}/${index}/${width}`;
      const bundle = await kept(bundles, key, () => readCovered((source) => source.entries.bundle(log, index, width)));
      immutable();
      response.setHeader('Vary', 'Accept-Encoding');
      // Negotiation costs as much as the rest: a request that names neither gzip nor `*` has nothing to negotiate.
      const named = /gzip|\*/i.test(request.headers['accept-encoding']?.toString() ?? '');
      if (!named || request.acceptsEncodings('gzip') === false) return void response.send(bundle);
      response.set('Content-Encoding', 'gzip').send(await kept(compressed, key, () => compress(bundle)));
    });
}

async function kept(cache: LruCache<string, Buffer>, key: string, make: () => Promise<Uint8Array>): Promise<Buffer> {
  const known = cache.get(key);
  if (known !== undefined) return known;
  const made = ownBuffer(await make());
  cache.set(key, made, made.length);
  return made;
}

const consistencyQuery = z.strictObject({ from: indexText, to: indexText });

const readProof = described({
  id: 'proveConsistency',
  tag: 'Tiles',
  summary: 'A consistency proof',
  description: 'That the log of `to` entries begins with the log of `from` entries (RFC 9162 section 2.1.4).',
  access: 'public',
  query: consistencyQuery,
  answers: {
    200: jsonAnswer(
      'The proof.',
      z.object({ log: originForm, from: countForm, to: countForm, path: z.array(hashForm) }),
    ),
  },
  problems: ['archive-damaged', 'archive-unavailable', 'log-not-found', 'proof-range', 'size-not-reached'],
});

/** Consistency proofs. They tell hashes alone, so they are public as the tiles are. */
export function proofRoutes({ registry, tiles }: Service): Router {
  return exactRouter().get('/v1/logs/:log/proofs/consistency', readProof, publicRead, async (request, response) => {
    const log = await pathLog(request, registry);
    const { from, to } = query(request, consistencyQuery);
    const { size } = await registry.head(log);
    if (to > size) throw new Problem('size-not-reached', `the log ${log.name} has ${size} entries, not ${to}`);
    const path = from === 0 ? [] : await tiles.ranges(log, consistencyRanges(from, to), to);
    response.json({ log: log.origin, from, to, path: path.map(toHex) });
  });
}
