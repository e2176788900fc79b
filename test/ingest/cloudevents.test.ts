import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type TestService, testService } from '../support/service.ts';

const STRUCTURED = 'application/cloudevents+json; charset=UTF-8';
const BATCH = 'application/cloudevents-batch+json; charset=UTF-8';

let service: TestService;
let names = 0;

beforeAll(async () => {
  service = await testService();
});
afterAll(() => service[Symbol.asyncDispose]());

async function newLog(): Promise<string> {
  const name = `events-${names++}`;
  expect((await service.send('PUT', `/v1/logs/${name}`)).status).toBe(201);
  return name;
}

const send = (
  log: string,
  type: string | null,
  body: string | Uint8Array,
  headers: Record<string, string> = {},
): Promise<Answer> =>
  service.send('POST', `/v1/logs/${log}/ingest/cloudevents`, {
    body: typeof body === 'string' ? Buffer.from(body) : body,
    headers: { ...(type === null ? {} : { 'content-type': type }), prefer: 'return=representation', ...headers },
  });

const lines = async (log: string): Promise<string[]> => {
  const page = await service.send('GET', `/v1/logs/${log}/export?receipts=false`);
  return page.text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line).payload.text);
};

// The example of section 3.2 of the JSON event format, and the same in binary mode as section 3.1.5 of the HTTP binding.
const example = {
  specversion: '1.0',
  type: 'com.example.someevent',
  source: '/mycontext',
  subject: null,
  id: 'C234-1234-1234',
  time: '2018-04-05T17:31:00Z',
  comexampleextension1: 'value',
  comexampleothervalue: '5',
  datacontenttype: 'application/json',
  data: { appinfoA: 'abc', appinfoB: 123, appinfoC: true },
};
const line =
  '{"comexampleextension1":"value","comexampleothervalue":"5","data":{"appinfoA":"abc","appinfoB":123,"appinfoC":true},' +
  '"datacontenttype":"application/json","id":"C234-1234-1234","source":"/mycontext","specversion":"1.0",' +
  '"time":"2018-04-05T17:31:00Z","type":"com.example.someevent"}';
const binary = {
  'ce-specversion': '1.0',
  'ce-type': 'com.example.someevent',
  'ce-source': '/mycontext',
  'ce-id': 'C234-1234-1234',
  'ce-time': '2018-04-05T17:31:00Z',
  'ce-comexampleextension1': 'value',
  'ce-comexampleothervalue': '5',
};

