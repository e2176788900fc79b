// What the APIs that audit events are fetched from have in common. A new one is a file like snyk.ts, and its
// name in apis.ts and scheme-names.ts.

import { z } from 'zod';
import type { Json } from '../../ingest/json.ts';

/** What is fetched at a time: events created from `since` on and before `until`. Milliseconds since the Unix epoch. */
export interface FetchWindow {
  readonly since: number;
  readonly until: number;
}

export interface PageRequest {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
}

export interface PulledApi {
  /** @param page what `next` returned for the page before; null: the first */
  request(window: FetchWindow, page: string | null, token: string): PageRequest;
  /** Names of members that lead to the items of an answer. */
  readonly items: readonly string[];
  /** Whether a page begins with its newest item. */
  readonly newestFirst: boolean;
  /**
   * Where the next page is; null: this was the last of its window.
   * @param answer the JSON of the page
   * @throws ZodError where that is no answer of the API
   */
  next(answer: unknown): string | null;
  /** What names an item for good; null: what it says. */
  idOf(item: Json): string | null;
}

/** What all of them are given. */
export const pullSettings = {
  from: z.iso
    .date('not a date such as 2026-01-31')
    .or(z.iso.datetime('not a date such as 2026-01-31'))
    .optional()
    .meta({ description: 'A date such as 2026-01-31: the first events to fetch; without it, those from now on.' }),
  pauseSeconds: z
    .int()
    .min(1)
    .max(86_400)
    .default(60)
    .meta({ description: 'Seconds between two requests for new events.' }),
};

/** An API by the schema of its settings, which has `pullSettings`. */
export interface PulledScheme {
  /** What its settings are. */
  readonly form: z.ZodType;
  /** @throws ZodError */
  parse(settings: unknown): {
    readonly settings: { readonly from?: string | undefined; readonly pauseSeconds: number };
    open(): PulledApi;
  };
}

/** The base of an API, without a path's end. Its host gets the token. */
export const baseUrl = z
  .string()
  .regex(/^https?:\/\/[^\s/?#@]+(\/[^\s?#]*)?$/, 'not the address of an API, such as https://api.example.com')
  .overwrite((url) => url.replace(/\/+$/, ''));
