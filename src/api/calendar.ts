import { randomBytes } from 'node:crypto';
import type { Request, RequestHandler, Response, Router } from 'express';
import { z } from 'zod';
import type { DigestIntake } from '../anchor/digests.ts';
import { fromHex } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import type { Calendar } from '../ots/own-calendar.ts';
import { type BodyBudget, bodyReader } from './body.ts';
import { described } from './description.ts';
import { Problem } from './problem.ts';
import { AddressRate } from './rate-limit.ts';
import { exactRouter } from './routing.ts';

const MAX_DIGEST = 64;
const LEAF_HASH = /^[0-9a-fA-F]{64}$/;
/** Digits of a commitment of any calendar: of another one, it is unknown here, not malformed. */
const COMMITMENT = /^([0-9a-fA-F]{2}){1,256}$/;
/** Strangers whose questions are looked up at once. */
const MAX_FINDING = 64;

/** What serves stock OpenTimestamps clients. */
export interface CalendarService {
  readonly calendar: Calendar;
  readonly intake: DigestIntake;
  /** Digests a minute from one address. */
  readonly perMinute: number;
}

/** Pages of other sites may stamp and ask as well: nothing here depends on the caller. */
export const publicCalendar: RequestHandler = (request, response, next) => {
  response.setHeader('Access-Control-Allow-Origin', '*');
  if (request.method !== 'OPTIONS') return next();
  response.setHeader('Access-Control-Allow-Methods', 'GET, HEAD, POST');
  response.setHeader('Access-Control-Allow-Headers', 'Content-Type');
  response.setHeader('Access-Control-Max-Age', '86400');
  response.status(204).end();
};

const OTS = 'application/vnd.opentimestamps.v1';

const stampDigest = described({
  id: 'stampDigest',
  tag: 'Calendar',
  summary: 'Have a digest stamped',
  description: 'As `ots stamp -c URL` does. The digest goes into the next round.',
  access: 'public',
  body: { '*': 'bytes' },
  answers: { 200: { says: 'A serialized timestamp with our pending attestation.', content: { [OTS]: 'bytes' } } },
  problems: ['digest-length', 'rate-limited'],
});

const readTimestamp = described({
  id: 'readTimestamp',
  tag: 'Calendar',
  summary: 'What became of a digest',
  description: 'As `ots upgrade` asks.',
  access: 'public',
  path: {
    commitment: z.string().regex(COMMITMENT).meta({ description: 'What the pending attestation is at, in hex.' }),
  },
  answers: {
    200: { says: 'The whole path to Bitcoin.', content: { [OTS]: 'bytes' } },
    404: { says: 'It is pending, or unknown: the text says which.', content: { 'text/plain': 'text' } },
  },
  problems: ['commitment-invalid', 'overloaded', 'rate-limited'],
});

/** An OpenTimestamps calendar, as stock clients know them; open to everybody. Without one there are no such routes. */
export function calendarRoutes(service: CalendarService | null, budget: BodyBudget): Router {
  const router = exactRouter();
  if (service === null) return router;
  const { calendar, intake, perMinute } = service;
  const readBody = bodyReader(MAX_DIGEST, budget);
  const secret = new Uint8Array(randomBytes(32));
  const now = (): number => performance.now();
  const digests = new AddressRate({ perMinute, now, secret });
  // A client that upgrades a folder asks for each of its files.
  const questions = new AddressRate({ perMinute: 4 * perMinute, now, secret });
  let finding = 0;

  return router
    .post('/digest', stampDigest, async (request, response) => {
      admit(digests, request);
      const digest = await readBody(request, response);
      if (digest.length === 0) throw new FormatError('digest-length', `send a digest of 1 to ${MAX_DIGEST} bytes`);
      const taken = await intake.take(digest);
      send(response, calendar.promise(digest, taken));
    })
    .get('/timestamp/:commitment', readTimestamp, async (request, response) => {
      admit(questions, request);
      const commitment = String(request.params.commitment);
      if (!COMMITMENT.test(commitment)) throw new FormatError('commitment-invalid', 'not a commitment in hex digits');
      if (finding >= MAX_FINDING) throw tooMany();
      finding++;
      try {
        const known = LEAF_HASH.test(commitment) ? await calendar.find(fromHex(commitment.toLowerCase())) : 'unknown';
        if (known === 'unknown') say(response, 'Commitment not found in this calendar');
        else if (known === 'pending') say(response, 'Pending confirmation in the Bitcoin blockchain');
        else send(response, known);
      } finally {
        finding--;
      }
    });
}

function admit(rate: AddressRate, request: Request): void {
  const wait = rate.take(request.ip ?? '');
  if (wait === null) return;
  throw new Problem('rate-limited', 'too many requests from this address', { 'Retry-After': String(wait) });
}

function tooMany(): Problem {
  return new Problem('overloaded', 'too many ask at once: try again in a moment', { 'Retry-After': '1' });
}

/** Clients show the text to people. */
function say(response: Response, text: string): void {
  response.status(404).type('text/plain').send(text);
}

function send(response: Response, timestamp: Uint8Array): void {
  response.type(OTS).send(Buffer.from(timestamp));
}
