import { randomBytes } from 'node:crypto';
import type { Request, Router } from 'express';
import { z } from 'zod';
import { leafPlace } from '../anchor/leaf-place.ts';
import { receiptRound } from '../anchor/receipts.ts';
import { lastRound } from '../anchor/rounds.ts';
import { fromHex, toHex } from '../core/bytes.ts';
import { formatTime } from '../core/time.ts';
import { tokenLeafHash } from '../tsa/token-leaf.ts';
import { type BodyBudget, bodyReader } from './body.ts';
import { described, jsonAnswer } from './description.ts';
import { countForm, hashForm, timeForm } from './forms.ts';
import { Problem } from './problem.ts';
import { AddressRate } from './rate-limit.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';

/** A request has a digest, a nonce and a policy. */
const MAX_REQUEST_BYTES = 2_048;
const QUERY = 'application/timestamp-query';
const REPLY = 'application/timestamp-reply';

const stamp = described({
  id: 'signTimestamp',
  tag: 'Calendar',
  summary: 'Have a digest signed',
  description: 'RFC 3161 over HTTP, as `openssl ts -query` makes requests. The token is a leaf of the next round.',
  access: 'public',
  body: { [QUERY]: 'bytes' },
  answers: { 200: { says: 'A response: a token, or why there is none.', content: { [REPLY]: 'bytes' } } },
  problems: ['media-type-unsupported', 'overloaded', 'rate-limited'],
});

const readToken = described({
  id: 'readToken',
  tag: 'Calendar',
  summary: 'Where a token was logged',
  description:
    'Every token that this authority gives is a leaf of the round that closes next: one that is in none is not its own.',
  access: 'public',
  path: { digest: hashForm.meta({ description: 'SHA-256 of the DER of the token.' }) },
  answers: {
    200: jsonAnswer(
      'What is known of it. `round.path` leads from the leaf hash, SHA-256(00 ‖ 82 ‖ SHA-256(digest)), to the root.',
      z.object({
        digest: hashForm,
        leafHash: hashForm,
        state: z.enum(['logged', 'waiting', 'not-logged']),
        certificate: hashForm.meta({ description: 'SHA-256 of the certificate that the authority signs with now.' }),
        round: z.looseObject({ number: countForm, closedAt: timeForm, root: hashForm }).nullable(),
        anchors: z.array(z.looseObject({ type: z.string() })),
        newestRound: z
          .object({ number: countForm, closedAt: timeForm })
          .nullable()
          .meta({ description: 'The newest round: a token of before its close that is not logged never was.' }),
      }),
    ),
  },
  problems: ['digest-invalid', 'rate-limited'],
});

/** A timestamp authority, as stock clients know them; open to everybody. Without one there are no such routes. */
export function tsaRoutes(service: Service, budget: BodyBudget): Router {
  const router = exactRouter();
  const { authority, database, trees, anchors } = service;
  if (authority == null) return router;
  const { issuer, perMinute } = authority;
  const readBody = bodyReader(MAX_REQUEST_BYTES, budget);
  const secret = new Uint8Array(randomBytes(32));
  const now = (): number => performance.now();
  const stamps = new AddressRate({ perMinute, now, secret });
  const questions = new AddressRate({ perMinute: 4 * perMinute, now, secret });
  return router
    .post('/tsa', stamp, async (request, response) => {
      admit(stamps, request);
      if (!request.is(QUERY)) throw new Problem('media-type-unsupported', `send a request as ${QUERY}`);
      const answer = await issuer.answer(await readBody(request, response));
      response.type(REPLY).send(Buffer.from(answer));
    })
    .get('/v1/tsa/:digest', readToken, async (request, response) => {
      admit(questions, request);
      const text = String(request.params.digest);
      if (!/^[0-9a-f]{64}$/.test(text)) throw new Problem('digest-invalid', 'not SHA-256 in 64 lower-case hex digits');
      const leaf = tokenLeafHash(fromHex(text));
      // Before the look: what is closed meanwhile is not taken for searched.
      const newest = await lastRound(database);
      const place = await leafPlace(database, trees, leaf);
      const known = typeof place === 'object' ? await trees.read(place.round) : null;
      response.json({
        digest: text,
        leafHash: toHex(leaf),
        certificate: toHex(issuer.certificateDigest),
        state: place === 'unknown' ? 'not-logged' : place === 'waiting' ? 'waiting' : 'logged',
        round: known === null || typeof place === 'string' ? null : receiptRound(known.round, known.tree, place.index),
        anchors: typeof place === 'string' ? [] : await anchors(place.round),
        newestRound: newest === null ? null : { number: newest.number, closedAt: formatTime(newest.closedAt) },
      });
    });
}

function admit(rate: AddressRate, request: Request): void {
  const wait = rate.take(request.ip ?? '');
  if (wait === null) return;
  throw new Problem('rate-limited', 'too many requests from this address', { 'Retry-After': String(wait) });
}
