import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { expect, it } from 'vitest';
import { sentBody } from '../../src/api/body.ts';
import { sendRaw } from '../support/raw-http.ts';

const LIMIT = 25 << 20;

it('a length that is declared takes no memory before something of it has come', async () => {
  let arrived = 0;
  const requests: IncomingMessage[] = [];
  const app = express().post('/', async (incoming, response) => {
    requests.push(incoming);
    await sentBody(incoming, LIMIT, { take: () => arrived++ }).catch(() => {});
    response.end();
  });
  const server = createServer(app).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const before = process.memoryUsage().arrayBuffers;
  const sent = Array.from({ length: 20 }, () =>
    sendRaw(url, `POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${LIMIT}\r\n\r\n{`),
  );
  // Each takes what a request costs, and then its byte.
  await expect.poll(() => arrived).toBe(40);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 * LIMIT);
  for (const each of requests) each.destroy();
  await Promise.all(sent);
  server.close();
});

it.each([1, 7, 8, 9, 1_000, 100_000])('a body of %i bytes that comes in pieces is whole', async (length) => {
  const body = Buffer.from(Array.from({ length }, (_, i) => i % 251));
  let seen: Uint8Array | null = null;
  const app = express().post('/', async (incoming, response) => {
    seen = await sentBody(incoming, LIMIT, { take: () => {} });
    response.end();
  });
  const server = createServer(app).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const headers = { 'content-length': String(length) };
  const answered = new Promise((resolve) => {
    const sending = request({ port, method: 'POST', headers, agent: false }, (answer) => resolve(answer.resume()));
    const piece = Math.ceil(length / 20);
    const send = (at: number): void => {
      if (at >= length) sending.end();
      else sending.write(body.subarray(at, at + piece), () => send(at + piece));
    };
    send(0);
  });
  await answered;
  expect(Buffer.from(seen ?? []).equals(body)).toBe(true);
  server.close();
});
