// Bitcoin both ways: rounds stamped by a calendar, and we a calendar to others; what comes of it is checked by the Python
// reference library against a Bitcoin node, by nothing of ours.

import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LocalCalendar } from '../../scripts/local/calendar.ts';
import { parseHeader, REGTEST } from '../../src/core/bitcoin-header.ts';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { parseOtsFile } from '../../src/ots/file.ts';
import { timestampLines } from '../../src/ots/line.ts';
import { parseTimestamp, serializeTimestamp } from '../../src/ots/serialization.ts';
import { referenceMissing } from '../ots/reference.ts';
import type { TestBitcoin } from '../support/bitcoin.ts';
import { testBitcoin, testCalendar } from '../support/bitcoin.ts';
import { freePort } from '../support/free-port.ts';
import { type TestService, testService } from '../support/service.ts';

const PATIENCE = { timeout: 120_000, interval: 200 };
const run = promisify(execFile);

/** The reference library as a client. @returns what it prints */
async function client(...args: string[]): Promise<string> {
  const script = join(import.meta.dirname, 'stock-client.py');
  return (await run('/usr/bin/python3', [script, ...args])).stdout.trim();
}

let node: TestBitcoin;
let service: TestService;
let upstream: LocalCalendar | null = null;
let calendarPort: number;

beforeAll(async () => {
  if (referenceMissing !== null) return;
  let port: number;
  [node, calendarPort, port] = await Promise.all([testBitcoin(), freePort(), freePort()]);
  service = await testService({
    config: {
      port,
      roles: ['api', 'worker'],
      roundInterval: 200,
      reconcileInterval: 500,
      ots: {
        name: 'calendars',
        // Nobody answers there yet.
        calendars: [{ url: `http://127.0.0.1:${calendarPort}`, uris: [] }],
        minCalendars: 1,
        ephemeral: true,
      },
      bitcoin: { chain: REGTEST, rpcUrls: [node.rpcUrl], esploraUrls: [], cookieFile: null, confirmations: 2 },
      calendar: { uri: `http://127.0.0.1:${port}`, perMinute: 100_000 },
    },
  });
});

afterAll(async () => {
  await service?.[Symbol.asyncDispose]();
  await upstream?.close();
  await node?.close();
});

/** The height and merkle root that the reference printed, as the node has them. */
async function expectBlock(printed: string): Promise<void> {
  const [height = '', root] = printed.split(' ');
  expect(root).toBe(toHex(parseHeader(await node.header(Number(height))).merkleRoot));
}

describe.skipIf(referenceMissing !== null)('the reference client', () => {
  const payload = 'a line of a log';
  const digest = randomBytes(32).toString('hex');
  /** What our calendar answered, and what `receipt.ots` was before any calendar had answered us. */
  let promise: string;
  let early: Uint8Array;

  it('has a digest stamped by us, and an entry has a file, while our own calendars are down', async () => {
    promise = await client('submit', service.url, digest);
    await service.send('PUT', '/v1/logs/demo');
    await service.send('POST', '/v1/logs/demo/entries', { body: payload });
    const ots = async (): Promise<number> => (await service.send('GET', '/v1/logs/demo/entries/0/receipt.ots')).status;
    await expect.poll(ots, PATIENCE).toBe(200);
    early = new Uint8Array((await service.send('GET', '/v1/logs/demo/entries/0/receipt.ots')).bytes);
    for (const timestamp of [parseTimestamp(fromHex(promise), fromHex(digest)), parseOtsFile(early).timestamp]) {
      const attestations = [...timestampLines(timestamp)].map(({ attestation }) => attestation);
      expect(attestations).toEqual([{ kind: 'pending', uri: service.url }]);
    }
    expect(await client('complete', service.url, digest, promise)).toBe(promise);
  });

  it('completes what we promised down to a Bitcoin block that the node bears out, once they are up', async () => {
    upstream = await testCalendar(node, { port: calendarPort, interval: 100, depth: 3 });
    const entry = createHash('sha256').update(payload).digest('hex');
    const file = toHex(serializeTimestamp(parseOtsFile(early).timestamp));
    for (const [message, timestamp] of [
      [digest, promise],
      [entry, file],
    ] as const) {
      let completed = timestamp;
      const complete = async (): Promise<boolean> => {
        completed = await client('complete', service.url, message, timestamp);
        return completed !== timestamp;
      };
      await expect.poll(complete, { timeout: 120_000, interval: 1_000 }).toBe(true);
      await expectBlock(await client('check', node.rpcUrl, message, completed));
      const longest = Math.max(
        ...[...timestampLines(parseTimestamp(fromHex(completed), fromHex(message)))].map(({ ops }) => ops.length),
      );
      expect(longest).toBeLessThanOrEqual(255);
    }
  });

  it('finds the file of an entry to end in the merkle root of the header that the node gives', async () => {
    const reached = await service.send('GET', '/v1/logs/demo/entries/0/receipt?until=bitcoin&wait=50');
    expect(reached.text).toContain('"status":"confirmed"');
    const answer = await service.send('GET', '/v1/logs/demo/entries/0/receipt.ots');
    expect(answer.headers.get('content-disposition')).toContain('demo-0.regtest.ots');
    const content = Buffer.from(payload).toString('hex');
    await expectBlock(await client('check-file', node.rpcUrl, content, answer.bytes.toString('hex')));
    await expect(
      client('check-file', node.rpcUrl, Buffer.from('another line').toString('hex'), answer.bytes.toString('hex')),
    ).rejects.toThrow('AssertionError');
  });

  it('is led to the new block after a reorganisation', async () => {
    const another = randomBytes(32).toString('hex');
    const stamped = await client('submit', service.url, another);
    const [pending] = timestampLines(parseTimestamp(fromHex(stamped), fromHex(another)));
    const path = `/timestamp/${toHex(pending?.message ?? new Uint8Array(0))}`;
    await expect.poll(async () => (await service.send('GET', path)).status, PATIENCE).toBe(200);
    const before = await service.send('GET', path);
    // Deeper than what is confirmed.
    await node.reorganize(4);
    await expect
      .poll(async () => {
        const { status, bytes } = await service.send('GET', path);
        return status === 200 && !bytes.equals(before.bytes);
      }, PATIENCE)
      .toBe(true);
    const completed = await client('complete', service.url, another, stamped);
    await expectBlock(await client('check', node.rpcUrl, another, completed));
  });
});
