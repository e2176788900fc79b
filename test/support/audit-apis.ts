// Audit log APIs as Snyk and hoop have them, over events that a test adds, with their limits and moods.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface AuditEvent {
  readonly id: string;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
  readonly kind: string;
}

/** What the next answers are instead of pages. */
export type Mood = (request: IncomingMessage, response: ServerResponse) => boolean;

export const API_TOKEN = 'a-token-of-the-api';
export const GROUP = '0d3728ec-eebf-484d-9907-ba238019f10b';

export class AuditApi {
  readonly events: AuditEvent[] = [];
  /** Milliseconds before an answer. */
  delay = 0;
  mood: Mood = () => false;
  asked = 0;
  readonly #server: Server;

  private constructor(answer: (api: AuditApi, url: URL, request: IncomingMessage) => [number, string]) {
    this.#server = createServer((request, response) => {
      this.asked++;
      setTimeout(() => {
        if (this.mood(request, response)) return;
        const [status, body] = answer(this, new URL(request.url ?? '', 'http://x'), request);
        response.writeHead(status, { 'content-type': 'application/json' }).end(body);
      }, this.delay);
    });
  }

  static async snyk(): Promise<AuditApi> {
    return new AuditApi(snykAnswer).#listen();
  }

  static async hoop(): Promise<AuditApi> {
    return new AuditApi(hoopAnswer).#listen();
  }

  get url(): string {
    const address: AddressInfo | string | null = this.#server.address();
    return address !== null && typeof address === 'object' ? `http://127.0.0.1:${address.port}` : '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }
}

/** JSON:API with an opaque cursor; items have no id; `api.access` is left out unless it is asked for. */
function snykAnswer(
  { events }: AuditApi,
  { pathname, searchParams: query }: URL,
  request: IncomingMessage,
): [number, string] {
  if (request.headers.authorization !== `token ${API_TOKEN}`) return [401, '{}'];
  if (pathname !== `/rest/groups/${GROUP}/audit_logs/search` || !query.has('version')) return [404, '{}'];
  const [from, to] = [Date.parse(query.get('from') ?? ''), Date.parse(query.get('to') ?? '')];
  const wanted = query.get('events')?.split(',');
  const found = events
    .filter(({ at, kind }) => at >= from && at < to && (wanted?.includes(kind) ?? kind !== 'api.access'))
    .sort((a, b) => a.at - b.at);
  const start = Number(Buffer.from(query.get('cursor') ?? '', 'base64url').toString());
  const size = Number(query.get('size'));
  const next = new URLSearchParams(query);
  next.set('cursor', Buffer.from(String(start + size)).toString('base64url'));
  const items = found.slice(start, start + size).map(({ id, at, kind }) => ({
    created: new Date(at).toISOString(),
    event: kind,
    group_id: GROUP,
    content: { n: id },
  }));
  const links = start + size < found.length ? { next: `${pathname}?${next}` } : {};
  return [200, JSON.stringify({ jsonapi: { version: '1.0' }, data: { type: 'audit_logs', items }, links })];
}

/** Pages by number, newest first, so that rows move while one pages; both ends of the time belong to it. */
function hoopAnswer(
  { events }: AuditApi,
  { pathname, searchParams: query }: URL,
  request: IncomingMessage,
): [number, string] {
  if (request.headers.authorization !== `Bearer ${API_TOKEN}`) return [401, '{}'];
  if (pathname !== '/api/audit/logs') return [404, '{}'];
  const [after, before] = [Date.parse(query.get('created_after') ?? ''), Date.parse(query.get('created_before') ?? '')];
  const found = events.filter(({ at }) => at >= after && at <= before).sort((a, b) => b.at - a.at);
  const [page, size] = [Number(query.get('page')), Number(query.get('page_size'))];
  const data = found.slice((page - 1) * size, page * size).map(({ id, at, kind }) => ({
    id,
    org_id: 'o',
    actor_email: 'someone@example.com',
    created_at: new Date(at).toISOString(),
    action: kind,
    http_status: 200,
  }));
  return [200, JSON.stringify({ pages: { total: found.length, page, size }, data })];
}
