// Snyk's audit logs: GET /rest/{groups|orgs}/{id}/audit_logs/search. docs.snyk.io, "Retrieve audit logs".

import { z } from 'zod';
import { formatTime } from '../../core/time.ts';
import { baseUrl, type PulledApi, type PulledScheme, pullSettings } from './api.ts';

const PAGE_ITEMS = '100';

const settingsForm = z
  .strictObject({
    url: baseUrl.default('https://api.snyk.io').meta({ description: 'The address of the API in your region of Snyk.' }),
    group: z.uuid().optional().meta({ description: 'The id of a group. Give either this or an organization.' }),
    org: z.uuid().optional().meta({ description: 'The id of an organization.' }),
    version: z
      .string()
      .regex(/^\d{4}-\d\d-\d\d(~(beta|experimental))?$/, 'not a version of the API such as 2024-10-15')
      .default('2024-10-15')
      .meta({ description: 'The version of the API.' }),
    events: z
      .array(z.string().max(100))
      .max(100)
      .optional()
      .meta({ description: 'The kinds of events to fetch; without it, all except api.access.' }),
    ...pullSettings,
  })
  .refine(({ group, org }) => (group === undefined) !== (org === undefined), 'give either group or org');

const answerForm = z.object({
  data: z.object({ items: z.array(z.unknown()) }),
  links: z
    .object({
      next: z
        .string()
        .or(z.object({ href: z.string() }))
        .optional(),
    })
    .default({}),
});

function open({ url, group, org, version, events }: z.output<typeof settingsForm>): PulledApi {
  const path = group === undefined ? `orgs/${org}` : `groups/${group}`;
  return {
    items: ['data', 'items'],
    newestFirst: false,
    request: ({ since, until }, page, token) => {
      const target = new URL(`${url}/rest/${path}/audit_logs/search`);
      const { searchParams: query } = target;
      query.set('version', version);
      query.set('from', formatTime(since));
      query.set('to', formatTime(until));
      query.set('size', PAGE_ITEMS);
      query.set('sort_order', 'ASC');
      if (events !== undefined) query.set('events', events.join(','));
      if (page !== null) query.set('cursor', page);
      return { url: target, headers: { authorization: `token ${token}`, accept: 'application/vnd.api+json' } };
    },
    next: (answer) => {
      const { next } = answerForm.parse(answer).links;
      if (next === undefined) return null;
      // Only the cursor: the token never goes where an answer points.
      return new URL(typeof next === 'string' ? next : next.href, url).searchParams.get('cursor');
    },
    // The items have no id.
    idOf: () => null,
  };
}

export const snykAudit: PulledScheme = {
  form: settingsForm,
  parse: (given) => {
    const settings = settingsForm.parse(given);
    return { settings, open: () => open(settings) };
  },
};
