import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import express from 'express';
import { expect, it } from 'vitest';
import { BodyBudget, type PiecedBody, piecesReader } from '../../src/api/body.ts';

const read = piecesReader(8 << 20, new BodyBudget(64 << 20));

it.each([
  ['one chunk', [1_000], false],
  ['large chunks', [200_000, 200_000], false],
  ['chunks of all sizes', [10, 20, 70_000, 5, 40_000, 1, 1, 1], false],
  ['compressed', [300_000], true],
])('the memory of a body goes back at once, and no other: %s', async (_, sizes, isCompressed) => {
  const sent = sizes.map((size, i) => Buffer.alloc(size, 65 + i));
  let body: PiecedBody | null = null;
  let whole: Buffer | null = null;
  const app = express().post('/', async (request, response) => {
    body = await read(request, response);
    whole = Buffer.concat(body.pieces);
    response.end();
  });
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (const chunk of isCompressed ? [gzipSync(Buffer.concat(sent))] : sent) {
      yield chunk;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const headers = isCompressed ? { 'content-encoding': 'gzip' } : {};
  const answer = await fetch(url, { method: 'POST', headers, body: ReadableStream.from(chunks()), duplex: 'half' });
  expect(answer.status).toBe(200);
  expect(Buffer.concat(sent).equals(whole ?? Buffer.alloc(0))).toBe(true);

  const { pieces, release }: PiecedBody = body ?? { pieces: [], release: () => {} };
  const beside = Buffer.from('of the pool that small buffers share');
  expect(pieces.length).toBeGreaterThan(0);
  release();
  // What a decompressor made is not known to be used by nobody else.
  if (!isCompressed) expect(pieces.map(({ length }) => length)).toEqual(pieces.map(() => 0));
  expect(beside.toString()).toBe('of the pool that small buffers share');
  expect(Buffer.from('more of it').toString()).toBe('more of it');
  server.close();
});
