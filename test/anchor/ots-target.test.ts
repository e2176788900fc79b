import { expect, test } from 'vitest';
import { receiptAnchors, roundAnchors } from '../../src/anchor/anchors.ts';
import { parseHeader } from '../../src/core/bitcoin-header.ts';
import { fromBase64, fromHex, toHex } from '../../src/core/bytes.ts';
import { KINDS } from '../../src/kinds.ts';
import { timestampLines } from '../../src/ots/line.ts';
import { UNHURRIED } from '../../src/ots/pace.ts';
import { parseTimestamp, serializeTimestamp } from '../../src/ots/serialization.ts';
import { mergeTimestamps } from '../../src/ots/timestamp.ts';
import { readBacklog } from '../support/backlog.ts';
import { type OtsGround, otsGround, until } from '../support/ots.ts';
import { FAST } from '../support/ots-pace.ts';

const statusOf = async (ground: OtsGround, round: number): Promise<string | undefined> =>
  (await roundAnchors(KINDS, ground.database, round))[0]?.status;

async function anchorOf(ground: OtsGround, round: number) {
  const [anchor] = await receiptAnchors(KINDS, ground.database, round);
  if (anchor?.type !== 'opentimestamps') throw new Error('no anchor');
  return anchor;
}

/** Of the attestations that the receipt bears. */
async function kindsOf(ground: OtsGround, round: number): Promise<string[]> {
  const { rows } = await ground.database.query<{ root: Buffer }>('SELECT root FROM rounds WHERE number = $1', [round]);
  const { timestamp } = await anchorOf(ground, round);
  const read = parseTimestamp(fromBase64(timestamp), new Uint8Array(rows[0]?.root ?? []));
  return [...timestampLines(read)].map(({ attestation }) => attestation.kind).sort();
}

function nonEmpty<T>(items: readonly T[]): [T, ...T[]] {
  const [first, ...rest] = items;
  if (first === undefined) throw new Error('empty');
  return [first, ...rest];
}

test('a round goes to all calendars at once, and from pending by included to confirmed', async () => {
  await using ground = await otsGround(3);
  const target = ground.target();
  await target.register();
  const [round = 0] = await ground.close(1);
  await target.advance([round]);
  expect(ground.calendars.map(({ asked }) => asked.length)).toEqual([1, 1, 1]);
  expect(await statusOf(ground, round)).toBe('submitted');
  expect((await anchorOf(ground, round)).status).toBe('pending');

  ground.stamp();
  await until(target, [round], async () => (await statusOf(ground, round)) === 'included');
  expect((await anchorOf(ground, round)).status).toBe('pending');
  ground.mine(6);
  await until(target, [round], async () => (await statusOf(ground, round)) === 'finalized');
  await until(target, [round], async () => ((await anchorOf(ground, round)).blocks ?? []).length === 3);

  const anchor = await anchorOf(ground, round);
  const { rows } = await ground.database.query<{ root: Buffer }>('SELECT root FROM rounds');
  const root = new Uint8Array(rows[0]?.root ?? []);
  const lines = [...timestampLines(parseTimestamp(fromBase64(anchor.timestamp), root))];
  expect(lines.map(({ attestation }) => attestation.kind)).toEqual(['bitcoin', 'bitcoin', 'bitcoin']);
  for (const { chain, height, header } of anchor.blocks ?? []) {
    expect(chain).toBe(target.chain);
    expect(header).toBe(toHex(ground.headers[height] ?? new Uint8Array()));
    const line = lines.find(({ attestation }) => 'height' in attestation && attestation.height === height);
    expect(parseHeader(fromHex(header)).merkleRoot).toEqual(line?.message);
  }
  expect(await target.advance([round])).toEqual(new Map([[round, null]]));
  expect(await readBacklog(ground.database)).toMatchObject([{ unfinished: 0 }]);
});

