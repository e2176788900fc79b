import type { Response, Router } from 'express';
import { z } from 'zod';
import { lastRound, roundByNumber } from '../anchor/rounds.ts';
import { shownActs, shownLeaves, shownRound, shownService } from '../anchor/shown.ts';
import { ANCHOR_TYPES } from '../core/receipt-schema.ts';
import { parseTileLocation, parseTilePath, TILE_WIDTH } from '../core/tiles.ts';
import type { Gate } from './access.ts';
import { described, jsonAnswer } from './description.ts';
import { beaconForm, countForm, hashForm, originForm, timeForm } from './forms.ts';
import { Problem } from './problem.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';

const location = (form: RegExp) => ({
  location: z.string().regex(form).meta({ description: 'With its slashes, as tiles have theirs.' }),
});

const leavesForm = z.array(z.object({ leaf: z.string().regex(/^[0-9a-f]+$/), checkpoint: z.string().optional() }));

const auditService = described({
  id: 'auditService',
  tag: 'Verification',
  summary: 'What an audit needs to know of the service',
  access: 'read',
  answers: {
    200: jsonAnswer(
      'docs/formats.md, "Mirror".',
      z.object({
        format: z.literal('antequem-service/v1'),
        origin: originForm,
        verifierKey: z.string(),
        verifierKeys: z.array(z.string()).nonempty(),
        rounds: countForm,
        chains: z.array(
          z.object({ chain: z.string(), contract: z.string().optional(), genesis: z.string().optional() }),
        ),
      }),
    ),
  },
});

const auditActs = described({
  id: 'auditActs',
  tag: 'Verification',
  summary: 'The acts of the service, as an entry bundle of `_system` holds them',
  access: 'read',
  path: location(/^(x\d{3}\/)*\d{3}(\.p\/\d{1,3})?$/),
  answers: { 200: { says: 'One act a line.', content: { 'application/x-ndjson': 'text' } } },
  problems: ['tile-location', 'tile-not-found'],
});

const auditRound = described({
  id: 'auditRound',
  tag: 'Verification',
  summary: 'A round with its signed leaves',
  description: '`{N}`, and `{N}.leaves/{M}` for the leaves from 256 on.',
  access: 'read',
  path: location(/^(x\d{3}\/)*\d{3}(\.leaves\/(x\d{3}\/)*\d{3})?$/),
  answers: {
    200: jsonAnswer(
      'The round, or more of its leaves.',
      z.union([
        z.object({
          number: z.int().positive(),
          closedAt: timeForm,
          previousRoot: hashForm,
          beacons: z.array(beaconForm),
          root: hashForm,
          size: z.int().positive(),
          anchors: z.array(z.looseObject({ type: z.enum(ANCHOR_TYPES) })),
          leaves: leavesForm,
        }),
        z.object({ leaves: leavesForm }),
      ]),
    ),
  },
  problems: ['archive-damaged', 'archive-unavailable', 'round-not-found'],
});

/**
 * What a third party's audit reads beside tiles (docs/formats.md, "Mirror"). No path has a query, so that a folder of files
 * can stand in for the service.
 */
export function auditRoutes(
  { database, registry, entries, publisher, anchors, auditedChains }: Service,
  gate: Gate,
): Router {
  const send = (response: Response, type: string, body: string | Buffer): void => {
    response.set('X-Content-Type-Options', 'nosniff').type(type).send(body);
  };

  return exactRouter()
    .get('/v1/audit/service', auditService, async (request, response) => {
      await gate.admit(request, 'read', null);
      const newest = await lastRound(database);
      response.json(await shownService(database, registry, newest?.number ?? 0, await auditedChains()));
    })
    .get('/v1/audit/acts/*location', auditActs, async (request, response) => {
      await gate.admit(request, 'read', null);
      const { index, width } = parseTileLocation(`tile/entries/${restOf(request.path)}`);
      const begin = index * TILE_WIDTH;
      if (!(await publisher.covers(registry.system, begin + width))) {
        throw new Problem('tile-not-found', 'the log _system has published no checkpoint with such acts');
      }
      send(response, 'application/x-ndjson', await shownActs(entries, registry.system, begin, width));
    })
    .get('/v1/audit/rounds/*location', auditRound, async (request, response) => {
      await gate.admit(request, 'read', null);
      const [path = '', rest] = restOf(request.path).split('.leaves/');
      const number = parseTilePath(path);
      const bundle = rest === undefined ? 0 : parseTilePath(rest);
      const round = number === null ? null : await roundByNumber(database, number);
      const last = round === null ? 0 : Math.ceil(round.size / TILE_WIDTH) - 1;
      if (round === null || bundle === null || bundle > last || (bundle === 0 && rest !== undefined)) {
        throw new Problem('round-not-found', 'there is no such round, or it has no such leaves');
      }
      if (rest !== undefined)
        return void response.json({ leaves: await shownLeaves(database, publisher, round, bundle) });
      response.json({
        ...shownRound(round, await anchors(round.number)),
        leaves: await shownLeaves(database, publisher, round, 0),
      });
    });
}

/** What follows `/v1/audit/<kind>/`, as it was sent, not decoded: each thing has one address. */
function restOf(path: string): string {
  return path.split('/').slice(4).join('/');
}
