import { gzipSync } from 'node:zlib';
import express from 'express';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BodyBudget, bodyReader } from '../../src/api/body.ts';
import { failureHandler } from '../../src/api/failures.ts';
import { listen } from '../../src/api/server.ts';
import { Warnings } from '../../src/api/warnings.ts';
import { BATCH } from '../../src/ingest/cloudevents.ts';
import { Metrics } from '../../src/metrics/metrics.ts';
import { type Answer, type TestService, testService } from '../support/service.ts';

let service: TestService;
let names = 0;

beforeAll(async () => {
  service = await testService();
});
afterAll(() => service[Symbol.asyncDispose]());

async function newLog(): Promise<string> {
  const name = `large-${names++}`;
  expect((await service.send('PUT', `/v1/logs/${name}`)).status).toBe(201);
  return name;
}
const sizeOf = async (log: string): Promise<unknown> => (await service.send('GET', `/v1/logs/${log}`)).at('size');

const cloudEvents = (count: number, prefix = 'id'): string => {
  const events = Array.from(
    { length: count },
    (_, i) => `{"id":"${prefix}-${i}","source":"/s","specversion":"1.0","type":"t"}`,
  );
  return `[${events.join(',')}]`;
};
const sendEvents = (log: string, body: Uint8Array | string, headers = {}): Promise<Answer> =>
  service.send('POST', `/v1/logs/${log}/ingest/cloudevents`, {
    body,
    headers: { 'content-type': BATCH, prefer: 'return=representation', ...headers },
  });

const records = (count: number, timed: boolean): string => {
  const all = Array.from(
    { length: count },
    (_, i) =>
      `{${timed ? `"timeUnixNano":"${1_700_000_000_000_000_000n + BigInt(i)}",` : ''}"body":{"stringValue":"${i}"}}`,
  );
  return `{"resourceLogs":[{"scopeLogs":[{"logRecords":[${all.join(',')}]}]}]}`;
};
const sendRecords = (log: string, body: string, headers = {}): Promise<Answer> =>
  service.send('POST', `/v1/logs/${log}/ingest/otlp`, {
    body,
    headers: { 'content-type': 'application/json', ...headers },
  });

describe('a body of many events', () => {
  it('is logged whole, by several commits, in order', async () => {
    const log = await newLog();
    const answer = await sendEvents(log, gzipSync(cloudEvents(25_000)), { 'content-encoding': 'gzip' });
    expect([answer.status, answer.json]).toEqual([
      200,
      expect.objectContaining({ count: 25_000, index: 0, repeated: 0, setAside: 0 }),
    ]);
    for (const index of [0, 9_999, 10_000, 24_999]) {
      const payload = await service.send('GET', `/v1/logs/${log}/entries/${index}/payload`);
      expect(payload.text).toContain(`"id":"id-${index}"`);
    }
  });

  it('is checked whole before any of it is logged', async () => {
    const log = await newLog();
    const broken = await sendEvents(log, `${cloudEvents(15_000).slice(0, -1)},{"id":"x`);
    expect([broken.status, broken.code]).toEqual([400, 'json-invalid']);
    const many = await sendEvents(log, cloudEvents(50_001));
    expect([many.status, many.code]).toEqual([400, 'batch-too-large']);
    expect(await sizeOf(log)).toBe(0);
  });

  it('of a declared length over 64 MiB is refused before it comes', async () => {
    const log = await newLog();
    const answer = await fetch(`${service.url}/v1/logs/${log}/ingest/cloudevents`, {
      method: 'POST',
      headers: { 'content-type': BATCH },
      body: new Uint8Array((64 << 20) + 1),
    });
    expect([answer.status, await answer.json()]).toEqual([413, expect.objectContaining({ code: 'body-too-large' })]);
  });
});

