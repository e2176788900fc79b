import type { Request, Response, Router } from 'express';
import { z } from 'zod';
import { sha256 } from '#sha256';
import { concat, fromHex, utf8 } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { MAX_BATCH_BYTES, MAX_BATCH_ENTRIES } from '../core/limits.ts';
import { HASH_SIZE } from '../core/merkle.ts';
import { formatTime } from '../core/time.ts';
import { acceptDigests, acceptPayload } from '../log/accept.ts';
import type { Accepted, Idempotency, Log } from '../log/log.ts';
import { type Gate, ownerOf } from './access.ts';
import { admitAppend } from './admission.ts';
import { type BodyBudget, bodyJson, bodyReader, mediaType, piecesReader } from './body.ts';
import { described, jsonAnswer } from './description.ts';
import { countForm, hashForm, originForm, timeForm } from './forms.ts';
import { query } from './parameters.ts';
import { Problem } from './problem.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';
import type { Warnings } from './warnings.ts';

const entriesQuery = z.strictObject({
  split: z.literal('lines').optional().meta({ description: 'Each line is an entry, whatever the type.' }),
});
const MOST_ENTRIES = MAX_BATCH_ENTRIES.toLocaleString('en');
const digestsBody = z.strictObject({ digests: z.array(hashForm).min(1).max(MAX_BATCH_ENTRIES) });

export const appendHeaders = z.object({
  'Idempotency-Key': z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/)
    .optional()
    .meta({ description: 'The same key with the same body is stored once, however often it is sent within 7 days.' }),
});

const appended = jsonAnswer(
  'All of it is durable.',
  z
    .object({
      log: originForm,
      index: countForm.meta({ description: 'Of the first entry.' }),
      count: z.int().positive(),
      digest: hashForm.meta({ description: 'Of the last entry.' }),
      leafHash: hashForm.meta({ description: 'Of the last entry.' }),
      receivedAt: timeForm,
      receipt: z.string().meta({ description: 'The path of the last entry’s receipt.' }),
      digestOnly: z
        .int()
        .positive()
        .optional()
        .meta({ description: 'Lines over 1 MiB, logged by digest alone; absent where there is none.' }),
    })
    .meta({ id: 'Appended' }),
);

const APPEND_PROBLEMS = [
  'batch-empty',
  'batch-too-large',
  'clock-skew',
  'database-set-back',
  'entry-erased',
  'idempotency-key-in-flight',
  'idempotency-key-invalid',
  'idempotency-key-reused',
  'log-not-found',
  'log-reserved',
] as const;

const appendEntries = described({
  id: 'appendEntries',
  tag: 'Append',
  summary: 'Append an entry, or one for each line',
  description:
    'The body is one entry, byte for byte, of at most 1 MiB. With `application/x-ndjson` or `?split=lines` every line is ' +
    'an entry, as it is and without its newline; blank lines are skipped; at most ' +
    `${MOST_ENTRIES} and 8 MiB, all or none. A line ` +
    'over 1 MiB is logged by its digest alone.',
  access: 'append',
  query: entriesQuery,
  headers: appendHeaders,
  body: { '*': 'bytes', 'application/x-ndjson': 'text' },
  answers: { 201: { ...appended, headers: { Location: 'The path of the last entry.' } } },
  problems: [...APPEND_PROBLEMS, 'entry-too-large', 'media-type-unsupported'],
});

const appendDigests = described({
  id: 'appendDigests',
  tag: 'Append',
  summary: 'Append digests',
  description: `SHA-256 digests whose payloads stay with the client, at most ${MOST_ENTRIES}; as bytes one after the other.`,
  access: 'append',
  headers: appendHeaders,
  body: { 'application/json': digestsBody, 'application/octet-stream': 'bytes' },
  answers: { 201: { ...appended, headers: { Location: 'The path of the last entry.' } } },
  problems: [...APPEND_PROBLEMS, 'digest-invalid', 'digests-invalid', 'json-invalid', 'media-type-unsupported'],
});

/** The path of an append as nearly every client spells it: with nothing to decode. */
const PLAIN_PATH = /^\/v1\/logs\/([a-z0-9][a-z0-9._-]*)\/(entries|digests)$/;

export interface AppendRoutes {
  readonly router: Router;
  /** The handler of a request, found without the router; null: the router decides. */
  readonly direct: (request: Request, response: Response) => Promise<void> | null;
}

