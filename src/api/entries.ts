import type { Router } from 'express';
import { z } from 'zod';
import { toHex } from '../core/bytes.ts';
import { formatTime } from '../core/time.ts';
import type { StoredEntry } from '../log/entries.ts';
import { eraseEntry } from '../log/erase.ts';
import type { Log } from '../log/log.ts';
import type { Gate } from './access.ts';
import { indexText, limitText, parseDigest, pathIndex, pathLog, pathLogName, query } from './parameters.ts';
import { Problem } from './problem.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';

const listQuery = z.strictObject({ from: indexText.default(0), limit: limitText(1_000) });
const digestQuery = z.strictObject({ digest: z.string() });

/** Reading entries back, and erasing what they are about. */
export function entryRoutes(service: Service, gate: Gate): Router {
  const { registry, entries, appender, database } = service;

  return exactRouter()
    .get('/v1/entries', async (request, response) => {
      // A key for some logs finds what is in those.
      const allowed = await gate.admitSome(request, 'read');
      const { digest } = query(request, digestQuery);
      const found = await entries.locate(parseDigest(digest), allowed, 1_000);
      response.json({
        entries: found.map((place) => ({ ...place, receivedAt: formatTime(place.receivedAt) })),
      });
    })
    .get('/v1/logs/:log/entries', async (request, response) => {
      await gate.admit(request, 'read', pathLogName(request));
      const log = await pathLog(request, registry);
      const { from, limit } = query(request, listQuery);
      const { size } = await registry.head(log);
      const end = Math.min(size, from + limit);
      const page = from < end ? await entries.list(log, from, end) : [];
      response.json({ size, entries: page.map((entry) => view(log, entry)), ...(end < size ? { next: end } : {}) });
    })
    .get('/v1/logs/:log/entries/:index', async (request, response) => {
      await gate.admit(request, 'read', pathLogName(request));
      const log = await pathLog(request, registry);
      const index = pathIndex(request, 'index');
      const entry = await entries.read(log, index);
      if (entry === null) throw missing(log, index);
      response.json(view(log, entry));
    })
    .get('/v1/logs/:log/entries/:index/payload', async (request, response) => {
      await gate.admit(request, 'read', pathLogName(request));
      const log = await pathLog(request, registry);
      const index = pathIndex(request, 'index');
      const payload = await entries.payload(log, index);
      if (payload === null) throw missing(log, index);
      if (payload === 'absent') {
        throw new Problem(
          404,
          'payload-absent',
          `the payload of entry ${index} of ${log.name} was erased or stayed with the client`,
        );
      }
      // Never as something a browser would render: it is what somebody sent.
      response
        .set({ 'Content-Disposition': 'attachment', 'X-Content-Type-Options': 'nosniff' })
        .type('application/octet-stream')
        .send(Buffer.from(payload));
    })
    .delete('/v1/logs/:log/entries/:index/payload', async (request, response) => {
      await gate.admit(request, 'admin', pathLogName(request));
      const log = await pathLog(request, registry);
      const index = pathIndex(request, 'index');
      await eraseEntry(database, registry.system, appender.sequencing, log, index);
      response.json({ log: log.origin, index, erased: true });
    });
}

function missing(log: Log, index: number): Problem {
  return new Problem(404, 'entry-not-found', `the log ${log.name} has no entry ${index} yet`);
}

function view(log: Log, entry: StoredEntry): object {
  return {
    log: log.origin,
    index: entry.index,
    receivedAt: formatTime(entry.receivedAt),
    digest: entry.secret === null ? null : toHex(entry.secret.digest),
    nonce: entry.secret === null ? null : toHex(entry.secret.nonce),
    commitment: toHex(entry.commitment),
    leafHash: toHex(entry.leafHash),
    payloadSize: entry.payloadSize,
    erased: entry.secret === null,
  };
}
