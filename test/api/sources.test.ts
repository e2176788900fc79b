import { createHmac } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseReceipt } from '../../src/core/receipt.ts';
import { verifyReceipt } from '../../src/verify/receipt.ts';
import { Deliveries, expectedRow, outcome } from '../sources/deliveries.ts';
import { fakeOutside, pubsubPush, SENDERS, type SentRequest, snsMessage } from '../sources/senders.ts';
import { sendRaw } from '../support/raw-http.ts';
import { type Answer, type TestService, testService } from '../support/service.ts';

const BODY = '{"action": "created", "id": 12345678901234567890}';

let service: TestService;
let deliveries: Deliveries;

beforeAll(async () => {
  service = await testService({ open: false, outside: fakeOutside() });
  deliveries = new Deliveries(service, (await service.key(['admin'])).token);
  await manage('PUT', '/v1/logs/audit');
});
afterAll(() => service[Symbol.asyncDispose]());

const manage: Deliveries['manage'] = (...asked) => deliveries.manage(...asked);
const deliver: Deliveries['deliver'] = (...sent) => deliveries.deliver(...sent);
const create: Deliveries['create'] = (wanted) => deliveries.create(wanted);
const size: Deliveries['size'] = () => deliveries.size();

describe('every sender', () => {
  const table: Record<string, string>[] = [];

  it.each(SENDERS)('$name: once, repeated, altered, late, by the old and the new secret', async (sender) => {
    const row = await deliveries.row(sender);
    table.push(row);
    expect(row).toEqual(expectedRow(sender));
  });

  afterAll(() => console.table(table));
});

it('the line shows the signature that was checked, and its receipt verifies', async () => {
  const { path, secret } = await create({ name: 'shown', scheme: 'standard-webhooks' });
  const at = new Date();
  const signature = new Webhook(secret).sign('msg_shown', at, BODY);
  const time = String(Math.floor(at.getTime() / 1_000));
  const headers = { 'webhook-id': 'msg_shown', 'webhook-timestamp': time, 'webhook-signature': signature };
  const answer = await deliver(path, { headers: { 'content-type': 'application/json', ...headers }, body: BODY });
  const index = Number(answer.at('index'));
  const { bytes } = await manage('GET', `/v1/logs/audit/entries/${index}/payload`);
  const line = JSON.parse(bytes.toString());
  expect(line).toMatchObject({
    antequem: 'received/v1',
    delivery: 'msg_shown',
    event: { action: 'created' },
    body: { text: BODY },
    signature: { value: signature, time, covers: ['webhook-id', 'webhook-timestamp', 'body'] },
  });
  // Whoever has the secret can check it again from the line alone.
  const logged = { ...headers, 'webhook-id': line.delivery, 'webhook-signature': line.signature.value };
  expect(new Webhook(secret).verify(line.body.text, logged)).toBeTruthy();
  await service.closeRound();
  const receipt = parseReceipt((await manage('GET', `/v1/logs/audit/entries/${index}/receipt`)).json);
  const verdict = await verifyReceipt({ receipt, payload: bytes }, {});
  expect(verdict.claims.filter(({ status }) => status === 'refuted')).toEqual([]);
  expect(verdict.claims.find(({ claim }) => claim === 'content')?.status).toBe('verified');
});

it('tells a secret once: not in answers, logs, receipts or what _system says', async () => {
  const { path, secret, name } = await create({ name: 'quiet', scheme: 'auth0' });
  const wrong = await deliver(path, { headers: { authorization: `${secret}x` }, body: '{}' });
  expect(outcome(wrong)).toBe('401 signature-invalid');
  await deliver(path, { headers: { authorization: secret }, body: '{"a":1}' });
  const answers = [
    wrong,
    await manage('GET', path),
    await manage('GET', '/v1/sources'),
    await manage('GET', '/v1/logs/_system/entries?limit=1000'),
    await manage('GET', '/v1/logs/audit/export'),
  ];
  for (const { text } of answers) expect(text).not.toContain(secret);
  expect(service.logged()).not.toContain(secret);
  expect(service.logged()).toContain(`"key":"${name}"`);
  const metrics = await manage('GET', '/metrics');
  expect(metrics.text).toContain(`antequem_source_requests_total{source="${name}",outcome="signature-invalid"} 1`);
  await expect.poll(async () => (await manage('GET', path)).at('refusal')).toBe('signature-invalid');
  expect((await manage('GET', path)).at('receivedAt')).toEqual(expect.any(String));
});

