// One page of an API: fetched within bounds, and its items as drafts of entries.

import { utf8 } from '../../core/bytes.ts';
import { AntequemError, messageOf } from '../../core/errors.ts';
import { type EventDraft, eventDraft, eventId } from '../../ingest/event.ts';
import { ItemFault } from '../../ingest/item-fault.ts';
import { canonicalJson, type Json, JsonObject, readJson } from '../../ingest/json.ts';
import { draftOrSetAside } from '../../ingest/set-aside.ts';
import type { SourceName } from '../events.ts';
import type { PageRequest, PulledApi } from './api.ts';

const PATIENCE_MS = 30_000;
const MAX_PAGE_BYTES = 16 << 20;
/** After 429 without Retry-After. Snyk refuses everything for a minute then, and counts what it refuses. */
const THROTTLED_MS = 65_000;

/** Why a page was not fetched. */
export class PageFailure extends AntequemError {
  /** Milliseconds until it is asked for again at the earliest; null: the API does not say. */
  readonly retryAfter: number | null;

  constructor(
    code: 'pull-throttled' | 'pull-refused' | 'pull-unreachable' | 'pull-invalid',
    message: string,
    retryAfter: number | null = null,
    options?: ErrorOptions,
  ) {
    super(code, message, options);
    this.retryAfter = retryAfter;
  }
}

/** @throws PageFailure. Messages name no token. */
export async function fetchPage({ url, headers }: PageRequest, signal: AbortSignal): Promise<Uint8Array> {
  try {
    const response = await fetch(url, {
      headers: { ...headers, 'user-agent': 'antequem-sources/1' },
      // A redirect would take the token elsewhere.
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]),
    });
    const { status } = response;
    if (status === 200) return await boundedBody(response);
    await response.body?.cancel();
    const wait = secondsOf(response.headers.get('retry-after'));
    if (status === 429) throw new PageFailure('pull-throttled', 'the API wants fewer requests', wait ?? THROTTLED_MS);
    throw new PageFailure('pull-refused', `the API answered with status ${status}`, wait);
  } catch (cause) {
    if (cause instanceof PageFailure) throw cause;
    signal.throwIfAborted();
    throw new PageFailure('pull-unreachable', `the API did not answer: ${messageOf(cause).slice(0, 200)}`, null, {
      cause,
    });
  }
}

async function boundedBody(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > MAX_PAGE_BYTES) throw new PageFailure('pull-invalid', `a page has more than ${MAX_PAGE_BYTES} bytes`);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

/** Only seconds: a date would depend on the clock of the API. */
function secondsOf(header: string | null): number | null {
  return header !== null && /^\d{1,5}$/.test(header) ? Number(header) * 1_000 : null;
}

export interface PulledPage {
  /** In the order of time. */
  readonly drafts: readonly EventDraft[];
  /** Where the next page is; null: this is the last. */
  readonly next: string | null;
}

/** @throws PageFailure `pull-invalid` */
export function readPulledPage(source: SourceName, api: PulledApi, bytes: Uint8Array): PulledPage {
  try {
    const answer: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    const next = api.next(answer);
    const drafts = itemsOf(api, bytes, answer).map((item) =>
      draftOrSetAside(
        () => itemDraft(source, api, item),
        'pulled',
        () => utf8('text' in item ? item.text : ''),
      ),
    );
    return { drafts: api.newestFirst ? drafts.reverse() : drafts, next };
  } catch (cause) {
    throw new PageFailure('pull-invalid', 'the answer is none of this API', null, { cause });
  }
}

/** An item as it was written; text where only a lenient reader takes its page. */
type Item = { readonly json: Json } | { readonly text: string };

function itemsOf({ items: path }: PulledApi, bytes: Uint8Array, answer: unknown): Item[] {
  try {
    let json: Json | undefined = readJson(bytes);
    for (const name of path) json = json instanceof JsonObject ? json.get(name) : undefined;
    if (Array.isArray(json)) return json.map((item) => ({ json: item }));
  } catch (error) {
    if (!(error instanceof ItemFault)) throw error;
  }
  // One odd item: the others are logged all the same.
  let value: unknown = answer;
  for (const name of path) {
    value = typeof value === 'object' && value !== null ? new Map(Object.entries(value)).get(name) : undefined;
  }
  return Array.isArray(value) ? value.map((item: unknown) => ({ text: JSON.stringify(item) })) : [];
}

function itemDraft(source: SourceName, api: PulledApi, item: Item): EventDraft {
  const event = 'json' in item ? item.json : readJson(utf8(item.text));
  const content = canonicalJson(event);
  const id = api.idOf(event);
  const line = new JsonObject([
    ['antequem', 'pulled/v1'],
    ['event', event],
    ['name', source.name],
    ['scheme', source.scheme],
    ['source', source.id],
  ]);
  const name = eventId('pulled', source.id, id ?? '', id === null ? content : '');
  return { ...eventDraft(canonicalJson(line), name), ...(id === null ? { idCoversContent: true } : {}) };
}
