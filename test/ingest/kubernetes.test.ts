import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  AUDIT_HEADERS,
  AUDIT_QUERY,
  type AuditEvent,
  auditBatches,
  auditEvents,
  eventList,
} from '../support/kubernetes-audit.ts';
import { type Answer, type TestService, testService } from '../support/service.ts';

const PATH = '/v1/logs/audit/ingest/kubernetes-audit';

let service: TestService;

beforeAll(async () => {
  service = await testService({ open: false });
});
afterAll(() => service[Symbol.asyncDispose]());

let token = '';
beforeAll(async () => {
  const admin = (await service.key(['admin', 'read'])).token;
  expect((await service.send('PUT', '/v1/logs/audit', { token: admin })).status).toBe(201);
  token = (await service.key(['append', 'read'], ['audit'])).token;
});

const send = (body: string, headers: Record<string, string> = {}): Promise<Answer> =>
  service.send('POST', `${PATH}${AUDIT_QUERY}`, { body, token, headers: { ...AUDIT_HEADERS, ...headers } });

async function stored(index: number): Promise<string> {
  return (await service.send('GET', `/v1/logs/audit/entries/${index}/payload`, { token })).text;
}

describe('the audit webhook of Kubernetes', () => {
  const events = auditEvents(900);
  const batches = auditBatches(events);

  it('logs each event as its canonical JSON', async () => {
    const answer = await send(eventList(batches[0] ?? []));
    expect([answer.status, answer.json]).toEqual([
      200,
      expect.objectContaining({ log: 'log.test/logs/audit', count: 400, index: 0, repeated: 0, conflicting: 0 }),
    ]);
    const line = await stored(0);
    const sent: unknown = JSON.parse(events[0]?.json ?? '');
    expect(JSON.parse(line)).toEqual(sent);
    expect(line).not.toMatch(/\s"|\n|\\u003c/);
    expect(Object.keys(JSON.parse(line))).toEqual(Object.keys(JSON.parse(line)).sort());
    const entry = await service.send('GET', '/v1/logs/audit/entries/0', { token });
    expect(entry.at('digest')).toBe(createHash('sha256').update(line).digest('hex'));
  });

  it('knows a batch that is sent again, and events in another one', async () => {
    expect((await send(eventList(batches[0] ?? []))).json).toMatchObject({ count: 0, index: null, repeated: 400 });
    const overlapping = [...(batches[0] ?? []).slice(300), ...(batches[1] ?? []).slice(0, 50)];
    expect((await send(eventList(overlapping))).json).toMatchObject({ count: 50, index: 400, repeated: 100 });
    expect((await send(eventList(batches[1] ?? []))).json).toMatchObject({ count: 350, index: 450, repeated: 50 });
  });

  it('tells the stages of a request apart', async () => {
    const at = events.findIndex(({ stage }, i) => i >= 800 && stage === 'RequestReceived');
    const [received, next] = events.slice(at, at + 2);
    expect((await send(eventList(events.slice(at, at + 1)))).json).toMatchObject({ count: 1 });
    expect((await send(eventList(events.slice(at, at + 2)))).json).toMatchObject({ count: 1, repeated: 1 });
    expect(next?.auditID).toBe(received?.auditID);
  });

  it('logs what comes under a known auditID with other content, and says so', async () => {
    const other: AuditEvent = { auditID: '', stage: '', json: (events[0]?.json ?? '').replace('10.0.', '66.6.') };
    const answer = await send(eventList([other]));
    expect(answer.json).toMatchObject({ count: 1, repeated: 0, conflicting: 1 });
    const line = await stored(Number(answer.at('index')));
    expect(JSON.parse(line)).toEqual(JSON.parse(other.json));
    expect(JSON.parse(line)).not.toEqual(JSON.parse(await stored(0)));
    expect(service.logged()).toContain('events came with other content under ids that the log knew');
    const again = await send(eventList([other, ...events.slice(0, 1)]));
    expect(again.json).toMatchObject({ count: 0, repeated: 2, conflicting: 0 });
  });

  it('logs the digest alone of an event that is larger than an entry can be', async () => {
    const large = JSON.stringify({ auditID: 'large', stage: 'Panic', requestObject: 'x'.repeat(1 << 20) });
    const answer = await send(`{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[${large}]}`);
    const index = Number(answer.at('index'));
    const entry = await service.send('GET', `/v1/logs/audit/entries/${index}`, { token });
    const line = `{"auditID":"large","requestObject":"${'x'.repeat(1 << 20)}","stage":"Panic"}`;
    expect(entry.json).toMatchObject({ payloadSize: null, digest: createHash('sha256').update(line).digest('hex') });
    expect((await send(`{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[${large}]}`)).at('repeated')).toBe(
      1,
    );
  });

  it('takes lists without events', async () => {
    for (const items of ['[]', 'null']) {
      const answer = await send(`{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":${items}}`);
      expect([answer.status, answer.at('count')]).toEqual([200, 0]);
    }
  });

  it.each([
    ['another version', '{"kind":"EventList","apiVersion":"audit.k8s.io/v1beta1","items":[]}', 'event-list-invalid'],
    ['another kind', '{"kind":"Event","apiVersion":"audit.k8s.io/v1"}', 'event-list-invalid'],
    ['no items', '{"kind":"EventList","apiVersion":"audit.k8s.io/v1"}', 'event-list-invalid'],
    ['a list', '[]', 'event-list-invalid'],
    ['no JSON', '{"kind"', 'json-invalid'],
    ['two lists', '{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[],"items":[]}', 'event-list-invalid'],
    [
      'a list that does not end',
      '{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{"auditID":"a"}',
      'json-invalid',
    ],
  ])('refuses %s, and logs nothing of it', async (_, body, code) => {
    const before = (await service.send('GET', '/v1/logs/audit', { token })).at('size');
    const answer = await send(body);
    expect(answer.json).toMatchObject({ kind: 'Status', code: 400, details: { causes: [{ reason: code }] } });
    expect(answer.status).toBe(400);
    expect((await service.send('GET', '/v1/logs/audit', { token })).at('size')).toBe(before);
  });

  it('takes the audit file of the API server, each event once beside what the webhook brought', async () => {
    const admin = (await service.key(['admin', 'append', 'read'])).token;
    await service.send('PUT', '/v1/logs/file', { token: admin });
    const post = (body: string, type: string): Promise<Answer> =>
      service.send('POST', '/v1/logs/file/ingest/kubernetes-audit', {
        body,
        token: admin,
        headers: { 'content-type': type },
      });
    const some = events.slice(0, 20);
    expect((await post(eventList(some.slice(0, 10)), 'application/json')).at('count')).toBe(10);
    // As the log backend writes them: with the type of the event in front.
    const file = some.map(({ json }) => json.replace('{', '{"kind":"Event","apiVersion":"audit.k8s.io/v1",'));
    const body = [...file, '', '{"kind":"Policy","apiVersion":"audit.k8s.io/v1"}', 'not JSON'].join('\n');
    expect((await post(body, 'application/x-ndjson')).json).toMatchObject({ count: 12, repeated: 10, setAside: 2 });
    expect((await post(body, 'application/x-ndjson')).json).toMatchObject({ count: 0, repeated: 22, setAside: 0 });
    // What the webhook brought longer ago than ids are remembered is known by its digest.
    await service.foundation.database.query('DELETE FROM logged_events');
    expect((await post(body, 'application/x-ndjson')).json).toMatchObject({ count: 0, repeated: 22, setAside: 0 });
  });

  it('asks for a key that may append to the log', async () => {
    const reader = (await service.key(['read'])).token;
    const list = eventList(events.slice(0, 1));
    expect((await service.send('POST', PATH, { body: list, headers: AUDIT_HEADERS })).status).toBe(401);
    expect((await service.send('POST', PATH, { body: list, headers: AUDIT_HEADERS, token: reader })).status).toBe(403);
  });
});
