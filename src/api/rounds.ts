import type { Router } from 'express';
import { z } from 'zod';
import { beaconsOf } from '../anchor/receipts.ts';
import { listRounds, type Round, readLeaves, readRound } from '../anchor/rounds.ts';
import { toHex } from '../core/bytes.ts';
import { formatTime } from '../core/time.ts';
import type { Gate } from './access.ts';
import { indexText, limitText, pathIndex, query } from './parameters.ts';
import { Problem } from './problem.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';

const listQuery = z.strictObject({ before: indexText.default(Number.MAX_SAFE_INTEGER), limit: limitText(1_000) });

/** Rounds, their leaves and their anchors. */
export function roundRoutes({ database, anchorStates }: Service, gate: Gate): Router {
  const view = async (round: Round): Promise<object> => ({
    number: round.number,
    closedAt: formatTime(round.closedAt),
    previousRoot: toHex(round.previousRoot),
    root: toHex(round.root),
    size: round.size,
    beacons: beaconsOf(round),
    anchors: await anchorStates(round.number),
  });

  return exactRouter()
    .get('/v1/rounds', async (request, response) => {
      await gate.admit(request, 'read', null);
      const { before, limit } = query(request, listQuery);
      // One more than asked for tells whether there is a next page.
      const found = await listRounds(database, before, limit + 1);
      const rounds = found.slice(0, limit);
      const next = found.length > limit ? rounds.at(-1)?.number : undefined;
      response.json({ rounds: await Promise.all(rounds.map(view)), ...(next === undefined ? {} : { next }) });
    })
    .get('/v1/rounds/:number', async (request, response) => {
      await gate.admit(request, 'read', null);
      const number = pathIndex(request, 'number');
      const round = await readRound(database, number);
      if (round === null) throw new Problem(404, 'round-not-found', `there is no round ${number}`);
      const leaves = await readLeaves(database, round);
      response.json({ ...(await view(round)), leaves: leaves.map(toHex) });
    });
}