describe('CloudEvents', () => {
  it('come to the same line in every mode, and stand in the log once', async () => {
    const log = await newLog();
    const structured = await send(log, STRUCTURED, JSON.stringify(example, null, 2));
    expect(structured.json).toMatchObject({ count: 1, index: 0, repeated: 0 });
    expect(structured.at('digest')).toBe(createHash('sha256').update(line).digest('hex'));
    expect(await lines(log)).toEqual([line]);
    const modes = [
      await send(log, 'application/json', JSON.stringify(example.data), binary),
      await send(log, BATCH, JSON.stringify([example, example])),
      await send(log, STRUCTURED, JSON.stringify(example)),
    ];
    expect(modes.map(({ json }) => json)).toEqual([
      expect.objectContaining({ count: 0, repeated: 1, conflicting: 0 }),
      expect.objectContaining({ count: 0, repeated: 2, conflicting: 0 }),
      expect.objectContaining({ count: 0, repeated: 1, conflicting: 0 }),
    ]);
  });

  it('are named by source and id together, and other content under a name is logged too', async () => {
    const log = await newLog();
    const batch = [
      { ...example, source: '/a', id: '1' },
      { ...example, source: '/a', id: '2' },
      { ...example, source: '/b', id: '1' },
      { ...example, source: '/a', id: '1', type: 'another' },
    ];
    const answer = await send(log, BATCH, JSON.stringify(batch));
    expect(answer.json).toMatchObject({ count: 4, repeated: 0, conflicting: 1 });
    expect((await lines(log)).map((text) => JSON.parse(text).type).at(-1)).toBe('another');
    const again = await send(log, BATCH, JSON.stringify(batch.toReversed()));
    expect(again.json).toMatchObject({ count: 0, repeated: 4, conflicting: 0 });
  });

  it('are answered without a body, as Knative asks, unless one is preferred', async () => {
    const log = await newLog();
    const answer = await send(log, STRUCTURED, JSON.stringify(example), { prefer: '' });
    expect([answer.status, answer.text]).toEqual([204, '']);
    expect(await lines(log)).toHaveLength(1);
  });

  it('in binary mode hold text as text and bytes in base64', async () => {
    const log = await newLog();
    const headers = (id: string): Record<string, string> => ({ ...binary, 'ce-id': id });
    await send(log, 'text/plain', 'grüße', headers('text'));
    await send(log, 'application/octet-stream', Uint8Array.from([0, 255]), headers('bytes'));
    await send(log, 'text/plain', Uint8Array.from([0xe4]), headers('latin'));
    await send(log, null, '', headers('none'));
    await send(log, 'application/vnd.a+json', '{ "n": 9007199254740993 }', headers('json'));
    const data = (await lines(log)).map((text) => /"data(_base64)?":(\{.*?\}|".*?")/.exec(text)?.[0]);
    expect(data).toEqual([
      '"data":"grüße"',
      '"data_base64":"AP8="',
      '"data_base64":"5A=="',
      undefined,
      '"data":{"n":9007199254740993}',
    ]);
  });

  it('have percent-encoded headers', async () => {
    const log = await newLog();
    await send(log, null, '', {
      ...binary,
      'ce-subject': 'Euro%20%E2%82%AC%20%F0%9F%98%80',
      'ce-quoted': '"a \\"b\\""',
    });
    expect(JSON.parse((await lines(log))[0] ?? '')).toMatchObject({ subject: 'Euro € 😀', quoted: 'a "b"' });
  });

  it('have headers in UTF-8 as it is, which the SDKs for Go and JavaScript send', async () => {
    const log = await newLog();
    const raw = Buffer.from('Zürich 100%25 50%').toString('latin1');
    expect((await send(log, null, '', { ...binary, 'ce-subject': raw })).json).toMatchObject({ count: 1, setAside: 0 });
    expect(JSON.parse((await lines(log))[0] ?? '')).toMatchObject({ subject: 'Zürich 100% 50%' });
  });

  it.each(['%ff', '\xe4'])('with the header value %j are set aside', async (subject) => {
    const log = await newLog();
    const answer = await send(log, 'application/json', '{"a":1}', { ...binary, 'ce-id': 'x', 'ce-subject': subject });
    expect(answer.json).toMatchObject({ count: 1, setAside: 1 });
    const line = JSON.parse((await lines(log))[0] ?? '');
    expect(line).toMatchObject({ antequem: 'set-aside/v1', reason: 'header-invalid', source: 'cloudevents' });
    const came = Buffer.from(line.bytes, 'base64').toString('latin1');
    expect(came).toContain(`ce-subject: ${subject}\r\n`);
    expect(came).toMatch(/content-type: application\/json\r\n\r\n\{"a":1\}$/);
  });

  it('are allowed by a handshake, whatever the origin', async () => {
    const log = await newLog();
    const answer = await service.send('OPTIONS', `/v1/logs/${log}/ingest/cloudevents`, {
      headers: { 'webhook-request-origin': 'eventgrid.example', 'webhook-request-rate': '120' },
    });
    expect([answer.status, answer.headers.get('webhook-allowed-origin'), answer.headers.get('allow')]).toEqual([
      204,
      'eventgrid.example',
      'OPTIONS, POST',
    ]);
    expect(answer.headers.get('webhook-allowed-rate')).toBe('*');
  });

  it.each<[string, object]>([
    ['of another version', { ...example, specversion: '0.3' }],
    ['without an id', { ...example, id: undefined }],
    ['with an empty source', { ...example, source: '' }],
    ['without a type', { ...example, type: null }],
    ['in a list', [example]],
  ])('alone are refused %s, and set aside in a batch', async (_, event) => {
    const log = await newLog();
    const answer = await send(log, STRUCTURED, JSON.stringify(event));
    expect([answer.status, answer.code]).toEqual([400, 'cloudevent-invalid']);
    expect(await lines(log)).toEqual([]);
    const batch = await send(log, BATCH, JSON.stringify([event, example]));
    expect(batch.json).toMatchObject({ count: 2, setAside: 1 });
    expect(JSON.parse((await lines(log))[0] ?? '')).toMatchObject({ reason: 'not-an-event' });
  });

  it.each<[string, object]>([
    ['with an attribute in capitals', { ...example, traceParent: 'a' }],
    ['with an attribute that is an object', { ...example, extension: {} }],
    ['with a fraction', { ...example, extension: 1.5 }],
    ['with both kinds of data', { ...example, data_base64: 'AAAA' }],
    ['with data that is not base64', { ...example, data: undefined, data_base64: '?' }],
  ])('%s are set aside', async (_, event) => {
    const log = await newLog();
    const body = JSON.stringify(event);
    expect((await send(log, STRUCTURED, body)).json).toMatchObject({ count: 1, setAside: 1 });
    expect((await send(log, STRUCTURED, body)).json).toMatchObject({ count: 0, repeated: 1, setAside: 0 });
    const line = JSON.parse((await lines(log))[0] ?? '');
    expect([line.reason, Buffer.from(line.bytes, 'base64').toString()]).toEqual(['value-invalid', body]);
  });

  it('of any other type are not taken for one', async () => {
    const log = await newLog();
    const answer = await send(log, 'application/json', JSON.stringify(example));
    expect([answer.status, answer.code]).toEqual([415, 'media-type-unsupported']);
    const xml = await send(log, 'application/cloudevents+xml', '<event/>');
    expect([xml.status, xml.code]).toEqual([415, 'media-type-unsupported']);
  });

  it('of an empty batch are none', async () => {
    expect((await send(await newLog(), BATCH, '[]')).json).toMatchObject({ count: 0, index: null });
  });
});
