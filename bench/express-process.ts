// The limit that the API is held against: bare Express that takes the same bodies and sends answers of the same size.

import type { AddressInfo } from 'node:net';
import express from 'express';

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
const server = app.listen(0, '127.0.0.1', () => {
  const address = server.address() as AddressInfo;
  process.send?.({ url: `http://127.0.0.1:${address.port}` });
});
process.on('message', () => process.exit(0));