it('checks secret headers before the body, and signatures before anything is decompressed', async () => {
  const bomb = gzipSync(Buffer.alloc(26 << 20));
  const { path, secret } = await create({ name: 'bomb', scheme: 'cloudflare' });
  const send = (headers: Record<string, string>) =>
    deliver(path, { headers: { 'content-encoding': 'gzip', ...headers }, body: bomb });
  expect(outcome(await send({ authorization: 'wrong' }))).toBe('401 signature-invalid');
  expect(outcome(await send({ authorization: secret }))).toBe('413 body-too-large');
  const github = await create({ name: 'unsigned-bomb', scheme: 'github' });
  const unsigned = { 'content-encoding': 'gzip', 'x-hub-signature-256': `sha256=${'0'.repeat(64)}` };
  expect(outcome(await deliver(github.path, { headers: unsigned, body: bomb }))).toBe('401 signature-invalid');
  const large = { headers: { 'x-hub-signature-256': 'sha256=00' }, body: Buffer.alloc((25 << 20) + 1) };
  expect(outcome(await deliver(github.path, large))).toBe('413 body-too-large');
});

it('answers challenges and handshakes at the address of the source', async () => {
  const okta = await create({ name: 'challenged', scheme: 'okta' });
  const asked = await service.send('GET', okta.path, { headers: { 'x-okta-verification-challenge': 'abc' } });
  expect([asked.status, asked.json]).toEqual([200, { verification: 'abc' }]);
  expect((await service.send('GET', okta.path)).status).toBe(401);
  const grid = await create({ name: 'greeted', scheme: 'event-grid' });
  const allowed = await service.send('OPTIONS', grid.path, {
    headers: { 'webhook-request-origin': 'eventgrid.azure.net' },
  });
  expect([allowed.status, allowed.headers.get('webhook-allowed-origin')]).toEqual([204, 'eventgrid.azure.net']);
  const code = [{ eventType: 'Microsoft.EventGrid.SubscriptionValidationEvent', data: { validationCode: '512d38b6' } }];
  const validation = {
    headers: { 'aeg-event-type': 'SubscriptionValidation' },
    query: { secret: grid.secret },
    body: JSON.stringify(code),
  };
  expect((await deliver(grid.path, validation)).json).toEqual({ validationResponse: '512d38b6' });
});

