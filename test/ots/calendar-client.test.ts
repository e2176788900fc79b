import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { concat, toHex, utf8 } from '../../src/core/bytes.ts';
import { CalendarError, calendarClient } from '../../src/ots/calendar-client.ts';
import { timestampOf } from '../../src/ots/line.ts';
import { serializeTimestamp } from '../../src/ots/serialization.ts';
import { serveCalendar, type TestCalendar } from '../support/ots.ts';

const DIGEST = sha256(utf8('a digest'));
const client = calendarClient({ timeout: 2_000 });
let calendar: TestCalendar;

beforeAll(async () => {
  calendar = await serveCalendar();
});
afterAll(() => calendar?.[Symbol.asyncDispose]());

const failed = (says: string | RegExp) =>
  expect.objectContaining({ code: 'calendar-failed', message: expect.stringMatching(says) });

/** A timestamp of so many bytes. */
function ofSize(size: number): Uint8Array {
  const attestation = (tag: number, length: number) => ({
    ops: [],
    attestation: { kind: 'unknown' as const, tag: new Uint8Array(8).fill(tag), payload: new Uint8Array(length) },
  });
  const bytes = serializeTimestamp(timestampOf(DIGEST, [attestation(0, 5_000), attestation(1, size - 5_000 - 23)]));
  expect(bytes.length).toBe(size);
  return bytes;
}

test('submits digests and asks for what is known of a message', async () => {
  const { timestamp } = await client.submit(calendar.url, DIGEST);
  const [branch] = timestamp.branches;
  const message = branch?.next.branches[0]?.next.message ?? new Uint8Array();
  expect(await client.upgrade(calendar.url, message)).toBeNull();
  calendar.stamped(3);
  const upgraded = await client.upgrade(calendar.url, message);
  expect(upgraded?.timestamp.message).toEqual(message);
  expect(calendar.asked).toEqual([`POST ${toHex(DIGEST)}`, `GET ${toHex(message)}`, `GET ${toHex(message)}`]);
});

describe('takes', () => {
  test('10,000 bytes and not one more, whatever the length it was told', async () => {
    calendar.behaviour = (_request, response) => void response.end(ofSize(10_000));
    expect((await client.submit(calendar.url, DIGEST)).bytes).toHaveLength(10_000);
    calendar.behaviour = (_request, response) => void response.end(ofSize(10_001));
    await expect(client.submit(calendar.url, DIGEST)).rejects.toEqual(failed(/more than 10000 bytes/));
    // In pieces, without a length.
    calendar.behaviour = (_request, response) => {
      response.write(ofSize(10_001).subarray(0, 6_000));
      response.end(ofSize(10_001).subarray(6_000));
    };
    await expect(client.submit(calendar.url, DIGEST)).rejects.toEqual(failed(/more than 10000 bytes/));
  });

  test('nothing compressed that is larger than that', async () => {
    const { gzipSync } = await import('node:zlib');
    calendar.behaviour = (_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(new Uint8Array(50_000_000)));
    };
    await expect(client.submit(calendar.url, DIGEST)).rejects.toEqual(failed(/more than 10000 bytes/));
  });

  test.each([
    ['nothing', new Uint8Array(), /byte 0: the bytes end/],
    ['a timestamp cut short', ofSize(6_000).subarray(0, -1), /no timestamp of/],
    ['a timestamp and more', concat(ofSize(6_000), Uint8Array.of(0)), /1 bytes more than/],
  ])('no %s', async (_, bytes, says) => {
    calendar.behaviour = (_request, response) => void response.end(bytes);
    await expect(client.submit(calendar.url, DIGEST)).rejects.toEqual(failed(says));
    await expect(client.upgrade(calendar.url, DIGEST)).rejects.toEqual(failed(says));
  });

  test.each([301, 302, 303, 307, 308])('no redirect with %d, wherever it leads', async (status) => {
    const before = calendar.asked.length;
    calendar.behaviour = (_request, response) => void response.writeHead(status, { location: calendar.url }).end();
    await expect(client.submit(calendar.url, DIGEST)).rejects.toEqual(failed(`redirect \\(status ${status}\\)`));
    await expect(client.upgrade(calendar.url, DIGEST)).rejects.toEqual(failed('which is not followed'));
    expect(calendar.asked).toHaveLength(before + 2);
  });

  test('404 for not yet when it upgrades, and for a failure when it submits', async () => {
    calendar.behaviour = (_request, response) => void response.writeHead(404).end('Pending');
    expect(await client.upgrade(calendar.url, DIGEST)).toBeNull();
    await expect(client.submit(calendar.url, DIGEST)).rejects.toEqual(failed('status 404'));
  });

  test('the wish to be asked later, within an hour', async () => {
    const wished = async (value: string): Promise<number | null> => {
      calendar.behaviour = (_request, response) => void response.writeHead(503, { 'retry-after': value }).end();
      const error = await client.submit(calendar.url, DIGEST).catch((cause: unknown) => cause);
      return error instanceof CalendarError ? error.retryAfter : null;
    };
    expect([await wished('7'), await wished('999999999'), await wished('soon'), await wished('-1')]).toEqual([
      7_000,
      3_600_000,
      null,
      null,
    ]);
  });
});

test('what hangs, breaks off or is not there is given up', async () => {
  const quick = calendarClient({ timeout: 200 });
  calendar.behaviour = () => {};
  await expect(quick.submit(calendar.url, DIGEST)).rejects.toEqual(failed(/it took more than 200 ms/));
  calendar.behaviour = (_request, response) => {
    response.writeHead(200, { 'content-length': '500' }).write('x');
    response.destroy();
  };
  await expect(client.submit(calendar.url, DIGEST)).rejects.toEqual(failed(/did not answer/));
  await expect(client.submit('http://127.0.0.1:9', DIGEST)).rejects.toEqual(failed(/did not answer/));
  const noise = createServer((socket) => void socket.end('SSH-2.0-OpenSSH_9.9\r\n')).listen(0, '127.0.0.1');
  await once(noise, 'listening');
  const address = noise.address();
  const port = typeof address === 'object' ? address?.port : 0;
  await expect(client.submit(`http://127.0.0.1:${port}`, DIGEST)).rejects.toEqual(failed(/did not answer/));
  noise.close();
});

test('what is under way ends when it closes', async () => {
  calendar.behaviour = () => {};
  const closing = calendarClient({ timeout: 60_000 });
  const asked = closing.submit(calendar.url, DIGEST);
  closing.close();
  await expect(asked).rejects.toEqual(failed(/the service is stopping/));
});
