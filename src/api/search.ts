import type { Router } from 'express';
import { z } from 'zod';
import { utf8 } from '../core/bytes.ts';
import { type Criteria, type FieldCriterion, rangeOf } from '../log/search.ts';
import type { Gate } from './access.ts';
import { described, jsonAnswer } from './description.ts';
import { entryView } from './entry-view.ts';
import { countForm, entryForm, payloadForm } from './forms.ts';
import { indexText, limitText, pathLog, pathLogName, query } from './parameters.ts';
import { Problem } from './problem.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';

/** Searches that are under way or wait for their turn. */
const MAX_SEARCHES = 16;
const MAX_FIELDS = 4;

const field = z
  .string()
  .max(1_000)
  .regex(/^(\/[^=]*)=/, 'not a JSON pointer, = and a value, such as /user/username=admin');

const time = z.iso.datetime({ offset: true, error: 'not a time such as 2026-01-31T12:00:00Z' }).transform(Date.parse);

/** What limits the entries of a page or an export. */
export const criteriaQuery = {
  since: time.optional().meta({ description: 'Received at this time or later.' }),
  until: time.optional().meta({ description: 'Received before this time.' }),
  text: z.string().min(1).max(1_000).optional().meta({ description: 'The payload holds this text, in UTF-8.' }),
  field: z
    .union([field, z.array(field).max(MAX_FIELDS)], `not at most ${MAX_FIELDS} of the form /user/username=admin`)
    .optional()
    .meta({
      description:
        'The payload is JSON, and at this pointer (RFC 6901) it has this string, number, boolean or null, or an array with ' +
        'it: `/user/username=admin`. In a list of attributes a key is a step: `/logRecord/attributes/http.method=GET`. Given ' +
        'up to four times, all must hold.',
    }),
};

const listQuery = z.strictObject({
  from: indexText.default(0).meta({ description: 'Where to begin; `next` of the page before.' }),
  limit: limitText(1_000),
  ...criteriaQuery,
  payload: z.literal('true').optional().meta({ description: 'With the payloads.' }),
});

const listOperation = described({
  id: 'listEntries',
  tag: 'Entries',
  summary: 'List or search entries',
  description:
    'In the order of the log. A search looks through 10,000 entries or 8 MiB of payloads a page at most: it may tell none ' +
    'and yet a `next` to go on from. No `next`: nothing is left.',
  access: 'read',
  query: listQuery,
  answers: {
    200: jsonAnswer(
      'A page of entries.',
      z.object({
        size: countForm.meta({ description: 'Entries of the log.' }),
        entries: z.array(entryForm.extend({ payload: payloadForm.optional() })),
        next: countForm.optional(),
      }),
    ),
  },
  problems: ['archive-damaged', 'archive-unavailable', 'log-not-found', 'overloaded'],
});

/** Listing entries, all of them or those that fit. */
export function searchRoutes({ registry, entries, readings }: Service, gate: Gate): Router {
  let searches = 0;
  return exactRouter().get('/v1/logs/:log/entries', listOperation, async (request, response) => {
    await gate.admit(request, 'read', pathLogName(request));
    const log = await pathLog(request, registry);
    const { from, limit, payload, ...asked } = query(request, listQuery);
    const criteria = criteriaOf(asked);
    const { size } = await registry.head(log);
    const range = await rangeOf(entries, log, criteria, Math.min(from, size), size);
    if (payload === undefined && criteria.text === null && criteria.fields.length === 0) {
      const end = Math.min(range.end, range.from + limit);
      const page = range.from < end ? await entries.list(log, range.from, end) : [];
      const next = end < range.end ? { next: end } : {};
      return void response.json({ size, entries: page.map((entry) => entryView(log, entry)), ...next });
    }
    if (searches >= MAX_SEARCHES) {
      throw new Problem('overloaded', 'too many searches are under way: try again in a moment', {
        'Retry-After': '1',
      });
    }
    searches++;
    try {
      const page = await readings.search({ log, criteria, ...range, limit, size, payloads: payload !== undefined });
      response.type('json').send(Buffer.from(page.buffer, page.byteOffset, page.byteLength));
    } finally {
      searches--;
    }
  });
}

/** What a query asks for. */
export function criteriaOf(asked: {
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  readonly text?: string | undefined;
  readonly field?: string | string[] | undefined;
}): Criteria {
  return {
    since: asked.since ?? null,
    until: asked.until ?? null,
    text: asked.text === undefined ? null : utf8(asked.text),
    fields: [asked.field ?? []].flat().map(fieldCriterion),
  };
}

function fieldCriterion(text: string): FieldCriterion {
  const equals = text.indexOf('=');
  const pointer = text.slice(1, equals).split('/');
  return {
    pointer: pointer.map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~')),
    value: text.slice(equals + 1),
  };
}