it('Vercel makes a drain where every answer has its code, and each of its logs is an entry once', async () => {
  const code = 'd394968241b1d8d5870c2670f54fc1a2a9bdf8eb';
  const { path, secret, name } = await create({ name: 'drain', scheme: 'vercel-drain' });
  expect((await service.send('GET', path)).headers.get('x-vercel-verify')).toBeNull();
  await manage('POST', `${path}/rotate`, { settings: { verify: code } });
  const before = await size();
  const seen = async (answer: Promise<Answer>): Promise<unknown[]> => {
    const { status, headers } = await answer;
    return [status, headers.get('x-vercel-verify')];
  };
  for (const method of ['GET', 'HEAD']) expect(await seen(service.send(method, path))).toEqual([200, code]);
  expect(await seen(service.send('OPTIONS', path))).toEqual([204, code]);
  expect(await seen(deliver(path, { headers: {}, body: '{}' }))).toEqual([200, code]);
  expect(await seen(deliver(path, { headers: {}, body: '' }))).toEqual([200, code]);
  // What brings logs is signed, or refused.
  expect(await seen(deliver(path, { headers: {}, body: '[{"id":"1"}]' }))).toEqual([401, code]);
  const unsigned = { headers: { 'x-vercel-signature': '0'.repeat(40) }, body: '{}' };
  expect(await seen(deliver(path, unsigned))).toEqual([401, code]);
  expect(await size()).toBe(before);
  expect((await manage('GET', path)).at('name')).toBe(name);
  const signed = (body: string): SentRequest => ({
    headers: { 'x-vercel-signature': createHmac('sha1', secret).update(body).digest('hex') },
    body,
  });
  const logs = ['{"id":"1","source":"build"}', '{"id":"2","source":"edge"}', '{"id":"3","source":"lambda"}'];
  expect(outcome(await deliver(path, signed(`[${logs[0]},${logs[1]}]`)))).toBe('2 new, 0 known');
  expect(outcome(await deliver(path, signed(logs.join('\n'))))).toBe('1 new, 2 known');
});

it('a source that was removed takes nothing more, and one address cannot try for ever', async () => {
  const { path, name } = await create({ name: 'leaving', scheme: 'github' });
  const wrong = { headers: { 'x-hub-signature-256': `sha256=${'0'.repeat(64)}` }, body: '{}' };
  const answers: string[] = [];
  for (let i = 0; i < 70; i++) answers.push(outcome(await deliver(path, wrong)));
  expect(answers[0]).toBe('401 signature-invalid');
  expect(answers).toContain('503 overloaded');
  expect((await manage('DELETE', `/v1/sources/${name}`)).json).toEqual({
    id: path.slice('/v1/sources/'.length),
    removed: true,
  });
  expect(outcome(await deliver(path, wrong))).toBe('404 source-not-found');
  expect((await manage('DELETE', `/v1/sources/${name}`)).code).toBe('source-not-found');
});

it('takes any name of a header or parameter, and refuses a request without it', async () => {
  for (const name of ['constructor', '__proto__']) {
    for (const [scheme, settings] of [
      ['secret-header', { header: name }],
      ['event-grid', { parameter: name }],
      ['hmac', { header: name, deliveryHeader: name, eventHeader: name }],
      ['timestamped-hmac', { header: name, timestampHeader: name }],
    ] as const) {
      const { path } = await create({ name: `${scheme}-${name.replaceAll('_', '')}`, scheme, settings });
      expect([scheme, outcome(await deliver(path, { headers: {}, body: '{}' }))]).toEqual([
        scheme,
        '401 signature-missing',
      ]);
    }
  }
});

it('what is asked of a sender for others, and what passes, is limited and logged once', async () => {
  const topic = 'arn:aws:sns:eu-west-1:123456789012:other';
  const { path, name } = await create({ name: 'asked-much', scheme: 'sns', settings: { topicArns: [topic] } });
  const forged = (i: number): SentRequest => {
    const SigningCertURL = `https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-${String(i).padStart(32, '0')}.pem`;
    const Timestamp = new Date().toISOString();
    return snsMessage({ Type: 'Notification', Message: 'm', TopicArn: topic, Timestamp, SigningCertURL });
  };
  const answers: string[] = [];
  for (let i = 0; i < 70; i++) answers.push(outcome(await deliver(path, forged(i))));
  expect(answers[0]).toBe('503 sender-unreachable');
  expect(answers).toContain('503 overloaded');
  const told = service
    .logged()
    .split('\n')
    .filter((line) => line.includes('"request failed"') && line.includes(path));
  expect(told.length).toBeLessThan(5);
  expect(told.length).toBeGreaterThan(1);
  expect(service.logged()).toContain(`"key":"${name}"`);
});

