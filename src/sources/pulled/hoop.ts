// hoop.dev's security audit logs: GET /api/audit/logs of its gateway, newest first, by numbers of pages.

import { z } from 'zod';
import { formatTime } from '../../core/time.ts';
import { JsonObject } from '../../ingest/json.ts';
import { baseUrl, type PulledApi, type PulledScheme, pullSettings } from './api.ts';

const PAGE_ITEMS = 100;

const settingsForm = z.strictObject({
  url: baseUrl.meta({ description: 'The address of the gateway, such as https://hoop.example.org.' }),
  ...pullSettings,
});

const answerForm = z.object({
  pages: z.object({ total: z.int().nonnegative(), page: z.int().positive(), size: z.int().positive() }),
  data: z.array(z.unknown()),
});

function open({ url }: z.output<typeof settingsForm>): PulledApi {
  return {
    items: ['data'],
    newestFirst: true,
    request: ({ since, until }, page, token) => {
      const target = new URL(`${url}/api/audit/logs`);
      const { searchParams: query } = target;
      query.set('page', page ?? '1');
      query.set('page_size', String(PAGE_ITEMS));
      query.set('created_after', formatTime(since));
      query.set('created_before', formatTime(until));
      return { url: target, headers: { authorization: `Bearer ${token}`, accept: 'application/json' } };
    },
    next: (answer) => {
      const { pages, data } = answerForm.parse(answer);
      return data.length > 0 && pages.page * pages.size < pages.total ? String(pages.page + 1) : null;
    },
    idOf: (item) => {
      const id = item instanceof JsonObject ? item.get('id') : undefined;
      return typeof id === 'string' && id !== '' ? id : null;
    },
  };
}

export const hoopAudit: PulledScheme = {
  form: settingsForm,
  parse: (given) => {
    const settings = settingsForm.parse(given);
    return { settings, open: () => open(settings) };
  },
};
