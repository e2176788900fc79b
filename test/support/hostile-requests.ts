// Requests that nobody means well with: what fast-check makes up of names, numbers, types and bodies that hurt.

import fc from 'fast-check';
import { expect } from 'vitest';
import type { RawAnswer } from './raw-http.ts';

export const INTERNALS =
  /node_modules|\/src\/|\.ts:\d|at async|SELECT|INSERT|relation "|syntax error|postgres|ECONN|undefined|\[object/;

/** Understood, or refused as the client's fault with a documented problem; nothing of the inside shows. */
export function expectCivil(answer: RawAnswer, documented: ReadonlyMap<string, number>): void {
  expect(answer.status).toBeGreaterThanOrEqual(200);
  expect(answer.status).toBeLessThan(500);
  expect([300, 301, 302, 303, 307, 308]).not.toContain(answer.status);
  if (answer.status < 400 || !answer.text.includes('application/problem+json')) return;
  const code = /"code":"([a-z-]+)"/.exec(answer.text)?.[1];
  if (code !== undefined) expect([code, documented.get(code)]).toEqual([code, answer.status]);
  expect(answer.text).not.toMatch(INTERNALS);
}

const nasty = fc.constantFrom(
  '',
  '0',
  '-1',
  '-0',
  '1e3',
  '3',
  '9007199254740991',
  '9007199254740992',
  '18446744073709551616',
  'NaN',
  '%00',
  '%ff%fe',
  '%',
  '..',
  '%2e%2e%2f',
  "'%20OR%201=1--",
  '__proto__',
  'constructor',
  'x'.repeat(3_000),
  '%F0%9F%92%A9',
  '_system',
  'demo',
  '000',
  'x001',
);
const written = fc.string({ maxLength: 30 }).map((text) => encodeURIComponent(text.toWellFormed()));
const segment = fc.oneof({ weight: 3, arbitrary: nasty }, written);
const name = fc.oneof({ weight: 3, arbitrary: fc.constantFrom('demo', '_system', 'absent') }, segment);
const path = fc.oneof(
  fc
    .tuple(
      name,
      fc.constantFrom(
        '',
        '/entries',
        '/digests',
        '/proofs/consistency',
        '/proofs/consistency.cose',
        '/listed',
        '/entries/',
      ),
    )
    .map(([log, rest]) => `/v1/logs/${log}${rest}`),
  fc
    .tuple(
      name,
      fc.constantFrom('/export', '/ingest/otlp', '/ingest/cloudevents', '/ingest/kubernetes-audit', '/ingest/'),
    )
    .map(([log, rest]) => `/v1/logs/${log}${rest}`),
  fc
    .tuple(
      name,
      segment,
      fc.constantFrom(
        '',
        '/payload',
        '/receipt',
        '/receipt.path',
        '/receipt.ots',
        '/receipt.tlog-proof',
        '/receipt.cose',
        '/nothing',
      ),
    )
    .map(([log, index, rest]) => `/v1/logs/${log}/entries/${index}${rest}`),
  fc.tuple(name, fc.array(segment, { maxLength: 4 })).map(([log, parts]) => `/logs/${log}/tile/${parts.join('/')}`),
  name.map((log) => `/logs/${log}/checkpoint`),
  segment.map((number) => `/v1/rounds/${number}`),
  fc.tuple(fc.constantFrom('acts', 'rounds', 'service'), segment).map(([kind, rest]) => `/v1/audit/${kind}/${rest}`),
  fc.tuple(segment, fc.constantFrom('', '/deliveries', '/replay')).map(([id, rest]) => `/v1/webhooks/${id}${rest}`),
  segment.map((commitment) => `/timestamp/${commitment}`),
  fc.constantFrom(
    '/v1/logs',
    '/v1/entries',
    '/v1/rounds',
    '/v1/verify',
    '/v1/webhooks',
    '/v1/session',
    '/v1/audit/service',
    '/digest',
    '/docs',
    '/openapi.json',
    '/metrics',
    '/healthz',
    '/readyz',
    '/verify',
    '/.well-known/scitt-keys',
    '/',
  ),
  fc.array(segment, { maxLength: 6 }).map((parts) => `/${parts.join('/')}`),
);
const parameter = fc.constantFrom(
  'from',
  'to',
  'limit',
  'after',
  'before',
  'digest',
  'split',
  'blinded',
  'since',
  'until',
  'text',
  'field',
  'payload',
  'receipts',
  '__proto__',
  'from[]',
  '',
);
export const query = fc
  .array(fc.tuple(parameter, segment), { maxLength: 3 })
  .map((pairs) => (pairs.length === 0 ? '' : `?${pairs.map(([key, value]) => `${key}=${value}`).join('&')}`));