it('only a key that may do all makes sources', async () => {
  const some = await service.key(['admin'], ['audit']);
  const body = { name: 'mine', log: 'audit', scheme: 'github' };
  expect((await service.send('POST', '/v1/sources', { token: some.token, body })).code).toBe('forbidden');
  expect((await service.send('GET', '/v1/sources')).code).toBe('unauthorized');
  expect((await manage('POST', '/v1/sources', { ...body, more: 1 })).code).toBe('source-invalid');
});

/** A request in the words of the protocol: headers may come twice, bodies in chunks. @returns its last status, and its body */
async function raw(method: string, path: string, headers: readonly string[], body = ''): Promise<string> {
  const text = [`${method} ${path} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...headers, '', body].join(
    '\r\n',
  );
  const { text: answer } = await sendRaw(service.url, Buffer.from(text, 'latin1'));
  const status = [...answer.matchAll(/HTTP\/1\.1 (\d{3})/g)].at(-1)?.[1];
  return `${status} ${/"(?:code|count)":"?([\w-]+)/.exec(answer)?.[1] ?? ''}`.trim();
}

describe('what senders do besides', () => {
  let github: { path: string; secret: string };
  let signed: (body: string) => string;
  beforeAll(async () => {
    github = await create({ name: 'habits', scheme: 'github' });
    signed = (body) =>
      `x-HUB-signature-256: sha256=${createHmac('sha256', github.secret).update(body, 'latin1').digest('hex')}`;
  });
  const post = (headers: readonly string[], body: string): Promise<string> =>
    raw('POST', github.path, [`Content-Length: ${body.length}`, ...headers], body);

  it('chunks, forms, types of any kind or none, an empty body, a pause before the body, text that is no JSON', async () => {
    const chunked = '7\r\n{"n":1,\r\n6;x=y\r\n"m":2}\r\n0\r\n\r\n';
    const parts = ['Transfer-Encoding: chunked', signed('{"n":1,"m":2}')];
    expect(await raw('POST', github.path, parts, chunked)).toBe('200 1');
    const form = 'payload=%7B%22zen%22%3A1%7D';
    expect(await post(['Content-Type: application/x-www-form-urlencoded', signed(form)], form)).toBe('200 1');
    const ping = ['X-GitHub-Event: ping', signed(form)];
    expect(await post(ping, form)).toBe('204');
    expect(await post([signed('{"n":2}')], '{"n":2}')).toBe('200 1');
    expect(await post(['Content-Type: APPLICATION/JSON ; charset="UTF-8"', signed('{"n":3}')], '{"n":3}')).toBe(
      '200 1',
    );
    expect(await post([signed('')], '')).toBe('200 1');
    expect(await post(['Expect: 100-continue', signed('{"n":4}')], '{"n":4}')).toBe('200 1');
    for (const odd of ['\xef\xbb\xbf{"n":5}', '{"n":5', 'null', '\xff\xfe', '[]', '{"n":5}\u0000']) {
      expect([odd, await post(['Content-Type: application/json', signed(odd)], odd)]).toEqual([odd, '200 1']);
    }
    // An id that nothing signs is left out where it is odd.
    expect(await post([`X-GitHub-Delivery: ${'x'.repeat(300)}`, signed('{"n":6}')], '{"n":6}')).toBe('200 1');
  });

  it('probes without a signature, which are answered and not logged', async () => {
    const before = await size();
    const answers = ['GET', 'HEAD', 'PUT', 'PATCH', 'OPTIONS'].map((method) => raw(method, github.path, []));
    expect(await Promise.all(answers)).toEqual([
      '401 unauthorized',
      '401',
      '405 method-not-allowed',
      '405 method-not-allowed',
      '204',
    ]);
    expect(await post([], '')).toBe('401 signature-missing');
    expect(await post(['Content-Encoding: lzma', signed('x')], 'x')).toBe('415 encoding-unsupported');
    expect(await size()).toBe(before);
  });

  it('a signature in each of two headers, and secrets as senders write them', async () => {
    const secret = `whsec_${Buffer.from('a secret of some 24 bytes').toString('base64')}`;
    const { path } = await create({ name: 'two-headers', scheme: 'standard-webhooks', secret: `v1,${secret}` });
    const at = new Date();
    const signature = new Webhook(secret).sign('msg_1', at, BODY);
    const headers = [
      `Content-Length: ${BODY.length}`,
      'Webhook-Id: msg_1',
      `Webhook-Timestamp: ${Math.floor(at.getTime() / 1_000)}`,
      `Webhook-Signature: v1,${'A'.repeat(43)}=`,
      `Webhook-Signature: ${signature}`,
    ];
    expect(await raw('POST', path, headers, BODY)).toBe('200 1');
  });

  it('Pub/Sub sends a message wrapped with its number of tries, or unwrapped with its id in a header', async () => {
    const settings = { audience: 'https://antequem.example', email: 'push@example.iam.gserviceaccount.com' };
    const { path } = await create({ name: 'pushed', scheme: 'pubsub', settings });
    const push = await pubsubPush({}, '{"a":1}', Date.now());
    const tried = (deliveryAttempt: number): SentRequest => {
      const body = JSON.stringify({ ...JSON.parse(push.body.toString()), deliveryAttempt });
      return { ...push, body };
    };
    expect(outcome(await deliver(path, tried(1)))).toBe('1 new, 0 known');
    expect(outcome(await deliver(path, tried(2)))).toBe('0 new, 1 known');
    const unwrapped = (id: string, body: string): Promise<Answer> =>
      deliver(path, { headers: { ...push.headers, 'x-goog-pubsub-message-id': id }, body });
    expect(outcome(await unwrapped('1', '{"a":1}'))).toBe('1 new, 0 known');
    expect(outcome(await unwrapped('2', '{"a":1}'))).toBe('1 new, 0 known');
    expect(outcome(await unwrapped('2', '{"a":1}'))).toBe('0 new, 1 known');
    expect(outcome(await unwrapped('3', ''))).toBe('1 new, 0 known');
  });

  it('batches with an odd element, without any, of several compressed parts, and tests on setting up', async () => {
    const { path, secret } = await create({ name: 'batches', scheme: 'cloudflare' });
    const send = async (body: string | Uint8Array, headers: Record<string, string> = {}): Promise<string> =>
      outcome(await deliver(path, { headers: { authorization: secret, ...headers }, body }));
    const gzip = { 'content-encoding': 'GZIP', 'content-type': 'application/json' };
    expect(await send(gzipSync('{"content":"tests"}'), gzip)).toBe('1 new, 0 known');
    expect(await send('[]')).toBe('0 new, 0 known');
    expect(await send('')).toBe('1 new, 0 known');
    expect(await send('[{"a":1},{"a":1,"a":2},"\\ud800",3]')).toBe('4 new, 0 known');
    expect(await send('{"a":1}\n{"a":\n\n{"a":3}')).toBe('3 new, 0 known');
    const parts = Buffer.concat([gzipSync('{"b":1}\n'), gzipSync('{"b":2}\n')]);
    expect(await send(parts, gzip)).toBe('2 new, 0 known');
    // Without the header that says so it is kept as it came.
    expect(await send(parts)).toBe('1 new, 0 known');
    expect(await send(parts.subarray(0, -9), gzip)).toBe('400 request-invalid');
    const grid = await create({ name: 'cloud-events', scheme: 'event-grid' });
    const event = { specversion: '1.0', id: '1', source: '/x', type: 'y' };
    const type = { 'content-type': 'application/cloudevents+json; charset=utf-8' };
    const events = (body: object): Promise<Answer> =>
      deliver(grid.path, { headers: type, query: { secret: grid.secret }, body: JSON.stringify(body) });
    expect(outcome(await events(event))).toBe('1 new, 0 known');
    expect(outcome(await events([event, { ...event, id: '2' }]))).toBe('1 new, 1 known');
  });
});
