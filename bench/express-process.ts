// The limit that the API is held against: bare Express that takes the same bodies and sends answers of the same size.

import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { z } from 'zod';
import { tellUsage } from './usage.ts';

const app = express();
app.disable('x-powered-by').disable('etag');
app.post('/v1/logs/:log/entries', express.raw({ type: () => true, limit: 8 << 20 }), (_request, response) => {
  response.status(201).json({
    log: 'bench.local/logs/bench',
    index: 123456,
    count: 1,
    digest: 'a'.repeat(64),
    leafHash: 'b'.repeat(64),
    receivedAt: '2026-01-01T00:00:00.000Z',
    receipt: '/v1/logs/bench/entries/123456/receipt',
  });
});
/** What a GET is answered with, by its path: the bodies and types that the service sent. */
const answers = z
  .record(z.string(), z.object({ type: z.string(), encoding: z.nullable(z.string()), body: z.string() }))
  .parse(process.argv[2] === undefined ? {} : JSON.parse(readFileSync(process.argv[2], 'utf8')));
const bodies = new Map(
  Object.entries(answers).map(([path, answer]) => [path, { ...answer, body: Buffer.from(answer.body, 'base64') }]),
);
app.get('/*path', (request, response) => {
  const answer = bodies.get(request.url);
  if (answer === undefined) return void response.status(404).end();
  response.set('Content-Type', answer.type);
  if (answer.encoding !== null) response.set('Content-Encoding', answer.encoding);
  response.send(answer.body);
});
const server = app.listen(0, '127.0.0.1', () => {
  const address = server.address() as AddressInfo;
  process.send?.({ url: `http://127.0.0.1:${address.port}` });
});
process.on('message', (message) => (message === 'usage' ? tellUsage() : process.exit(0)));