test('one that is enough is enough, and the others are asked on and on', async () => {
  await using ground = await otsGround(3);
  const [, second, third] = ground.calendars;
  if (second === undefined || third === undefined) throw new Error('no calendars');
  for (const calendar of [second, third])
    calendar.behaviour = (_request, response) => void response.writeHead(503).end();
  const target = ground.target();
  await target.register();
  const [round = 0] = await ground.close(1);
  await target.advance([round]);
  expect((await roundAnchors(KINDS, ground.database, round))[0]).toMatchObject({
    status: 'pending',
    problem: '1 of the 2 calendars that are enough have answered',
  });
  // What one promised can be shown all the same.
  expect((await anchorOf(ground, round)).status).toBe('pending');
  second.behaviour = null;
  await until(target, [round], async () => (await statusOf(ground, round)) === 'submitted');
  ground.stamp();
  ground.mine(6);
  await until(target, [round], async () => (await anchorOf(ground, round)).status === 'confirmed');
  const before = third.asked.length;
  await until(target, [round], async () => third.asked.length > before);
  third.behaviour = null;
  await until(target, [round], async () => third.asked.some((each) => each.startsWith('GET')));
  ground.stamp();
  ground.mine(6);
  await until(target, [round], async () => ((await anchorOf(ground, round)).blocks ?? []).length === 3);
  expect(await target.advance([round])).toEqual(new Map([[round, null]]));
});

test('without a source of headers the whole proof is stored, and says that it is not confirmed', async () => {
  await using ground = await otsGround(2);
  const blind = ground.target({ source: null });
  await blind.register();
  const [round = 0] = await ground.close(1);
  await blind.advance([round]);
  ground.stamp();
  ground.mine(6);
  await until(blind, [round], async () => (await blind.advance([round])).get(round) === null);
  expect((await roundAnchors(KINDS, ground.database, round))[0]).toMatchObject({
    status: 'submitted',
    problem: expect.stringContaining('no source of Bitcoin headers is configured'),
    blocks: [{ state: 'unseen' }, { state: 'unseen' }],
  });
  const anchor = await anchorOf(ground, round);
  expect([anchor.status, anchor.blocks]).toEqual(['pending', undefined]);
  expect(await kindsOf(ground, round)).toEqual(['bitcoin', 'bitcoin']);
  expect(await blind.unfinished(10)).toEqual([]);
  expect(await blind.newestFinalBlock()).toBeNull();

  const seeing = ground.target();
  await seeing.register();
  expect(await seeing.unfinished(10)).toEqual([round]);
  await until(seeing, [round], async () => (await statusOf(ground, round)) === 'finalized');
});

test('every promise of one answer is kept, by whoever is configured; the rest once that is', async () => {
  await using ground = await otsGround(3);
  const [pool, one, two] = ground.calendars;
  if (pool === undefined || one === undefined || two === undefined) throw new Error('no calendars');
  const promises = new Map<string, Uint8Array>();
  // An aggregator that has two calendars stamp what it is given.
  pool.behaviour = async (request, response) => {
    if (request.method !== 'POST') return void response.writeHead(404).end();
    const root = fromHex(pool.asked.at(-1)?.slice('POST '.length) ?? '');
    const parts = await Promise.all(
      [one, two].map(async ({ url }) => {
        const answer = await fetch(`${url}/digest`, { method: 'POST', body: new Uint8Array(root) });
        return parseTimestamp(new Uint8Array(await answer.arrayBuffer()), root);
      }),
    );
    promises.set('both', serializeTimestamp(mergeTimestamps(...nonEmpty(parts))));
    response.end(promises.get('both'));
  };
  const narrow = ground.target({ calendars: [{ url: pool.url, uris: [one.url] }], minCalendars: 1 });
  await narrow.register();
  const [round = 0] = await ground.close(1);
  await narrow.advance([round]);
  ground.stamp();
  ground.mine(6);
  await until(narrow, [round], async () => (await statusOf(ground, round)) === 'finalized');
  expect(two.asked.filter((each) => each.startsWith('GET'))).toEqual([]);
  expect(await kindsOf(ground, round)).toEqual(['bitcoin', 'pending']);

  const wide = ground.target({ calendars: [{ url: pool.url, uris: [one.url, two.url] }], minCalendars: 1 });
  await wide.register();
  await until(wide, [round], async () => (await kindsOf(ground, round)).join() === 'bitcoin,bitcoin');
  expect(pool.asked).toHaveLength(1);
});

