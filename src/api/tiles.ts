import type { RequestHandler, Router } from 'express';
import { HASH_SIZE } from '../core/merkle.ts';
import { parseTileLocation, tileWidth } from '../core/tiles.ts';
import { pathLog } from './parameters.ts';
import { Problem } from './problem.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';

/** What anybody may read from anywhere, web pages of other sites included. */
export const publicRead: RequestHandler = (request, response, next) => {
  response.setHeader('Access-Control-Allow-Origin', '*');
  if (request.method !== 'OPTIONS') return next();
  response.setHeader('Access-Control-Allow-Methods', 'GET, HEAD');
  response.setHeader('Access-Control-Max-Age', '86400');
  response.status(204).end();
};

/** The read API of C2SP tlog-tiles: checkpoint, tiles, entry bundles. */
export function tileRoutes({ registry, publisher, tiles, entries }: Service): Router {
  return exactRouter()
    .get('/logs/:log/checkpoint', async (request, response) => {
      const log = await pathLog(request, registry);
      const { note } = await publisher.current(log);
      response.set('Cache-Control', 'no-cache').type('text/plain; charset=utf-8').send(note);
    })
    .get('/logs/:log/tile/*location', async (request, response) => {
      const log = await pathLog(request, registry);
      // As it was sent, not decoded: a tile has one address.
      const tile = parseTileLocation(request.path.split('/').slice(3).join('/'));
      const level = tile.level === 'entries' ? 0 : tile.level;
      const { size } = await registry.head(log);
      if (tile.width > tileWidth(level, tile.index, size)) {
        throw new Problem(404, 'tile-not-found', `the log ${log.name} of ${size} entries has no such tile`);
      }
      const bytes =
        tile.level === 'entries'
          ? await entries.bundle(log, tile.index, tile.width)
          : (await tiles.tile(log, tile.level, tile.index, size)).subarray(0, tile.width * HASH_SIZE);
      // A tile of this width never changes, a partial one included.
      response
        .set('Cache-Control', 'public, max-age=31536000, immutable')
        .type('application/octet-stream')
        .send(Buffer.from(bytes));
    });
}
