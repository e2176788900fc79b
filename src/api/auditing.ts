import type { Response, Router } from 'express';
import { z } from 'zod';
import { beaconsOf } from '../anchor/receipts.ts';
import { lastRound, type Round, readSignedLeaves, roundByNumber } from '../anchor/rounds.ts';
import { toHex } from '../core/bytes.ts';
import { formatVerifierKey } from '../core/note.ts';
import { ANCHOR_TYPES } from '../core/receipt-schema.ts';
import { parseTileLocation, parseTilePath, TILE_WIDTH } from '../core/tiles.ts';
import { formatTime } from '../core/time.ts';
import { readLogKeys } from '../log/rotation.ts';
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
  problems: ['round-not-found'],
});

/**
 * What a third party's audit reads beside tiles (docs/formats.md, "Mirror"). No path has a query, so that a folder of files
 * can stand in for the service.
 */
export function auditRoutes(
  { database, registry, entries, publisher, anchors, auditedChains }: Service,
  gate: Gate,
): Router {
  const leaves = async (round: Round, bundle: number): Promise<object[]> => {
    const rows = await readSignedLeaves(database, round.number, bundle * TILE_WIDTH, (bundle + 1) * TILE_WIDTH);
    return rows.map(({ leaf, note }) => ({ leaf: toHex(leaf), ...(note === null ? {} : { checkpoint: note }) }));
  };
  const send = (response: Response, type: string, body: string | Buffer): void => {
    response.set('X-Content-Type-Options', 'nosniff').type(type).send(body);
  };

  return exactRouter()
    .get('/v1/audit/service', auditService, async (request, response) => {
      await gate.admit(request, 'read', null);
      const { system } = registry;
      // Those that were retired signed what came before.
      const keys = (await readLogKeys(database, [system])).get(system.id) ?? [];
      const verifierKeys = keys.map(({ publicKey }) => formatVerifierKey(system.origin, publicKey));
      const newest = await lastRound(database);
      response.json({
        format: 'antequem-service/v1',
        origin: registry.serviceOrigin,
        verifierKey: verifierKeys.at(-1),
        verifierKeys,
        rounds: newest?.number ?? 0,
        chains: await auditedChains(),
      });
    })
    .get('/v1/audit/acts/*location', auditActs, async (request, response) => {
      await gate.admit(request, 'read', null);
      const { index, width } = parseTileLocation(`tile/entries/${restOf(request.path)}`);
      const begin = index * TILE_WIDTH;
      if (!(await publisher.covers(registry.system, begin + width))) {
        throw new Problem('tile-not-found', 'the log _system has published no checkpoint with such acts');
      }
      const payloads = await entries.payloads(registry.system, begin, begin + width);
      const lines = payloads.map((payload) => `${payload === null ? '' : Buffer.from(payload).toString('utf8')}\n`);
      send(response, 'application/x-ndjson', lines.join(''));
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
      if (rest !== undefined) return void response.json({ leaves: await leaves(round, bundle) });
      response.json({
        number: round.number,
        closedAt: formatTime(round.closedAt),
        previousRoot: toHex(round.previousRoot),
        beacons: beaconsOf(round),
        root: toHex(round.root),
        size: round.size,
        anchors: await anchors(round.number),
        leaves: await leaves(round, 0),
      });
    });
}

/** What follows `/v1/audit/<kind>/`, as it was sent, not decoded: each thing has one address. */
function restOf(path: string): string {
  return path.split('/').slice(4).join('/');
}
