// Servers that mean an auditor harm: every answer is bounded, and what cannot go on says why.

import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { HttpSource } from '../../../src/audit/remote/http-source.ts';
import { forgeMirror, NEW_YEAR } from '../forged.ts';
import { auditOf, temporaryFolder } from '../ground.ts';
import { openServer, pour, sendFile } from '../liar.ts';

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server[Symbol.asyncDispose]();
});

async function serverOf(
  answer: (path: string, response: ServerResponse) => void,
): Promise<{ url: string; asked: string[] }> {
  const server = await openServer(answer);
  open.push(server);
  return server;
}

/** What reading the description of the service ends with. */
async function failure(answer: (path: string, response: ServerResponse) => void): Promise<unknown> {
  const { url } = await serverOf(answer);
  const source = new HttpSource({ url, pause: 1, deadline: 500 });
  try {
    return await source.read('v1/audit/service', 65_536).catch((error: unknown) => error);
  } finally {
    source.close();
  }
}

const error = (code: string, says: string): unknown =>
  expect.objectContaining({ code, message: expect.stringContaining(says) });

describe('an answer', () => {
  test('without end is given up as soon as it is too long', async () => {
    let sent = 0;
    const endless = await failure((_, response) => {
      pour(response, ' ', (bytes) => {
        sent += bytes;
      });
    });
    expect(endless).toEqual(error('answer-too-long', 'has more than 65,536 bytes'));
    expect(sent).toBeLessThan(64 << 20);
  });

  test('that says that it is gigabytes long is not read at all', async () => {
    const announced = await failure(
      (_, response) => void response.writeHead(200, { 'content-length': 8e9 }).write('{'),
    );
    expect(announced).toEqual(error('answer-too-long', 'has more than 65,536 bytes'));
  });

  test('elsewhere is not followed', async () => {
    const elsewhere = await serverOf((_, response) => void response.end('{}'));
    const redirected = await failure(
      (_, response) => void response.writeHead(302, { location: `${elsewhere.url}/v1/audit/service` }).end(),
    );
    expect(redirected).toEqual(error('answer-redirected', 'nothing is followed'));
    expect(elsewhere.asked).toEqual([]);
  });

  test('that trickles is given up in time', async () => {
    const slow = await failure((_, response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(timer));
    });
    expect(slow).toEqual(error('answer-slow', 'did not come whole within 0.5 s'));
  });

  test('that never comes is given up in time', async () => {
    expect(await failure(() => {})).toEqual(error('answer-slow', 'given up'));
  });

  test('that breaks off is asked for again, not for ever', async () => {
    let asked = 0;
    const broken = await failure((_, response) => {
      asked++;
      response.writeHead(200, { 'content-length': 100 }).write('{');
      setTimeout(() => response.destroy(), 5);
    });
    expect(broken).toEqual(error('service-unreachable', 'could not be read'));
    expect(asked).toBe(4);
  });

  test('that fails at first is asked for again', async () => {
    let asked = 0;
    const bytes = await failure((_, response) => {
      response.statusCode = asked++ < 2 ? 503 : 200;
      response.end('{}');
    });
    expect(Buffer.from(bytes instanceof Uint8Array ? bytes : []).toString()).toBe('{}');
  });

  test('that asks to come back later is heeded more often than one that fails', async () => {
    let asked = 0;
    const bytes = await failure((_, response) => {
      if (asked++ >= 10) response.end('{}');
      else response.writeHead(429, { 'retry-after': '0' }).end();
    });
    expect([bytes instanceof Uint8Array, asked]).toEqual([true, 11]);
  });

  test('that is packed, though nobody asked for that, is not unpacked', async () => {
    const packed = await failure((_, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end());
    expect(packed).toEqual(error('answer-invalid', 'compressed'));
  });

  test('in another protocol is none', async () => {
    const foreign = await failure((_, response) => void response.socket?.end('SSH-2.0-OpenSSH_9.2\r\n'));
    expect(foreign).toEqual(error('answer-invalid', 'not answered in HTTP'));
  });
});

describe('an audit', () => {
  test.each<[string, (path: string, response: ServerResponse) => void, string]>([
    ['of something else', (_, response) => void response.end('<html>'), 'answer-invalid'],
    ['of nothing', (_, response) => void response.writeHead(404).end(), 'service-unknown'],
    ['of JSON nested without end', (_, response) => void response.end('['.repeat(60_000)), 'answer-invalid'],
    ['of a service that wants a key', (_, response) => void response.writeHead(401).end(), 'service-refused'],
  ])('%s ends with a clear error', async (_, answer, code) => {
    const { url } = await serverOf(answer);
    await expect(auditOf({ at: url })).rejects.toMatchObject({ code });
  });

  test('of a service that is not there', async () => {
    await expect(auditOf({ at: 'http://127.0.0.1:1' })).rejects.toMatchObject({ code: 'service-unreachable' });
  });

  test.each([
    ['a checkpoint', 'logs/demo/checkpoint'],
    ['a tile', 'logs/demo/tile/0/000'],
    ['a bundle', 'logs/demo/tile/entries/000'],
    ['the acts', 'v1/audit/acts/000.p/2'],
    ['a round', 'v1/audit/rounds/001'],
  ])('of a service of which %s has no end', async (_, endless) => {
    const folder = await temporaryFolder();
    forgeMirror(folder.path, { logs: { demo: 300 }, rounds: [{ closedAt: NEW_YEAR + 1_000, sizes: { demo: 300 } }] });
    const { url } = await serverOf((path, response) => {
      if (path === endless) pour(response, '[');
      else sendFile(folder.path, path, response);
    });
    await expect(auditOf({ at: url })).rejects.toMatchObject({ code: 'answer-too-long' });
    await folder.remove();
  });
});