test('who answers for a calendar is asked when that does not answer', async () => {
  await using ground = await otsGround(2);
  const [calendar, moved] = ground.calendars;
  if (calendar === undefined || moved === undefined) throw new Error('no calendars');
  // As it is after a move: its earlier answers name where it was.
  calendar.uri = moved.url;
  moved.behaviour = (_request, response) => void response.destroy();
  const target = ground.target({ calendars: [{ url: calendar.url, uris: [moved.url] }], minCalendars: 1 });
  await target.register();
  const [round = 0] = await ground.close(1);
  await target.advance([round]);
  ground.stamp();
  ground.mine(6);
  await until(target, [round], async () => (await statusOf(ground, round)) === 'finalized');
  expect(moved.asked.every((each) => each.startsWith('GET'))).toBe(true);
});

test('two processes at once: every calendar gets every root once', async () => {
  await using ground = await otsGround(2);
  // None of them is taken for dead, however slow the machine is.
  const pace = { ...FAST, lease: 60_000, lookup: 60_000 };
  const targets = [ground.target({ pace }), ground.target({ pace }), ground.target({ pace })];
  await Promise.all(targets.map((target) => target.register()));
  const rounds = await ground.close(30);
  await Promise.all(targets.map((target) => target.advance(rounds)));
  await Promise.all(targets.map((target) => target.advance(rounds)));
  for (const { asked } of ground.calendars) {
    const posts = asked.filter((each) => each.startsWith('POST'));
    expect([posts.length, new Set(posts).size]).toEqual([30, 30]);
  }
  ground.stamp();
  ground.mine(6);
  await Promise.all(
    targets.map((target) =>
      until(target, rounds, async () => (await readBacklog(ground.database))[0]?.unfinished === 0),
    ),
  );
  const { rows } = await ground.database.query('SELECT FROM anchor_history');
  expect(rows).toEqual([]);
});

test('a block that is contradicted and comes back is confirmed without the calendar', async () => {
  await using ground = await otsGround(1);
  const target = ground.target();
  await target.register();
  const [round = 0] = await ground.close(1);
  await target.advance([round]);
  ground.stamp();
  ground.mine(6);
  await until(target, [round], async () => (await statusOf(ground, round)) === 'finalized');
  const chain = [...ground.headers];
  ground.headers.length = 1;
  ground.mine(chain.length);
  await until(target, [round], async () => (await statusOf(ground, round)) === 'submitted');
  for (const calendar of ground.calendars)
    calendar.behaviour = (_request, response) => void response.writeHead(500).end();
  ground.headers.splice(0, ground.headers.length, ...chain);
  await until(target, [round], async () => (await statusOf(ground, round)) === 'finalized');
  expect(await target.advance([round])).toEqual(new Map([[round, null]]));
});

test('calendars are asked ever more rarely, and never given up', async () => {
  await using ground = await otsGround(1);
  let now = Date.now();
  const target = ground.target({ pace: { ...UNHURRIED, timeout: 2_000 }, now: () => now });
  await target.register();
  const [round = 0] = await ground.close(1);
  const waits: number[] = [];
  for (let i = 0; i < 12; i++) {
    const wait = (await target.advance([round])).get(round) ?? 0;
    waits.push(Math.round(wait / 1_000));
    expect(await target.unfinished(10)).toEqual([]);
    now += wait;
    expect(await target.unfinished(10)).toEqual([round]);
  }
  expect(waits).toEqual([300, 300, 450, 675, 1013, 1519, 2278, 3417, 3600, 3600, 3600, 3600]);
  for (const calendar of ground.calendars)
    calendar.behaviour = (_request, response) => void response.writeHead(500).end();
  const [next = 0] = await ground.close(1);
  const retries: number[] = [];
  for (let i = 0; i < 10; i++) {
    const wait = (await target.advance([next])).get(next) ?? 0;
    retries.push(Math.round(wait / 1_000));
    now += wait;
  }
  expect(retries).toEqual([5, 10, 20, 40, 80, 160, 320, 600, 600, 600]);
});

