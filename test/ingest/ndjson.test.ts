// What Fluent Bit and Vector put on the wire: bytes written down by their sources (plugins/out_http/http.c with the format
// json_lines; src/sinks/http with the codec json or text and newline_delimited framing).

import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requestText, sendRaw } from '../support/raw-http.ts';
import { type TestService, testService } from '../support/service.ts';

let service: TestService;
let names = 0;

beforeAll(async () => {
  service = await testService();
});
afterAll(() => service[Symbol.asyncDispose]());

const records = [
  '{"date":"2026-01-15T08:00:00.000000Z","log":"GET / 200","kubernetes":{"pod_name":"web-1"}}',
  '{"date":"2026-01-15T08:00:01.000000Z","log":"caf\\u00e9 \\"quoted\\""}',
];
const body = `${records.join('\n')}\n`;

async function payloads(log: string): Promise<string[]> {
  const { text } = await service.send('GET', `/v1/logs/${log}/export?receipts=false`);
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line).payload.text);
}

/** The status of a request as it stands on the wire. */
async function wire(target: string, headers: Record<string, string>, sent: Uint8Array): Promise<number> {
  const head = requestText('POST', target, { ...headers, 'Content-Length': String(sent.length) });
  return (await sendRaw(service.url, Buffer.concat([Buffer.from(head), sent]))).status;
}

describe('lines of JSON', () => {
  const fluentBit = { Host: '127.0.0.1:3963', 'User-Agent': 'Fluent-Bit', 'Content-Type': 'application/x-ndjson' };
  const vector = {
    'User-Agent': 'Vector/0.50.0 (x86_64-unknown-linux-gnu)',
    'Content-Type': 'application/x-ndjson',
    'Accept-Encoding': 'identity',
  };

  it.each<[string, string, Record<string, string>, Uint8Array]>([
    ['Fluent Bit', '', fluentBit, Buffer.from(body)],
    ['Fluent Bit with compress gzip', '', { ...fluentBit, 'Content-Encoding': 'gzip' }, gzipSync(body)],
    [
      'Fluent Bit before 2.2, which says JSON',
      '?split=lines',
      { ...fluentBit, 'Content-Type': 'application/json' },
      Buffer.from(body),
    ],
    ['Vector', '', vector, Buffer.from(body)],
    ['Vector with compression gzip', '', { ...vector, 'Content-Encoding': 'gzip' }, gzipSync(body)],
    ['Vector with compression zstd', '', { ...vector, 'Content-Encoding': 'zstd' }, zstdCompressSync(body)],
    ['Vector with the codec text', '?split=lines', { ...vector, 'Content-Type': 'text/plain' }, Buffer.from(body)],
  ])('of %s are entries, byte for byte', async (_, query, headers, sent) => {
    const log = `lines-${names++}`;
    await service.send('PUT', `/v1/logs/${log}`);
    // Fluent Bit takes 200 to 205 for an answer, Vector any 2xx.
    expect(await wire(`/v1/logs/${log}/entries${query}`, headers, sent)).toBe(201);
    expect(await payloads(log)).toEqual(records);
  });

  it('are refused for good or for now by statuses that both go by', async () => {
    const log = `lines-${names++}`;
    await service.send('PUT', `/v1/logs/${log}`);
    expect(await wire(`/v1/logs/${log}/entries`, { ...vector, 'Content-Encoding': 'snappy' }, Buffer.from(body))).toBe(
      415,
    );
    expect(await wire('/v1/logs/nowhere/entries', vector, Buffer.from(body))).toBe(404);
    expect(await payloads(log)).toEqual([]);
  });
});
