import type { Router } from 'express';
import { z } from 'zod';
import { beaconsOf } from '../anchor/receipts.ts';
import { leavesOf, listRounds, type Round, roundByNumber } from '../anchor/rounds.ts';
import { toHex } from '../core/bytes.ts';
import { formatTime } from '../core/time.ts';
import type { Gate } from './access.ts';
import { described, jsonAnswer } from './description.ts';
import { beaconForm, countForm, hashForm, timeForm } from './forms.ts';
import { indexText, limitText, pathIndex, query } from './parameters.ts';
import { Problem } from './problem.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';

const listQuery = z.strictObject({ before: indexText.default(Number.MAX_SAFE_INTEGER), limit: limitText(1_000) });

const anchorState = {
  target: z.string(),
  chain: z.string().meta({ description: 'CAIP-2.' }),
  status: z.enum(['pending', 'submitted', 'included', 'finalized']),
  block: z.object({ number: countForm, hash: z.string(), time: timeForm }).nullable(),
  problem: z.string().nullable().meta({ description: 'What stood in the way when last looked at.' }),
  submittedAt: timeForm.nullable(),
  finalizedAt: timeForm.nullable(),
  updatedAt: timeForm,
};

const anchorForm = z
  .union([
    z.object({
      type: z.literal('evm'),
      ...anchorState,
      contract: z.string(),
      mode: z.enum(['anchor', 'announce']),
      transaction: z.string().nullable(),
      proofProblem: z
        .string()
        .nullable()
        .meta({ description: 'Why there is no proof that leads from the block to the anchor.' }),
      proofCode: z.string().nullable().meta({ description: 'The code of that, such as `header-opaque`.' }),
      cost: z.string().nullable().meta({ description: 'Wei.' }),
    }),
    z.object({
      type: z.literal('rfc3161'),
      ...anchorState,
      authority: z
        .string()
        .nullable()
        .meta({ description: "Subject of the signer's certificate; null: there is no token yet." }),
      stampedAt: timeForm.nullable(),
      accuracy: countForm.nullable().meta({ description: 'Milliseconds; null: the authority does not say.' }),
    }),
    z.object({
      type: z.literal('opentimestamps'),
      ...anchorState,
      calendars: z.array(
        z.object({
          calendar: z.string(),
          request: z.enum(['submit', 'upgrade']),
          message: z.string(),
          state: z.enum(['waiting', 'answered', 'ignored']),
          problem: z.string().nullable(),
          lastTry: timeForm.nullable(),
          nextTry: timeForm.nullable(),
        }),
      ),
      blocks: z.array(
        z.object({
          calendar: z.string(),
          height: countForm,
          state: z.enum(['unseen', 'included', 'confirmed', 'contradicted']),
          hash: z.string().nullable(),
          time: timeForm.nullable(),
          problem: z.string().nullable(),
          nextLook: timeForm.nullable(),
        }),
      ),
    }),
  ])
  .meta({ id: 'AnchorState' });

const roundForm = z
  .object({
    number: z.int().positive(),
    closedAt: timeForm,
    previousRoot: hashForm,
    root: hashForm,
    size: z.int().positive().meta({ description: 'Leaves, the link included.' }),
    beacons: z.array(beaconForm),
    anchors: z.array(anchorForm),
  })
  .meta({ id: 'Round' });

const listOfRounds = described({
  id: 'listRounds',
  tag: 'Rounds',
  summary: 'List rounds',
  description: 'The newest first.',
  access: 'read',
  query: listQuery,
  answers: {
    200: jsonAnswer(
      'A page; `next` is the `before` of the page behind it.',
      z.object({ rounds: z.array(roundForm), next: countForm.optional() }),
    ),
  },
});

const oneRound = described({
  id: 'readRound',
  tag: 'Rounds',
  summary: 'Read a round',
  access: 'read',
  answers: {
    200: jsonAnswer(
      'The round with its leaves in hex.',
      roundForm.extend({ leaves: z.array(z.string().regex(/^[0-9a-f]+$/)) }),
    ),
  },
  problems: ['round-not-found'],
});

/** Rounds, their leaves and their anchors. */
export function roundRoutes({ database, anchorStates }: Service, gate: Gate): Router {
  const views = async (rounds: readonly Round[]): Promise<object[]> => {
    const states = await anchorStates(rounds.map(({ number }) => number));
    return rounds.map((round) => view(round, states.get(round.number) ?? []));
  };
  const view = (round: Round, anchors: readonly object[]): object => ({
    number: round.number,
    closedAt: formatTime(round.closedAt),
    previousRoot: toHex(round.previousRoot),
    root: toHex(round.root),
    size: round.size,
    beacons: beaconsOf(round),
    anchors,
  });

  return exactRouter()
    .get('/v1/rounds', listOfRounds, async (request, response) => {
      await gate.admit(request, 'read', null);
      const { before, limit } = query(request, listQuery);
      // One more than asked for tells whether there is a next page.
      const found = await listRounds(database, before, limit + 1);
      const rounds = found.slice(0, limit);
      const next = found.length > limit ? rounds.at(-1)?.number : undefined;
      response.json({ rounds: await views(rounds), ...(next === undefined ? {} : { next }) });
    })
    .get('/v1/rounds/:number', oneRound, async (request, response) => {
      await gate.admit(request, 'read', null);
      const number = pathIndex(request, 'number');
      const round = await roundByNumber(database, number);
      if (round === null) throw new Problem('round-not-found', `there is no round ${number}`);
      const [leaves, [described = {}]] = await Promise.all([leavesOf(database, round), views([round])]);
      response.json({ ...described, leaves: leaves.map(toHex) });
    });
}
