import type { Router } from 'express';
import { z } from 'zod';
import { formatTime } from '../core/time.ts';
import { eraseEntry } from '../log/erase.ts';
import type { Log } from '../log/log.ts';
import { copiesLockedUntil } from '../log/recall.ts';
import type { Gate } from './access.ts';
import { described, jsonAnswer } from './description.ts';
import { entryView } from './entry-view.ts';
import { countForm, entryForm, hashForm, originForm, timeForm } from './forms.ts';
import { parseDigest, pathIndex, pathLog, pathLogName, query } from './parameters.ts';
import { Problem } from './problem.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';

const digestQuery = z.strictObject({ digest: z.string() });

const locateOperation = described({
  id: 'locateDigest',
  tag: 'Entries',
  summary: 'Find where a digest was logged',
  description: 'In all logs that the key may read; 1,000 places at most, in no order.',
  access: 'read',
  query: z.strictObject({ digest: hashForm.meta({ description: 'SHA-256 in lower-case hex.' }) }),
  answers: {
    200: jsonAnswer(
      'The places.',
      z.object({ entries: z.array(z.object({ log: originForm, index: countForm, receivedAt: timeForm })) }),
    ),
  },
  problems: ['archive-damaged', 'archive-unavailable', 'digest-invalid'],
});

const readOperation = described({
  id: 'readEntry',
  tag: 'Entries',
  summary: 'Read an entry',
  access: 'read',
  answers: { 200: jsonAnswer('The entry without its payload.', entryForm) },
  problems: ['archive-damaged', 'archive-unavailable', 'entry-not-found', 'log-not-found'],
});

const payloadOperation = described({
  id: 'readPayload',
  tag: 'Entries',
  summary: 'Read the payload of an entry',
  access: 'read',
  answers: { 200: { says: 'The payload, byte for byte.', content: { 'application/octet-stream': 'bytes' } } },
  problems: ['archive-damaged', 'archive-unavailable', 'entry-not-found', 'log-not-found', 'payload-absent'],
});

const erasedForm = z.object({
  log: originForm,
  index: countForm,
  erased: z.literal(true),
  lockedUntil: timeForm.optional().meta({
    description: 'Until then the archive refuses to delete a copy. Its key is destroyed: it cannot be read any more.',
  }),
});

const eraseOperation = described({
  id: 'erasePayload',
  tag: 'Entries',
  summary: 'Erase what an entry is about',
  description:
    'Payload, digest and nonce go, for ever, with whatever they could be found by; the tree stays whole. An entry of ' +
    '`_system` tells that. Erasing again changes nothing. An entry under a hold is not erased.',
  access: 'admin',
  answers: {
    200: jsonAnswer('It is gone.', erasedForm),
  },
  problems: [
    'archive-damaged',
    'archive-unavailable',
    'clock-skew',
    'database-set-back',
    'entry-held',
    'entry-not-found',
    'guard-unavailable',
    'holds-unconfirmed',
    'log-not-found',
    'log-reserved',
  ],
});

/** Reading entries back, and erasing what they are about. */
export function entryRoutes(service: Service, gate: Gate): Router {
  const { registry, entries, appender, database, holds, archives } = service;

  return exactRouter()
    .get('/v1/entries', locateOperation, async (request, response) => {
      // A key for some logs finds what is in those.
      const allowed = await gate.admitSome(request, 'read');
      const { digest } = query(request, digestQuery);
      const found = await entries.locate(parseDigest(digest), allowed, 1_000);
      response.json({
        entries: found.map((place) => ({ ...place, receivedAt: formatTime(place.receivedAt) })),
      });
    })
    .get('/v1/logs/:log/entries/:index', readOperation, async (request, response) => {
      await gate.admit(request, 'read', pathLogName(request));
      const log = await pathLog(request, registry);
      const index = pathIndex(request, 'index');
      const entry = await entries.read(log, index);
      if (entry === null) throw missing(log, index);
      // By hand: what Express does for any answer takes longer than the rest.
      response.setHeader('Content-Type', 'application/json; charset=utf-8');
      response.end(JSON.stringify(entryView(log, entry)));
    })
    .get('/v1/logs/:log/entries/:index/payload', payloadOperation, async (request, response) => {
      await gate.admit(request, 'read', pathLogName(request));
      const log = await pathLog(request, registry);
      const index = pathIndex(request, 'index');
      const payload = await entries.payload(log, index);
      if (payload === null) throw missing(log, index);
      if (payload === 'absent') {
        throw new Problem(
          'payload-absent',
          `the payload of entry ${index} of ${log.name} was erased or stayed with the client`,
        );
      }
      // Never as something a browser would render: it is what somebody sent.
      response.setHeader('Content-Disposition', 'attachment');
      response.setHeader('X-Content-Type-Options', 'nosniff');
      response.setHeader('Content-Type', 'application/octet-stream');
      response.end(payload);
    })
    .delete('/v1/logs/:log/entries/:index/payload', eraseOperation, async (request, response) => {
      await gate.admit(request, 'admin', pathLogName(request));
      const log = await pathLog(request, registry);
      const index = pathIndex(request, 'index');
      await eraseEntry(database, registry.system, appender.sequencing, log, index, holds, archives.blocks);
      const until = await copiesLockedUntil(database, log, index, service.now());
      const locked = until === null ? {} : { lockedUntil: formatTime(until) };
      response.json({ log: log.origin, index, erased: true, ...locked });
    });
}

function missing(log: Log, index: number): Problem {
  return new Problem('entry-not-found', `the log ${log.name} has no entry ${index} yet`);
}
