import { gzipSync } from 'node:zlib';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { SeverityNumber } from '@opentelemetry/api';
import { OTLPLogExporter as HttpExporter } from '@opentelemetry/exporter-logs-otlp-http';
import { OTLPLogExporter as ProtoExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import { BatchLogRecordProcessor, LoggerProvider, type LogRecordExporter } from '@opentelemetry/sdk-logs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type TestService, testService } from '../support/service.ts';

let service: TestService;
let names = 0;

beforeAll(async () => {
  service = await testService();
});
afterAll(() => service[Symbol.asyncDispose]());

async function newLog(): Promise<string> {
  const name = `otlp-${names++}`;
  expect((await service.send('PUT', `/v1/logs/${name}`)).status).toBe(201);
  return name;
}

async function lines(log: string): Promise<string[]> {
  const { text } = await service.send('GET', `/v1/logs/${log}/export?receipts=false`);
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line).payload.text);
}

/** Logs three records by a stock SDK. */
async function emit(exporter: LogRecordExporter): Promise<void> {
  const provider = new LoggerProvider({ processors: [new BatchLogRecordProcessor({ exporter })] });
  const logger = provider.getLogger('shop', '1.2.3');
  const timestamp = Date.UTC(2026, 0, 15);
  logger.emit({
    timestamp,
    observedTimestamp: timestamp,
    severityNumber: SeverityNumber.WARN,
    severityText: 'WARN',
    body: 'paid <late> & grüße',
    attributes: {
      text: '',
      yes: true,
      no: false,
      int: 7,
      big: Number.MAX_SAFE_INTEGER,
      negative: -1,
      double: 0.1,
      list: ['a', 'b'],
      nested: { deep: { er: [1, 2.5] } },
      bytes: new Uint8Array([0, 1, 255]),
    },
    eventName: 'payment',
  });
  logger.emit({ timestamp, observedTimestamp: timestamp, body: { user: 'eve', amount: 12 } });
  logger.emit({ timestamp, observedTimestamp: timestamp, severityNumber: SeverityNumber.INFO });
  await provider.forceFlush();
  await provider.shutdown();
}

const url = (log: string, path = '/ingest/otlp'): string => `${service.url}/v1/logs/${log}${path}`;

describe('OTLP/HTTP by the exporters of OpenTelemetry', () => {
  it('comes to the same lines from protobuf and JSON, compressed and not', async () => {
    const exporters = [
      (to: string) => new ProtoExporter({ url: to }),
      (to: string) => new ProtoExporter({ url: to, compression: 'gzip' as never }),
      (to: string) => new HttpExporter({ url: to }),
      (to: string) => new HttpExporter({ url: to, compression: 'gzip' as never }),
    ];
    const all: string[][] = [];
    for (const make of exporters) {
      const log = await newLog();
      await emit(make(url(log)));
      all.push(await lines(log));
    }
    const [first] = all;
    for (const other of all) expect(other).toEqual(first);
    expect(first).toHaveLength(3);
    const [record] = first ?? [];
    expect(JSON.parse(record ?? '')).toEqual({
      resource: {
        attributes: expect.arrayContaining([{ key: 'telemetry.sdk.language', value: { stringValue: 'nodejs' } }]),
      },
      scope: { name: 'shop', version: '1.2.3' },
      logRecord: {
        timeUnixNano: '1768435200000000000',
        observedTimeUnixNano: '1768435200000000000',
        severityNumber: 13,
        severityText: 'WARN',
        eventName: 'payment',
        body: { stringValue: 'paid <late> & grüße' },
        attributes: [
          { key: 'text', value: { stringValue: '' } },
          { key: 'yes', value: { boolValue: true } },
          { key: 'no', value: { boolValue: false } },
          { key: 'int', value: { intValue: '7' } },
          { key: 'big', value: { intValue: '9007199254740991' } },
          { key: 'negative', value: { intValue: '-1' } },
          { key: 'double', value: { doubleValue: 0.1 } },
          { key: 'list', value: { arrayValue: { values: [{ stringValue: 'a' }, { stringValue: 'b' }] } } },
          {
            key: 'nested',
            value: {
              kvlistValue: {
                values: [
                  {
                    key: 'deep',
                    value: {
                      kvlistValue: {
                        values: [
                          { key: 'er', value: { arrayValue: { values: [{ intValue: '1' }, { doubleValue: 2.5 }] } } },
                        ],
                      },
                    },
                  },
                ],
              },
            },
          },
          { key: 'bytes', value: { bytesValue: 'AAH/' } },
        ],
      },
    });
  });

  it('goes to the path that an exporter makes of a base URL', async () => {
    const log = await newLog();
    await emit(new ProtoExporter({ url: `${url(log)}/v1/logs` }));
    expect(await lines(log)).toHaveLength(3);
  });
});

