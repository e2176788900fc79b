import { randomBytes } from 'node:crypto';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { LocalCalendar } from '../../scripts/local/calendar.ts';
import { parseHeader } from '../../src/core/bitcoin-header.ts';
import { toHex } from '../../src/core/bytes.ts';
import { type Line, timestampLines } from '../../src/ots/line.ts';
import { parseTimestamp } from '../../src/ots/serialization.ts';
import type { TestBitcoin } from '../support/bitcoin.ts';
import { testBitcoin, testCalendar } from '../support/bitcoin.ts';

/** Submits a digest. @returns the one line of the answer */
async function submit({ url }: LocalCalendar, digest: Uint8Array): Promise<Line> {
  const response = await fetch(`${url}/digest`, { method: 'POST', body: new Uint8Array(digest) });
  expect(response.status).toBe(200);
  return lineOf(new Uint8Array(await response.arrayBuffer()), digest);
}

/** What is known of a commitment: its one line, or the text of a 404. */
async function ask({ url }: LocalCalendar, commitment: Uint8Array): Promise<Line | string> {
  const response = await fetch(`${url}/timestamp/${toHex(commitment)}`);
  if (response.status === 404) return response.text();
  return lineOf(new Uint8Array(await response.arrayBuffer()), commitment);
}

function lineOf(answer: Uint8Array, message: Uint8Array): Line {
  const [line, ...more] = timestampLines(parseTimestamp(answer, message));
  if (line === undefined || more.length > 0) throw new Error('not one line');
  return line;
}

/** The height of the block whose merkle root the line ends in, as the node has it. */
async function blockOf(node: TestBitcoin, line: Line | string): Promise<number> {
  if (typeof line === 'string' || line.attestation.kind !== 'bitcoin') throw new Error(`not confirmed: ${line}`);
  const { height } = line.attestation;
  expect(parseHeader(await node.header(height)).merkleRoot).toEqual(line.message);
  return height;
}

it('leads what it took to the merkle root of a block, any number together', async () => {
  await using node = await testBitcoin();
  await using calendar = await testCalendar(node);
  const digests = Array.from({ length: 5 }, (_, i) => new Uint8Array(randomBytes(i === 0 ? 1 : 64)));
  const promises = await Promise.all(digests.map((digest) => submit(calendar, digest)));
  for (const { attestation, message } of promises) {
    expect(attestation).toEqual({ kind: 'pending', uri: calendar.url });
    expect(await ask(calendar, message)).toMatch(/^Pending/);
  }
  const before = node.height;
  await calendar.turn();
  for (const { message } of promises) {
    expect(await blockOf(node, await ask(calendar, message))).toBe(before + 1);
  }
});

it('mines no more once all it stamped is deep enough', async () => {
  await using node = await testBitcoin();
  await using calendar = await testCalendar(node, { depth: 3 });
  const before = node.height;
  await calendar.turn();
  expect(node.height).toBe(before);
  await submit(calendar, randomBytes(32));
  for (let i = 0; i < 6; i++) await calendar.turn();
  expect(node.height).toBe(before + 3);
});

it('mines by itself when it has an interval', async () => {
  await using node = await testBitcoin();
  await using calendar = await testCalendar(node, { interval: 20 });
  const { message } = await submit(calendar, randomBytes(32));
  await expect.poll(async () => typeof (await ask(calendar, message)), { timeout: 120_000 }).toBe('object');
});

it('keeps its promises when it is started anew, stamped or not', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'antequem-calendar-'));
  const book = join(dataDir, 'calendar.jsonl');
  const commitments: Uint8Array[] = [];
  {
    await using node = await testBitcoin({ dataDir });
    await using calendar = await testCalendar(node, { book });
    commitments.push((await submit(calendar, randomBytes(32))).message);
    await calendar.turn();
    commitments.push((await submit(calendar, randomBytes(32))).message);
  }
  // A kill in the middle of a line, of which nobody was told.
  appendFileSync(book, '{"commitment":"00');
  {
    await using node = await testBitcoin({ dataDir });
    await using calendar = await testCalendar(node, { book });
    await submit(calendar, randomBytes(32));
    await calendar.turn();
    for (const commitment of commitments) await blockOf(node, await ask(calendar, commitment));
  }
  await using node = await testBitcoin({ dataDir });
  await using calendar = await testCalendar(node, { book });
  for (const commitment of commitments) await blockOf(node, await ask(calendar, commitment));
  rmSync(dataDir, { recursive: true });
});

it('leads to the new block after a reorganisation, and stamps again what was forgotten', async () => {
  await using node = await testBitcoin();
  await using calendar = await testCalendar(node);
  const commitments: Uint8Array[] = [];
  for (let i = 0; i < 2; i++) {
    commitments.push((await submit(calendar, randomBytes(32))).message);
    await calendar.turn();
  }
  const { height } = node;
  await node.reorganize(2);
  for (const commitment of commitments) expect(await ask(calendar, commitment)).toMatch(/^Pending/);
  await calendar.turn();
  for (const commitment of commitments) {
    expect(await blockOf(node, await ask(calendar, commitment))).toBe(height + 2);
  }
  await node.invalidate(1);
  for (const commitment of commitments) expect(await ask(calendar, commitment)).toMatch(/^Pending/);
  await calendar.turn();
  for (const commitment of commitments) {
    expect(await blockOf(node, await ask(calendar, commitment))).toBe(height + 2);
  }
});

it.each([
  ['nothing', 'POST', '/digest', ''],
  ['65 bytes', 'POST', '/digest', 'x'.repeat(65)],
  ['a commitment that is no hex', 'GET', '/timestamp/0g', undefined],
  ['half a byte', 'GET', '/timestamp/abc', undefined],
  ['257 bytes', 'GET', `/timestamp/${'00'.repeat(257)}`, undefined],
  ['a commitment it never made', 'GET', `/timestamp/${'00'.repeat(44)}`, undefined],
  ['a digest by GET', 'GET', '/digest', undefined],
])('does not take %s', async (_what, method, path, body) => {
  await using node = await testBitcoin();
  await using calendar = await testCalendar(node);
  const response = await fetch(`${calendar.url}${path}`, { method, ...(body === undefined ? {} : { body }) });
  expect([400, 404]).toContain(response.status);
  await calendar.turn();
  expect(node.waiting).toBe(0);
});