test('a calendar that fails is not asked for each round, and says itself when to come back', async () => {
  await using ground = await otsGround(1);
  const [calendar] = ground.calendars;
  if (calendar === undefined) throw new Error('no calendar');
  let now = Date.now();
  calendar.behaviour = (_request, response) => void response.writeHead(429, { 'retry-after': '120' }).end();
  const target = ground.target({ pace: UNHURRIED, now: () => now });
  await target.register();
  const rounds = await ground.close(50);
  const looks = await target.advance(rounds);
  expect(calendar.asked.length).toBeLessThanOrEqual(4);
  expect([...new Set([...looks.values()].map((wait) => Math.round((wait ?? 0) / 1_000)))]).toEqual([120]);
  calendar.behaviour = null;
  now += 120_000;
  await target.advance(rounds);
  expect(new Set(calendar.asked.filter((each) => each.startsWith('POST'))).size).toBe(50);
  expect(await statusOf(ground, rounds.at(-1) ?? 0)).toBe('submitted');
});

test('what a clock two days ahead put off is asked once the clock is right', async () => {
  await using ground = await otsGround(1);
  const [calendar] = ground.calendars;
  if (calendar === undefined) throw new Error('no calendar');
  calendar.behaviour = (_request, response) => void response.writeHead(503).end();
  const target = ground.target();
  await target.register();
  const [round = 0] = await ground.close(1);
  await target.advance([round]);
  await ground.database.query('UPDATE ots_requests SET next_at = next_at + $1::bigint', [2 * 24 * 3_600_000]);
  expect(await target.unfinished(10)).toEqual([]);
  await target.inspect();
  expect(await target.unfinished(10)).toEqual([round]);
});

test('tells what time its calendars show', async () => {
  await using ground = await otsGround(1);
  const [calendar] = ground.calendars;
  if (calendar === undefined) throw new Error('no calendar');
  const future = Date.now() + 3_600_000;
  calendar.behaviour = (_request, response) =>
    void response.writeHead(503, { date: new Date(future).toUTCString() }).end();
  const target = ground.target();
  expect(target.calendarTime).toBeNull();
  await target.register();
  await target.advance(await ground.close(1));
  expect(target.calendarTime ?? 0).toBeGreaterThanOrEqual(future - 1_000);
});

test('names the newest block that is deep enough as a beacon', async () => {
  await using ground = await otsGround(1);
  const target = ground.target();
  ground.mine(4);
  expect(await target.newestFinalBlock()).toBeNull();
  ground.mine(3);
  expect(await target.newestFinalBlock()).toEqual({
    chain: target.chain,
    height: 2,
    hash: fromHex(parseHeader(ground.headers[2] ?? new Uint8Array()).hash),
    time: parseHeader(ground.headers[2] ?? new Uint8Array()).time,
  });
  await ground.node[Symbol.asyncDispose]();
  expect(await target.newestFinalBlock()).toBeNull();
});

test('what is known of a target is not changed silently', async () => {
  await using ground = await otsGround(1);
  await ground.target().register();
  await ground.target().register();
  await expect(ground.target({ ephemeral: true }).register()).rejects.toMatchObject({ code: 'target-differs' });
  expect(() => ground.target({ chain: `bip122:${'0'.repeat(32)}` })).toThrow(
    expect.objectContaining({ code: 'bitcoin-chain' }),
  );
});