/** Taking in entries and digests. */
export function appendRoutes(service: Service, gate: Gate, budget: BodyBudget, warnings: Warnings): AppendRoutes {
  const readBody = bodyReader(MAX_BATCH_BYTES, budget);
  const readPieces = piecesReader(MAX_BATCH_BYTES, budget);
  // Entries of one commit have one time.
  let formatted = { at: 0, text: formatTime(0) };
  const timeOf = (at: number): string => {
    if (formatted.at !== at) formatted = { at, text: formatTime(at) };
    return formatted.text;
  };
  const append = async (
    request: Request,
    response: Response,
    kind: 'entry' | 'lines' | 'digests',
    accept: (log: Log, ...pieces: readonly Uint8Array[]) => Accepted | Promise<Accepted>,
  ): Promise<void> => {
    const way = kind === 'digests' ? 'digests' : 'entries';
    const { caller, log, key } = await admitAppend(request, response, service, gate, { way });
    if (mediaType(request) === 'multipart/form-data') throw formRefused(kind);
    const { pieces, release } =
      kind === 'lines'
        ? await readPieces(request, response)
        : { pieces: [await readBody(request, response)], release: null };
    const idempotency = idempotencyOf(request, ownerOf(caller), kind, ...pieces);
    const accepted = await accept(log, ...pieces);
    const { drafts } = accepted;
    const appended = await service.appender.append(log, { ...accepted, idempotency });
    // Not where that failed: then a commit that was given up may still be at work on them.
    release?.();
    const digestOnly = kind === 'lines' ? drafts.filter(({ payload }) => payload === null).length : 0;
    if (digestOnly > 0) {
      service.operation.metrics.digestOnly(way, digestOnly);
      const says = 'lines larger than an entry were logged by digest alone';
      warnings.warn(`digest only ${log.name} ${key ?? ''}`, { way, log: log.name, key, digestOnly }, says);
    }
    const entry = `/v1/logs/${log.name}/entries/${appended.index + appended.count - 1}`;
    response.status(201).setHeader('Location', entry);
    response.setHeader('Content-Type', 'application/json; charset=utf-8');
    response.end(
      JSON.stringify({
        log: log.origin,
        index: appended.index,
        count: appended.count,
        digest: hexOf(appended.digest),
        leafHash: hexOf(appended.leafHash),
        receivedAt: timeOf(appended.receivedAt),
        receipt: `${entry}/receipt`,
        ...(digestOnly === 0 ? {} : { digestOnly }),
      }),
    );
  };

  const acceptLines = (log: Log, ...pieces: readonly Uint8Array[]): Promise<Accepted> =>
    service.hashing.accept(log, pieces);
  const takeEntries = (request: Request, response: Response): Promise<void> => {
    const { split } = hasQuery(request) ? query(request, entriesQuery) : {};
    const lines = split === 'lines' || mediaType(request) === 'application/x-ndjson';
    return append(request, response, lines ? 'lines' : 'entry', lines ? acceptLines : acceptEntry);
  };
  const takeDigests = (request: Request, response: Response): Promise<void> =>
    append(request, response, 'digests', (_, body) => ({ drafts: acceptDigests(digestsOf(request, body)) }));

  return {
    router: exactRouter()
      .post('/v1/logs/:log/entries', appendEntries, takeEntries)
      .post('/v1/logs/:log/digests', appendDigests, takeDigests),
    direct: (request, response) => {
      if (request.method !== 'POST') return null;
      const [, log, kind] = PLAIN_PATH.exec(request.path) ?? [];
      if (log === undefined) return null;
      request.params = { log };
      return kind === 'entries' ? takeEntries(request, response) : takeDigests(request, response);
    },
  };
}

const HASH = Buffer.alloc(HASH_SIZE);

/** `toHex` of 32 bytes, in a third of the time and without 64 strings on the way. */
function hexOf(hash: Uint8Array): string {
  HASH.set(hash);
  return HASH.toString('hex');
}

/** Most requests have none, and parsing nothing takes time. */
const hasQuery = (request: Request): boolean => request.url.includes('?');

/** curl's `-F` would log the boundaries of the form beside the file. */
function formRefused(kind: 'entry' | 'lines' | 'digests'): Problem {
  const type = kind === 'lines' ? 'application/x-ndjson' : 'application/octet-stream';
  const says = `a form is no entry; send the bytes themselves: curl --data-binary @FILE -H 'Content-Type: ${type}' URL`;
  return new Problem('media-type-unsupported', says);
}

function digestsOf(request: Request, body: Uint8Array): Uint8Array[] {
  switch (mediaType(request)) {
    case 'application/octet-stream': {
      if (body.length % 32 !== 0) throw new FormatError('digest-invalid', 'octet-stream digests have 32 bytes each');
      return Array.from({ length: body.length / 32 }, (_, i) => new Uint8Array(body.subarray(i * 32, i * 32 + 32)));
    }
    case 'application/json': {
      const parsed = digestsBody.safeParse(bodyJson(body));
      if (parsed.success) return parsed.data.digests.map(fromHex);
      if (parsed.error.issues[0]?.code === 'invalid_format') {
        throw new FormatError('digest-invalid', 'a digest is 64 lower-case hex digits (SHA-256)');
      }
      throw new FormatError(
        'digests-invalid',
        `send {"digests": ["<64 hex digits>", …]}, at most ${MOST_ENTRIES} of them`,
      );
    }
    default:
      throw new Problem('media-type-unsupported', 'send digests as application/json or application/octet-stream');
  }
}

const acceptEntry = (_log: Log, body: Uint8Array): Accepted => ({ drafts: acceptPayload(body) });

export function idempotencyOf(
  request: Request,
  owner: string,
  kind: string,
  ...body: readonly Uint8Array[]
): Idempotency | null {
  const key = request.get('idempotency-key');
  if (key === undefined) return null;
  if (!/^[\x21-\x7e]{1,255}$/.test(key)) {
    throw new FormatError('idempotency-key-invalid', 'an Idempotency-Key has 1 to 255 printable ASCII characters');
  }
  return { owner, key, requestHash: sha256(concat(utf8(`${kind}\n`), ...body)) };
}
