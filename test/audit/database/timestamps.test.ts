// What an audit says of calendars' answers: in order by a trusted source of headers, and altered by an administrator.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { addMissingAnchors } from '../../../src/anchor/jobs.ts';
import { nodeSource } from '../../../src/bitcoin/header-sources.ts';
import { BITCOIN, parseHeader } from '../../../src/core/bitcoin-header.ts';
import { openDatabase } from '../../../src/store/database.ts';
import { serveChain } from '../../bitcoin/chain-server.ts';
import { auditDatabase } from '../../support/audit.ts';
import { asAdministrator, copyOf } from '../../support/history.ts';
import { drafts, openInstance } from '../../support/instance.ts';
import { type OtsGround, otsGround, until } from '../../support/ots.ts';
import { type TestDatabase, testDatabase } from '../../support/postgres.ts';

let ground: OtsGround;
let original: TestDatabase;
const table: string[][] = [['attack', 'found by', 'round']];

const headers = () => [nodeSource(ground.node.url, BITCOIN)];

beforeAll(async () => {
  [ground, original] = await Promise.all([otsGround(2), testDatabase()]);
  const instance = await openInstance(original.url);
  const database = openDatabase(original.url, { connections: 6 });
  const target = ground.target({ database });
  await target.register();
  const log = await instance.makeLog('demo');
  const rounds: number[] = [];
  for (const what of ['first', 'second']) {
    await instance.appender.append(log, { drafts: drafts(3, what), idempotency: null });
    await instance.closeRound();
    rounds.push(...(await addMissingAnchors(database, target.name, Date.now())));
  }
  await target.advance(rounds);
  ground.stamp();
  ground.mine(8);
  const done = async (): Promise<boolean> =>
    [...(await target.advance(rounds)).values()].every((again) => again === null);
  await until(target, rounds, done);
  await database.end();
  await instance.end();
});

afterAll(async () => {
  await original?.drop();
  await ground?.[Symbol.asyncDispose]();
  const widths = [0, 1].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  console.log(table.map((row) => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')).join('\n'));
});

test('in order: proven by the headers alone, and without them the database is all there is', async () => {
  const proven = await auditDatabase(original.url, { headers: headers() });
  const block = ground.headers[1] ?? new Uint8Array();
  expect([proven.findings, proven.verdict.result]).toEqual([[], 'proven']);
  expect(proven.verdict.existedBefore).toEqual({
    time: new Date(parseHeader(block).time).toISOString(),
    tolerance: 7_200_000,
    chain: BITCOIN,
    block: { number: 1, hash: parseHeader(block).hash },
  });
  expect(proven.verdict.claims.find(({ code }) => code === 'anchors-final')).toMatchObject({
    grounds: 'bitcoin-node',
    chain: BITCOIN,
    says: expect.stringContaining('2 rounds of 2'),
  });
  const unproven = await auditDatabase(original.url);
  expect([unproven.findings, unproven.verdict.result]).toEqual([[], 'unproven']);
  expect(unproven.verdict.claims.find(({ chain }) => chain === BITCOIN)).toMatchObject({ code: 'no-source' });
});

test('a source that does not answer, or has not come so far, leaves it open', async () => {
  await using short = await serveChain(ground.headers.slice(0, 5));
  const behind = await auditDatabase(original.url, { headers: [nodeSource(short.url, BITCOIN)] });
  expect([behind.findings, behind.verdict.result]).toEqual([[], 'unproven']);
  const silent = await auditDatabase(original.url, { headers: [nodeSource('http://127.0.0.1:9', BITCOIN)] });
  expect([silent.findings, silent.verdict.result]).toEqual([[], 'unproven']);
  expect(silent.verdict.claims.map(({ code }) => code)).toContain('source-failed');
});

test('by a chain that has other blocks the anchors are missing', async () => {
  await using other = await serveChain([
    ground.headers[0] ?? new Uint8Array(),
    ...ground.headers.slice(2),
    ...ground.headers.slice(-6),
  ]);
  const { findings, verdict } = await auditDatabase(original.url, { headers: [nodeSource(other.url, BITCOIN)] });
  expect([findings[0]?.code, verdict.result]).toEqual(['anchor-missing', 'refuted']);
  table.push(['another chain', 'anchor-missing', String(findings[0]?.round)]);
});

test.each([
  {
    name: 'answer altered',
    work: `UPDATE ots_answers n SET answer = set_byte(answer, 5, 255 - get_byte(answer, 5)) FROM ots_requests q
           WHERE q.id = n.request AND q.round = 2 AND q.kind = 'submit'`,
    code: 'timestamp-broken',
    round: 2,
  },
  {
    name: 'answers deleted',
    work: `DELETE FROM ots_answers n USING ots_requests q WHERE q.id = n.request AND q.round = 2`,
    code: 'timestamp-broken',
    round: 2,
  },
  {
    name: 'header of another block',
    work: `UPDATE ots_attestations t SET block_hash = o.block_hash FROM ots_attestations o
           WHERE t.height = 1 AND o.height = 2`,
    code: 'timestamp-broken',
    round: 1,
  },
  {
    name: 'header altered',
    work: `UPDATE ots_blocks SET header = set_byte(header, 0, 255 - get_byte(header, 0))
           WHERE block_hash = (SELECT block_hash FROM ots_attestations WHERE height = 1 LIMIT 1)`,
    code: 'timestamp-broken',
    round: 1,
  },
  {
    name: 'header deleted',
    work: `DELETE FROM ots_blocks WHERE block_hash = (SELECT block_hash FROM ots_attestations WHERE height = 1 LIMIT 1)`,
    code: 'timestamp-broken',
    round: 1,
  },
  {
    name: 'time of the block altered',
    work: 'UPDATE anchors SET block_time = block_time - 86400000 WHERE round = 1',
    code: 'anchor-differs',
    round: 1,
  },
  {
    name: 'called confirmed',
    work: `UPDATE ots_attestations SET state = 'included' WHERE request IN (SELECT id FROM ots_requests WHERE round = 2)`,
    code: 'anchor-differs',
    round: 2,
  },
])('$name', async ({ name, work, code, round }) => {
  const copy = await copyOf(original);
  try {
    await asAdministrator(copy.url, async (client) => void (await client.query(work)));
    const { findings, verdict } = await auditDatabase(copy.url, { headers: headers() });
    expect(findings[0]).toMatchObject({ code, round });
    expect(verdict.result).toBe('refuted');
    table.push([name, code, String(findings[0]?.round)]);
  } finally {
    await copy.drop();
  }
});
