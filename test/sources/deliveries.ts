// Requests of senders to the sources of a service, and what becomes of them.

import { expect } from 'vitest';
import type { Answer, TestService } from '../support/service.ts';
import type { Sender, SentRequest } from './senders.ts';

const BODY = '{"action": "created", "id": 12345678901234567890}';
const [FIRST, AGAIN] = ['1 new, 0 known', '0 new, 1 known'];

export class Deliveries {
  readonly #service: TestService;
  readonly #token: string;

  /** Events go into the log `audit`. @param token of a key that may do all */
  constructor(service: TestService, token: string) {
    this.#service = service;
    this.#token = token;
  }

  manage(method: string, path: string, body?: object): Promise<Answer> {
    return this.#service.send(method, path, { token: this.#token, ...(body === undefined ? {} : { body }) });
  }

  /** As the sender sends it: without a key. */
  deliver(path: string, { headers, query = {}, body }: SentRequest): Promise<Answer> {
    const asked = new URLSearchParams(query);
    return this.#service.send('POST', asked.size === 0 ? path : `${path}?${asked}`, { headers: { ...headers }, body });
  }

  async create(wanted: object): Promise<{ path: string; secret: string; name: string }> {
    const made = await this.manage('POST', '/v1/sources', { log: 'audit', ...wanted });
    expect([made.status, made.text]).toEqual([201, expect.any(String)]);
    return { path: String(made.at('path')), secret: String(made.at('secret') ?? ''), name: String(made.at('name')) };
  }

  async size(): Promise<number> {
    return Number((await this.manage('GET', '/v1/logs/audit')).at('size'));
  }

  /** What a new source answers a sender: once, repeated, altered, late, by the old and the new secret. */
  async row(sender: Sender): Promise<Record<string, string>> {
    const [old] = sender.secrets ?? [undefined];
    const name = sender.name.replaceAll(' ', '-');
    const settings = sender.settings ?? {};
    const { path } = await this.create({ name, scheme: sender.scheme, settings, secret: old });
    const now = Date.now();
    const sent = await sender.request(old ?? '', BODY, now);
    const send = async (request: SentRequest): Promise<string> => outcome(await this.deliver(path, request));
    const accepted = await send(sent);
    const repeated = await send(sender.signsOnce ? sent : await sender.request(old ?? '', BODY, now + 1_000));
    const before = await this.size();
    const other = sent.body.toString().replace('created', 'deleted').replace('136969346945', '136969346946');
    const altered = await send({ ...sent, body: other });
    expect(await this.size()).toBe(before + (altered === FIRST ? 1 : 0));
    const late = await send(await sender.request(old ?? '', '{"action": "created late"}', now - 4 * 3_600_000));
    const rotated = { old: '-', new: '-', 'old, over': '-' };
    if (sender.secrets !== null) {
      const [, secret] = sender.secrets;
      const bodies = [1, 2, 3].map((id) => JSON.stringify({ action: 'created', id }));
      await this.manage('POST', `${path}/rotate`, { secret });
      rotated.old = await send(await sender.request(old ?? '', bodies[0] ?? '', now));
      rotated.new = await send(await sender.request(secret, bodies[1] ?? '', now));
      await this.manage('POST', `${path}/rotate`, { keepSeconds: 0 });
      rotated['old, over'] = await send(await sender.request(old ?? '', bodies[2] ?? '', now));
    }
    return { sender: sender.name, by: sender.by, accepted, repeated, altered, late, ...rotated };
  }
}

export function outcome({ status, code, at }: Answer): string {
  return status === 200 ? `${at('count')} new, ${at('repeated')} known` : `${status} ${code}`;
}

/** What `row` has to be. */
export function expectedRow(sender: Sender): Record<string, string> {
  const [signed, timed] = [sender.covers.body, sender.covers.time];
  const rotated =
    sender.secrets === null
      ? { old: '-', new: '-', 'old, over': '-' }
      : { old: FIRST, new: FIRST, 'old, over': '401 signature-invalid' };
  const compressed = sender.name === 'cloudflare' || sender.name === 'datadog';
  return {
    sender: sender.name,
    by: sender.by,
    accepted: FIRST,
    repeated: AGAIN,
    // What signs no body cannot tell that it was altered: it is another event.
    altered: signed ? '401 signature-invalid' : compressed ? '400 request-invalid' : FIRST,
    late: timed ? '401 signature-late' : FIRST,
    ...rotated,
  };
}