const headerValue = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    'gzip',
    'br',
    'chunked-ish',
    'application/json',
    'application/x-ndjson',
    'application/x-protobuf',
    'application/cloudevents+json',
    'application/cloudevents-batch+json',
    '%ff%00',
    'text/plain; charset=utf-16',
    '"',
    ';;;',
    '*',
    'x'.repeat(2_000),
  ),
  fc.string({ maxLength: 40 }).map((text) => text.replace(/[^\x20-\x7e]/g, '?')),
);
export const headers = fc.dictionary(
  fc.constantFrom(
    'Content-Type',
    'Content-Encoding',
    'Idempotency-Key',
    'Prefer',
    'Ce-Specversion',
    'Ce-Id',
    'Ce-Source',
    'Ce-Type',
    'Authorization',
    'Accept',
    'If-None-Match',
    'If-Modified-Since',
    'Range',
    'X-Forwarded-For',
    'X-HTTP-Method-Override',
    'Cookie',
    'Origin-Trial',
    'Accept-Encoding',
  ),
  headerValue,
  { maxKeys: 4 },
);
export const body = fc.oneof(
  fc.constant(''),
  fc.json({ maxDepth: 4 }),
  fc.string({ unit: 'binary', maxLength: 200 }).map((text) => text.toWellFormed()),
  fc.constantFrom(
    '{"digests":',
    '{"digests":[null]}',
    '{"receipt":{"format":"antequem-receipt/v1"}}',
    '[[[[[[',
    '\n\n\n',
    '\r\n',
    '\0',
    '{"__proto__":{"digests":[]}}',
    '{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{"auditID":"a","stage":"Panic"}]}',
    '{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{"auditID":null}]}',
    '{"specversion":"1.0","id":"1","source":"/","type":"t","data":{"a":[1e999,-0]}}',
    '[{"specversion":"1.0","id":"1","source":"/","type":"t"},1]',
    '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"intValue":"99999999999999999999"}},{}]}]}]}',
    '{"resourceLogs":{"0":[]}}',
    `${'['.repeat(2_000)}${']'.repeat(2_000)}`,
    '{"a":'.repeat(500),
    '"\\ud800"',
  ),
);
const anyMethod = fc.constantFrom(
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'PATCH',
  'OPTIONS',
  'TRACE',
  'PROPFIND',
  'QUERY',
);
const JSON_CALLS = [
  ['POST', '/v1/verify'],
  ['POST', '/v1/webhooks'],
  ['POST', '/v1/session'],
  ['POST', '/digest'],
] as const;

/** Mostly a method and a path that go together: what is refused at the door tests the door alone. */
export const call = fc.oneof(
  { weight: 5, arbitrary: fc.tuple(fc.constant('GET'), path) },
  { weight: 3, arbitrary: name.map((log) => ['POST', `/v1/logs/${log}/entries`] as const) },
  { weight: 2, arbitrary: name.map((log) => ['POST', `/v1/logs/${log}/digests`] as const) },
  { weight: 1, arbitrary: fc.constantFrom(...JSON_CALLS) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(name, fc.constantFrom('kubernetes-audit', 'cloudevents', 'otlp', 'otlp/v1/logs'))
      .map(([log, kind]) => ['POST', `/v1/logs/${log}/ingest/${kind}`] as const),
  },
  {
    weight: 2,
    arbitrary: fc
      .oneof(name, fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,8}$/))
      .map((log) => ['PUT', `/v1/logs/${log}`] as const),
  },
  { weight: 2, arbitrary: fc.tuple(anyMethod, path) },
);