describe('a commit that fails amid a body', () => {
  /** As a full disk has it: no log grows beyond this. */
  const bound = async (size: number): Promise<void> => {
    await service.foundation.database.query(
      `CREATE OR REPLACE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = 'disk_full'; END $$;
       CREATE OR REPLACE TRIGGER disk_full BEFORE INSERT ON log_heads FOR EACH ROW WHEN (NEW.size > ${size})
       EXECUTE FUNCTION disk_full()`,
    );
  };
  afterAll(() => service.foundation.database.query('DROP TRIGGER IF EXISTS disk_full ON log_heads'));

  it.each<[string, (log: string) => Promise<Answer>]>([
    ['of CloudEvents', (log) => sendEvents(log, cloudEvents(12_000))],
    ['of records with times', (log) => sendRecords(log, records(12_000, true))],
    ['of records without times', (log) => sendRecords(log, records(12_000, false))],
    ['under an Idempotency-Key', (log) => sendRecords(log, records(12_000, false), { 'idempotency-key': 'once' })],
  ])('%s is answered by 503, and a repeat logs the rest alone', async (_, send) => {
    const log = await newLog();
    await bound(11_000);
    const answer = await send(log);
    expect([answer.status, answer.code, answer.headers.get('retry-after')]).toEqual([503, 'database-unavailable', '3']);
    expect(await sizeOf(log)).toBe(10_000);
    await bound(1_000_000);
    expect((await send(log)).status).toBe(200);
    expect(await sizeOf(log)).toBe(12_000);
  });
});

describe('an OTLP body that comes again', () => {
  it('is logged once where every record has a time', async () => {
    const log = await newLog();
    for (let i = 0; i < 2; i++) expect((await sendRecords(log, records(3, true))).text).toBe('{}');
    expect(await sizeOf(log)).toBe(3);
    await Promise.all(Array.from({ length: 4 }, () => sendRecords(log, records(4, true))));
    expect(await sizeOf(log)).toBe(7);
  });

  it('is logged again where a record has none', async () => {
    const log = await newLog();
    const mixed = records(2, true).replace('"logRecords":[', '"logRecords":[{"body":{"stringValue":"no time"}},');
    for (let i = 0; i < 2; i++) await sendRecords(log, mixed);
    expect(await sizeOf(log)).toBe(6);
    for (let i = 0; i < 2; i++) await sendRecords(log, records(12_000, false));
    expect(await sizeOf(log)).toBe(24_006);
  });

  it('is logged again by another key, in another log and after ten minutes', async () => {
    await using keyed = await testService({ open: false });
    const admin = (await keyed.key(['admin', 'append', 'read'])).token;
    const other = (await keyed.key(['append'])).token;
    for (const log of ['one', 'two']) await keyed.send('PUT', `/v1/logs/${log}`, { token: admin });
    const send = (log: string, token: string): Promise<Answer> =>
      keyed.send('POST', `/v1/logs/${log}/ingest/otlp`, {
        body: records(1, true),
        headers: { 'content-type': 'application/json' },
        token,
      });
    const size = async (log: string): Promise<unknown> =>
      (await keyed.send('GET', `/v1/logs/${log}`, { token: admin })).at('size');
    await send('one', admin);
    await send('one', admin);
    expect(await size('one')).toBe(1);
    await send('one', other);
    await send('two', admin);
    expect([await size('one'), await size('two')]).toEqual([2, 1]);
    // Clocks further apart than a minute are refused, so the record is made older instead.
    await keyed.foundation.database.query('UPDATE idempotency SET created_at = created_at - 600000');
    await send('one', admin);
    expect(await size('one')).toBe(3);
  });

  it('is logged again once it is erased', async () => {
    const log = await newLog();
    await sendRecords(log, records(1, true));
    expect((await service.send('DELETE', `/v1/logs/${log}/entries/0/payload`)).status).toBe(200);
    await sendRecords(log, records(1, true));
    expect(await sizeOf(log)).toBe(2);
  });
});

describe('the budget for bodies', () => {
  it('is charged as bytes arrive, not by what a compressed body may become', async () => {
    const budget = new BodyBudget(1 << 20);
    const read = bodyReader(64 << 20, budget);
    const warnings = new Warnings(pino({ level: 'silent' }), () => 0);
    const app = express();
    app.post('/', async (request, response) => {
      const body = await read(request, response);
      response.json({ length: body.length });
    });
    app.use(failureHandler(pino({ level: 'silent' }), new Metrics(), warnings));
    const server = await listen(app, { host: '127.0.0.1', port: 0 });
    const post = (body: string): Promise<Response> =>
      fetch(server.url, { method: 'POST', body: gzipSync(body), headers: { 'content-encoding': 'gzip' } });
    const answers = await Promise.all(Array.from({ length: 8 }, () => post('x'.repeat(1_000))));
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
    const large = await post('x'.repeat(2 << 20));
    expect([large.status, await large.json(), large.headers.get('retry-after')]).toEqual([
      503,
      expect.objectContaining({ code: 'overloaded' }),
      '3',
    ]);
    expect((await post('x'.repeat(900_000))).status).toBe(200);
    await server.close();
  });
});
