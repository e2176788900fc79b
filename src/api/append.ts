import type { Request, Response, Router } from 'express';
import { z } from 'zod';
import { sha256 } from '#sha256';
import { concat, toHex, utf8 } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { formatTime } from '../core/time.ts';
import { acceptDigests, acceptLines, acceptPayload, MAX_BATCH_BYTES, MAX_BATCH_ENTRIES } from '../log/accept.ts';
import type { Draft, Idempotency } from '../log/log.ts';
import { type Gate, ownerOf } from './access.ts';
import { type BodyBudget, bodyReader, parseJson } from './body.ts';
import { parseDigest, pathLog, pathLogName, query } from './parameters.ts';
import { Problem } from './problem.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';

const entriesQuery = z.strictObject({ split: z.literal('lines').optional() });
const digestsBody = z.strictObject({ digests: z.array(z.string()).min(1).max(MAX_BATCH_ENTRIES) });

/** Taking in entries and digests. */
export function appendRoutes(service: Service, gate: Gate, budget: BodyBudget): Router {
  const readBody = bodyReader(MAX_BATCH_BYTES, budget);
  const append = async (
    request: Request,
    response: Response,
    kind: string,
    accept: (body: Uint8Array) => Draft[],
  ): Promise<void> => {
    const name = pathLogName(request);
    // Who may not append does not get to send a body either.
    const caller = await gate.admit(request, 'append', name);
    const log = await pathLog(request, service.registry);
    if (log.id === service.registry.system.id) {
      throw new Problem(403, 'log-reserved', '_system is the log of the service itself: nobody else appends to it');
    }
    // Nor does anybody send one in vain.
    const refusal = service.appender.refusal(log);
    if (refusal !== null) throw refusal;
    const body = await readBody(request, response);
    const idempotency = idempotencyOf(request, ownerOf(caller), kind, body);
    const appended = await service.appender.append(log, { drafts: accept(body), idempotency });
    const entry = `/v1/logs/${name}/entries/${appended.index + appended.count - 1}`;
    response.status(201).setHeader('Location', entry);
    response.setHeader('Content-Type', 'application/json; charset=utf-8');
    response.end(
      JSON.stringify({
        log: log.origin,
        index: appended.index,
        count: appended.count,
        digest: toHex(appended.digest),
        leafHash: toHex(appended.leafHash),
        receivedAt: formatTime(appended.receivedAt),
        receipt: `${entry}/receipt`,
      }),
    );
  };

  return exactRouter()
    .post('/v1/logs/:log/entries', async (request, response) => {
      const { split } = query(request, entriesQuery);
      const lines = split === 'lines' || mediaType(request) === 'application/x-ndjson';
      await append(request, response, lines ? 'lines' : 'entry', lines ? acceptLines : acceptPayload);
    })
    .post('/v1/logs/:log/digests', async (request, response) => {
      await append(request, response, 'digests', (body) => acceptDigests(digestsOf(request, body)));
    });
}

function mediaType(request: Request): string {
  return (request.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

function digestsOf(request: Request, body: Uint8Array): Uint8Array[] {
  switch (mediaType(request)) {
    case 'application/octet-stream': {
      if (body.length % 32 !== 0) throw new FormatError('digest-invalid', 'octet-stream digests have 32 bytes each');
      return Array.from({ length: body.length / 32 }, (_, i) => new Uint8Array(body.subarray(i * 32, i * 32 + 32)));
    }
    case 'application/json': {
      const parsed = digestsBody.safeParse(parseJson(body));
      if (!parsed.success) {
        throw new FormatError('digests-invalid', 'send {"digests": ["<64 hex digits>", …]}, at most 10,000 of them');
      }
      return parsed.data.digests.map(parseDigest);
    }
    default:
      throw new Problem(415, 'media-type-unsupported', 'send digests as application/json or application/octet-stream');
  }
}

function idempotencyOf(request: Request, owner: string, kind: string, body: Uint8Array): Idempotency | null {
  const key = request.get('idempotency-key');
  if (key === undefined) return null;
  if (!/^[\x21-\x7e]{1,255}$/.test(key)) {
    throw new FormatError('idempotency-key-invalid', 'an Idempotency-Key has 1 to 255 printable ASCII characters');
  }
  return { owner, key, requestHash: sha256(concat(utf8(`${kind}\n`), body)) };
}