describe('OTLP/HTTP', () => {
  const post = (
    log: string,
    type: string,
    body: Uint8Array | string,
    headers: Record<string, string> = {},
  ): Promise<Answer> =>
    service.send('POST', `/v1/logs/${log}/ingest/otlp`, {
      body: typeof body === 'string' ? Buffer.from(body) : body,
      headers: { 'content-type': type, ...headers },
    });
  const json = (...records: unknown[]): string =>
    JSON.stringify({ resourceLogs: [{ scopeLogs: [{ logRecords: records }] }] });
  const field = (number: number, inner: Uint8Array): Uint8Array =>
    new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(inner).finish();
  const proto = (...records: Uint8Array[]): Uint8Array =>
    field(1, field(2, Buffer.concat(records.map((record) => field(2, record)))));
  const PROTO = 'application/x-protobuf';
  const JSON_TYPE = 'application/json';

  it('is answered in the encoding it came in', async () => {
    const log = await newLog();
    const one = await post(log, JSON_TYPE, json({ body: { stringValue: 'a' } }));
    expect([one.status, one.headers.get('content-type'), one.text]).toEqual([
      200,
      'application/json; charset=utf-8',
      '{}',
    ]);
    const two = await post(log, PROTO, proto(field(5, field(1, Buffer.from('a')))));
    expect([two.status, two.headers.get('content-type'), two.bytes.length]).toEqual([200, PROTO, 0]);
    const [first, second] = await lines(log);
    expect(first).toBe('{"logRecord":{"body":{"stringValue":"a"}}}');
    expect(second).toBe(first);
    const none = await post(log, PROTO, '');
    expect([none.status, none.bytes.length]).toEqual([200, 0]);
  });

  it('sets records aside that are malformed, and says so', async () => {
    const log = await newLog();
    const deep = (levels: number): unknown =>
      levels === 0 ? { boolValue: true } : { arrayValue: { values: [deep(levels - 1)] } };
    const partial = await post(log, JSON_TYPE, json({ traceId: 'ab' }, { body: deep(40) }, { severityText: 'kept' }));
    expect([partial.status, partial.at('partialSuccess', 'rejectedLogRecords')]).toEqual([200, '0']);
    expect(partial.at('partialSuccess', 'errorMessage')).toContain('1 id-invalid, 1 too-deep');
    const encoded = await post(log, PROTO, proto(field(9, Buffer.alloc(3)), field(3, Buffer.from('kept'))));
    expect(encoded.status).toBe(200);
    expect(encoded.bytes.toString('latin1')).toContain('1 id-invalid');
    const all = await lines(log);
    expect(all.filter((line) => line === '{"logRecord":{"severityText":"kept"}}')).toHaveLength(2);
    const aside = all.filter((line) => line.startsWith('{"antequem":')).map((line) => JSON.parse(line));
    expect(aside.map(({ source, reason }) => [source, reason])).toEqual([
      ['otlp-json', 'id-invalid'],
      ['otlp-json', 'too-deep'],
      ['otlp-protobuf', 'id-invalid'],
    ]);
    expect(Buffer.from(aside[0].bytes, 'base64').toString()).toBe(json({ traceId: 'ab' }));
    expect(Buffer.from(aside[2].bytes, 'base64')).toEqual(Buffer.from(proto(field(9, Buffer.alloc(3)))));
  });

  it('rejects those of which it can keep no more than the hash', async () => {
    const log = await newLog();
    const answer = await post(log, JSON_TYPE, json({ traceId: 'a'.repeat(600_000) }, { severityText: 'kept' }));
    expect([answer.status, answer.at('partialSuccess', 'rejectedLogRecords')]).toEqual([200, '1']);
    const [line] = await lines(log);
    expect(JSON.parse(line ?? '')).toMatchObject({ sha256: expect.stringMatching(/^[0-9a-f]{64}$/), length: 600_066 });
  });

  it('keeps whole doubles that JavaScript writes as integers', async () => {
    const log = await newLog();
    const body = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[VALUES]}]}]}';
    const values = ['18446744073709552000', '1e+21', '-9223372036854775808', '9223372036854775808', '"7"', '1e3'];
    const records = values.map((value) => `{"body":{"intValue":${value}}}`).join(',');
    expect((await post(log, JSON_TYPE, body.replace('VALUES', records))).text).toBe('{}');
    expect((await lines(log)).map((line) => JSON.parse(line).logRecord.body)).toEqual([
      { doubleValue: 2 ** 64 },
      { doubleValue: 1e21 },
      { intValue: '-9223372036854775808' },
      { doubleValue: 2 ** 63 },
      { intValue: '7' },
      { intValue: '1000' },
    ]);
    const lossy = '{"body":{"intValue":"18446744073709551617"}}';
    expect((await post(log, JSON_TYPE, body.replace('VALUES', lossy))).text).toContain('1 value-invalid');
  });

  it('takes base64 in all the forms that the JSON encoding of protobuf takes', async () => {
    const log = await newLog();
    await post(log, JSON_TYPE, json(...['_-8=', '_-8', '/+8='].map((bytesValue) => ({ body: { bytesValue } }))));
    expect(await lines(log)).toEqual(Array(3).fill('{"logRecord":{"body":{"bytesValue":"/+8="}}}'));
  });

  it('passes over what it does not know', async () => {
    const log = await newLog();
    await post(log, JSON_TYPE, json({ severityText: 'a', newField: { x: 1 } }));
    await post(log, PROTO, proto(Buffer.concat([field(3, Buffer.from('a')), field(99, Buffer.from('new'))])));
    expect(await lines(log)).toEqual(Array(2).fill('{"logRecord":{"severityText":"a"}}'));
  });

  it('takes integers as numbers and strings, and ids in capitals', async () => {
    const log = await newLog();
    const trace = 'ABCDEF0123456789abcdef0123456789';
    await post(log, JSON_TYPE, json({ timeUnixNano: '18446744073709551615', body: { intValue: 5 }, traceId: trace }));
    expect(await lines(log)).toEqual([
      `{"logRecord":{"body":{"intValue":"5"},"timeUnixNano":"18446744073709551615","traceId":"${trace.toLowerCase()}"}}`,
    ]);
  });

  it.each<[string, string, Uint8Array | string, string]>([
    ['broken JSON', JSON_TYPE, '{"resourceLogs":[', 'json-invalid'],
    ['JSON that is no request', JSON_TYPE, '{"resourceLogs":1}', 'otlp-invalid'],
    ['protobuf cut short', PROTO, Uint8Array.from([0x0a, 0x05, 0x12]), 'otlp-invalid'],
    ['a varint without an end', PROTO, new Uint8Array(20).fill(0xff), 'otlp-invalid'],
    ['metrics', JSON_TYPE, '{"resourceMetrics":[{}]}', 'otlp-invalid'],
    ['millions of fields', PROTO, Buffer.from('0a00'.repeat(1_100_000), 'hex'), 'otlp-invalid'],
    ['50,001 records', PROTO, proto(...Array(50_001).fill(field(3, Buffer.from('a')))), 'batch-too-large'],
  ])('refuses %s', async (_, type, body, code) => {
    const log = await newLog();
    const answer = await post(log, type, body);
    expect(answer.status).toBe(400);
    // A google.rpc.Status is what a sender of protobuf can read.
    if (type === PROTO) expect(answer.bytes.toString('latin1')).toContain(code);
    else expect(answer.code).toBe(code);
    expect(await lines(log)).toEqual([]);
  });

  it('refuses a body that inflates to more than 64 MiB, and one resource that would be copied many thousand times', async () => {
    const log = await newLog();
    const bomb = await post(log, PROTO, gzipSync(new Uint8Array(200 << 20)), { 'content-encoding': 'gzip' });
    expect(bomb.status).toBe(413);
    const resource = field(1, field(1, field(1, Buffer.alloc(100_000, 'a'))));
    const records = field(2, Buffer.concat(Array(4_000).fill(field(2, field(3, Buffer.from('a'))))));
    const copied = await post(log, PROTO, field(1, Buffer.concat([resource, records])));
    expect([copied.status, copied.bytes.toString('latin1').includes('batch-too-large')]).toEqual([400, true]);
    expect(await lines(log)).toEqual([]);
  });

  it('takes no other type', async () => {
    const log = await newLog();
    expect([(await post(log, 'text/plain', 'a')).code]).toEqual(['media-type-unsupported']);
  });

  it('is stored once with an Idempotency-Key', async () => {
    const log = await newLog();
    for (let i = 0; i < 2; i++) await post(log, JSON_TYPE, json({ severityText: 'a' }), { 'idempotency-key': 'k' });
    expect(await lines(log)).toHaveLength(1);
  });
});
