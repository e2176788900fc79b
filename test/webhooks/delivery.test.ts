import { Webhook as Verifier } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { Deliverer, type DelivererOptions } from '../../src/webhooks/deliverer.ts';
import { EVENT_TYPES } from '../../src/webhooks/event.ts';
import { formatSecret } from '../../src/webhooks/signature.ts';
import { Webhooks } from '../../src/webhooks/webhooks.ts';
import { purgeEvents, recallDeliveries } from '../../src/webhooks/worker.ts';
import { closeRounds, silent } from '../support/anchoring.ts';
import { Clock } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { openReceiver, type Receiver } from '../support/receiver.ts';

const HOUR = 3_600_000;
const never = new AbortController().signal;
const secret = (id: string): Uint8Array => Buffer.from(id.padEnd(32).slice(0, 32));

let ground: TestDatabase;
let database: Database;
let clock: Clock;
let webhooks: Webhooks;
let receiver: Receiver;

beforeEach(async () => {
  ground = await testDatabase();
  database = openDatabase(ground.url);
  clock = new Clock();
  const random = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length));
  webhooks = new Webhooks({ database, now: clock.now, random, allowPrivate: true });
  receiver = await openReceiver();
});
afterEach(async () => {
  await receiver[Symbol.asyncDispose]();
  await database.end();
  await ground.drop();
});

const deliverer = (options: Partial<DelivererOptions> = {}): Deliverer =>
  new Deliverer({
    database,
    secret,
    allowPrivate: true,
    now: clock.now,
    random: () => 0.5,
    logger: silent,
    patience: 1_000,
    ...options,
  });

/** Delivers until nothing is due. */
async function deliver(id: string, by = deliverer()): Promise<void> {
  while (await by.advance(id, never));
}

const counts = async (id: string): Promise<[number, number, number]> => {
  const { deliveries } = await webhooks.read(id);
  return [deliveries.pending, deliveries.delivered, deliveries.dead];
};

it('a delivery that was delayed by a clock two days ahead is due once the clock is right', async () => {
  const { id } = await webhooks.create({ url: receiver.url });
  await closeRounds(database, 1);
  const fortnight = clock.now() + 14 * 24 * HOUR;
  await database.query('UPDATE webhook_deliveries SET due_at = $1', [fortnight]);
  await database.query('UPDATE webhooks SET paused_until = $1', [fortnight]);
  await deliver(id);
  expect(receiver.received).toHaveLength(0);
  await recallDeliveries(database, clock.now());
  await deliver(id);
  expect(receiver.received).toHaveLength(1);
  // What a delivery is put off by as a rule stays.
  await closeRounds(database, 1);
  await database.query("UPDATE webhook_deliveries SET due_at = $1 WHERE status = 'pending'", [clock.now() + 26 * HOUR]);
  await recallDeliveries(database, clock.now());
  await deliver(id);
  expect(receiver.received).toHaveLength(1);
});

describe('events', () => {
  it('reach the webhooks that subscribed to them, signed, each with its own id and data', async () => {
    const all = await webhooks.create({ url: receiver.url });
    const some = await webhooks.create({ url: receiver.url, events: ['anchor.finalized'] });
    expect(all.events).toEqual(EVENT_TYPES);
    await closeRounds(database, 3);
    await deliver(all.id);
    await deliver(some.id);
    expect(receiver.received.map(({ data }) => data.number).sort()).toEqual([1, 2, 3]);
    expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(3);
    for (const { headers, body } of receiver.received) {
      expect(new Verifier(formatSecret(secret(all.id))).verify(body, headers)).toMatchObject({
        type: 'round.closed',
        timestamp: expect.stringMatching(/^2023-11-14T22:13:20\.00\dZ$/),
        data: { root: expect.stringMatching(/^[0-9a-f]{64}$/), size: 1, closedAt: expect.stringMatching(/^2023-/) },
      });
    }
    expect(await counts(all.id)).toEqual([0, 3, 0]);
  });

  it('name the logs that the round took in, from which size to which: at most 500', async () => {
    const { id } = await webhooks.create({ url: receiver.url, events: ['round.closed'] });
    await closeRounds(database, 2);
    await database.query(
      `INSERT INTO logs (name, origin, log_id, blinded, created_at)
       SELECT 'log-' || n, 'log.test/logs/log-' || n, sha256(n::text::bytea), true, 0 FROM generate_series(1, 501) n`,
    );
    const take = (round: number, size: number, where: string): Promise<unknown> =>
      database.query(
        `WITH leaves AS (SELECT log_id, id, row_number() OVER (ORDER BY id) AS n FROM logs WHERE name ${where}),
              packed AS (INSERT INTO packed_leaves (round, link, checkpoints, digests)
                         SELECT $1, '', string_agg('\\x81' || log_id || int8send($2::bigint) || sha256(''), '' ORDER BY n), '' FROM leaves)
         INSERT INTO round_logs (size, round, log, index) SELECT $2, $1, id, n FROM leaves`,
        [round, size],
      );
    await take(1, 3, "IN ('log-1', 'log-2')");
    await take(2, 7, "LIKE 'log-%'");
    await deliver(id);
    const [first, second] = receiver.received.toSorted((a, b) => Number(a.data.number) - Number(b.data.number));
    expect(first?.data).toMatchObject({
      logs: [
        { log: 'log-1', from: 0, size: 3 },
        { log: 'log-2', from: 0, size: 3 },
      ],
      moreLogs: false,
    });
    expect(second?.data).toMatchObject({
      logs: expect.arrayContaining([
        { log: 'log-1', from: 3, size: 7 },
        { log: 'log-3', from: 0, size: 7 },
      ]),
      moreLogs: true,
    });
    expect(second?.data.logs).toHaveLength(500);
  });

  it('of a transaction that is rolled back are not sent', async () => {
    const { id } = await webhooks.create({ url: receiver.url });
    const tx = await database.connect();
    await tx.query('BEGIN');
    await tx.query(
      `INSERT INTO rounds (number, closed_at, previous_root, root, size, beacons) VALUES (1, 1, sha256(''), sha256('1'), 1, '[]')`,
    );
    await tx.query('ROLLBACK');
    tx.release();
    expect(await counts(id)).toEqual([0, 0, 0]);
  });

  it('report the progress of anchors', async () => {
    const { id } = await webhooks.create({ url: receiver.url });
    await closeRounds(database, 1);
    await database.query(
      `INSERT INTO targets (name, chain, contract, mode, ephemeral, first_round, created_at)
       VALUES ('main', 'eip155:1', '0x' || repeat('ab', 20), 'anchor', false, 1, 0)`,
    );
    await database.query("INSERT INTO anchors (target, round, created_at, updated_at) VALUES ('main', 1, 5, 5)");
    const move = (set: string): Promise<unknown> => database.query(`UPDATE anchors SET ${set} WHERE round = 1`);
    const block = (byte: string): string =>
      `block_number = 7, block_hash = decode(repeat('${byte}', 32), 'hex'), block_time = 1700000001000`;
    await move("status = 'submitted', transaction = decode(repeat('cd', 32), 'hex'), updated_at = 6");
    await move(`status = 'included', ${block('0a')}, updated_at = 7`);
    await move('updated_at = 8');
    await database.query(
      `INSERT INTO anchor_history (at, event, target, round, instance, status, transaction, block_number, block_hash, block_time)
       SELECT 9, 'reorganized', target, round, 1, status, transaction, block_number, block_hash, block_time FROM anchors`,
    );
    await move(`${block('0b')}, updated_at = 9`);
    await move("status = 'finalized', finalized_at = 10, updated_at = 10");
    const stop = "stopped_at = 11, stop_code = 'nonce-foreign', stop_reason = 'somebody else used it'";
    await database.query(`UPDATE targets SET ${stop} WHERE name = 'main'`);
    await database.query(`UPDATE targets SET ${stop} WHERE name = 'main'`);
    const told = (): unknown[] =>
      receiver.received
        .filter(({ type }) => type !== 'round.closed')
        .map(({ body }): unknown => JSON.parse(body))
        .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
    const anchor = (hash: string): object => ({
      type: 'evm',
      round: 1,
      root: expect.stringMatching(/^[0-9a-f]{64}$/),
      target: 'main',
      chain: 'eip155:1',
      contract: `0x${'ab'.repeat(20)}`,
      transaction: `0x${'cd'.repeat(32)}`,
      block: { number: 7, hash: `0x${hash.repeat(32)}`, time: '2023-11-14T22:13:21.000Z' },
      logs: [],
      moreLogs: false,
    });
    await database.query(
      `INSERT INTO targets (name, kind, chain, ephemeral, first_round, created_at)
       VALUES ('ots', 'opentimestamps', 'bip122:000000000019d6689c085ae165831e93', false, 1, 0)`,
    );
    await database.query(
      "INSERT INTO anchors (target, kind, round, created_at, updated_at) VALUES ('ots', 'opentimestamps', 1, 12, 12)",
    );
    await database.query(
      `UPDATE anchors SET status = 'finalized', ${block('0c')}, finalized_at = 12 WHERE target = 'ots'`,
    );
    const at = (ms: string): string => `1970-01-01T00:00:00.0${ms}Z`;
    await deliver(id);
    expect(told()).toEqual([
      { type: 'anchor.finalized', timestamp: at('10'), data: anchor('0b') },
      {
        type: 'anchor.finalized',
        timestamp: at('12'),
        data: {
          ...anchor('0c'),
          type: 'opentimestamps',
          target: 'ots',
          chain: 'bip122:000000000019d6689c085ae165831e93',
          contract: null,
          transaction: null,
          block: { number: 7, hash: '0c'.repeat(32), time: '2023-11-14T22:13:21.000Z' },
        },
      },
      { type: 'anchor.included', timestamp: at('07'), data: anchor('0a') },
      { type: 'anchor.included', timestamp: at('09'), data: anchor('0b') },
      { type: 'anchor.reorganised', timestamp: at('09'), data: anchor('0a') },
      {
        type: 'anchor.stopped',
        timestamp: at('11'),
        data: { target: 'main', chain: 'eip155:1', code: 'nonce-foreign', reason: 'somebody else used it' },
      },
    ]);
  });
});

describe('a receiver that fails', () => {
  it('is retried for three days at growing intervals, with the same id and a fresh signature; then the delivery is dead', async () => {
    const { id } = await webhooks.create({ url: receiver.url, events: ['round.closed'] });
    await closeRounds(database, 1);
    receiver.answer = (_, response) => void response.writeHead(500).end();
    const begin = clock.now();
    const times: number[] = [];
    while ((await counts(id))[0] === 1) {
      await deliver(id);
      times.push(clock.now() - begin);
      expect(receiver.received).toHaveLength(times.length);
      const [delivery] = await webhooks.deliveries(id, { status: null, before: 2 ** 40, limit: 1 });
      if (delivery?.dueAt) clock.shift += delivery.dueAt - clock.now();
      expect(times.length).toBeLessThan(20);
    }
    expect(times).toHaveLength(10);
    expect((times.at(-1) ?? 0) / HOUR).toBeGreaterThan(72);
    expect((times.at(-1) ?? 0) / HOUR).toBeLessThan(96);
    const waits = times.slice(1).map((time, i) => time - (times[i] ?? 0));
    expect(waits).toEqual(waits.toSorted((a, b) => a - b));
    expect(new Set(receiver.received.map((message) => message.id)).size).toBe(1);
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-timestamp'])).size).toBe(10);
    expect(await webhooks.deliveries(id, { status: 'dead', before: 2 ** 40, limit: 10 })).toMatchObject([
      { attempts: 10, answered: 500, problem: 'answered 500', dueAt: null },
    ]);
    // Once it is mended, the dead is brought again.
    receiver.answer = (_, response) => void response.writeHead(200).end('ok');
    expect(await webhooks.replay(id, { dead: true })).toBe(1);
    await deliver(id);
    expect(await counts(id)).toEqual([0, 1, 0]);
    expect(receiver.received.at(-1)?.id).toBe(receiver.received[0]?.id);
  });

  it('is not tried while it is unreachable, and gets all events at once when it is back', async () => {
    const { id } = await webhooks.create({ url: receiver.url, events: ['round.closed'] });
    await closeRounds(database, 20);
    receiver.answer = (_, response) => void response.writeHead(503).end();
    for (let i = 0; i < 5; i++) {
      await deliver(id);
      const { pausedUntil } = await webhooks.read(id);
      expect(pausedUntil).not.toBeNull();
      clock.shift += (pausedUntil ?? 0) - clock.now() + 1;
    }
    expect(receiver.received.length).toBeLessThanOrEqual(20);
    expect(await counts(id)).toEqual([20, 0, 0]);
    receiver.answer = (_, response) => void response.writeHead(204).end();
    receiver.received.length = 0;
    for (let i = 0; i < 5; i++) await deliver(id);
    expect(await counts(id)).toEqual([0, 20, 0]);
    expect(receiver.received).toHaveLength(20);
  });

  it('that is unreachable for four days loses its events, visibly', async () => {
    const { id } = await webhooks.create({ url: receiver.url, events: ['round.closed'] });
    await closeRounds(database, 12);
    clock.shift += 97 * HOUR;
    await deliver(id);
    expect(receiver.received).toHaveLength(0);
    expect(await counts(id)).toEqual([0, 0, 12]);
    expect((await webhooks.read(id)).problem).toBe('the receiver was away for too long');
    expect(await webhooks.replay(id, { since: 0 })).toBe(12);
    await deliver(id);
    expect(await counts(id)).toEqual([0, 12, 0]);
  });

  it('is given the time it asks for', async () => {
    const { id } = await webhooks.create({ url: receiver.url, events: ['round.closed'] });
    await closeRounds(database, 1);
    receiver.answer = (_, response) => void response.writeHead(429, { 'retry-after': '3600' }).end();
    await deliver(id);
    const [delivery] = await webhooks.deliveries(id, { status: 'pending', before: 2 ** 40, limit: 1 });
    expect((delivery?.dueAt ?? 0) - clock.now()).toBeGreaterThan(0.9 * HOUR);
  });

  it('that is gone (410) gets nothing more until a replay', async () => {
    const { id } = await webhooks.create({ url: receiver.url, events: ['round.closed'] });
    await closeRounds(database, 6);
    receiver.answer = (_, response) => void response.writeHead(410).end();
    await deliver(id);
    expect(await counts(id)).toEqual([0, 0, 6]);
    expect((await webhooks.read(id)).disabledAt).not.toBeNull();
    const before = receiver.received.length;
    await closeRounds(database, 1);
    await deliver(id);
    expect(receiver.received).toHaveLength(before);
    receiver.answer = (_, response) => void response.writeHead(204).end();
    expect(await webhooks.replay(id, { dead: true })).toBe(6);
    await deliver(id);
    expect(await counts(id)).toEqual([0, 6, 0]);
    expect((await webhooks.read(id)).disabledAt).toBeNull();
  });

  it('affects no other message: a message that is always refused does not delay the rest', async () => {
    const { id } = await webhooks.create({ url: receiver.url, events: ['round.closed'] });
    await closeRounds(database, 9);
    receiver.answer = ({ data }, response) => void response.writeHead(data.number === 1 ? 400 : 204).end();
    await deliver(id);
    expect(await counts(id)).toEqual([1, 8, 0]);
  });
});

describe('an attempt', () => {
  it('is made by one process at a time', async () => {
    const { id } = await webhooks.create({ url: receiver.url, events: ['round.closed'] });
    await closeRounds(database, 40);
    await Promise.all(Array.from({ length: 6 }, () => deliver(id)));
    expect(await counts(id)).toEqual([0, 40, 0]);
    expect(receiver.received).toHaveLength(40);
  });

  it('of a process that died is repeated', async () => {
    const { id } = await webhooks.create({ url: receiver.url, events: ['round.closed'] });
    await closeRounds(database, 3);
    const dying = openDatabase(ground.url);
    receiver.answer = (_, response) => {
      // Answered, but the process that asked cannot record it any more.
      void dying.end().catch(() => {});
      response.writeHead(204).end();
    };
    await expect(deliver(id, deliverer({ database: dying }))).rejects.toThrow();
    expect(await counts(id)).toEqual([3, 0, 0]);
    receiver.answer = (_, response) => void response.writeHead(204).end();
    await deliver(id);
    expect(await counts(id)).toEqual([3, 0, 0]);
    clock.shift += 2_001;
    await deliver(id);
    expect(await counts(id)).toEqual([0, 3, 0]);
    expect(new Set(receiver.received.map((message) => message.id)).size).toBe(3);
  });

  it('that is aborted by a stop does not count, and is due at once', async () => {
    const { id } = await webhooks.create({ url: receiver.url, events: ['round.closed'] });
    await closeRounds(database, 1);
    const stopping = new AbortController();
    receiver.answer = () => stopping.abort();
    await deliverer().advance(id, stopping.signal);
    expect(await webhooks.deliveries(id, { status: 'pending', before: 2 ** 40, limit: 1 })).toMatchObject([
      { attempts: 0, problem: null },
    ]);
    receiver.answer = (_, response) => void response.writeHead(204).end();
    await deliver(id);
    expect(await counts(id)).toEqual([0, 1, 0]);
  });
});

describe('what is kept', () => {
  it('is deleted with its webhook, and a month after its last delivery ended', async () => {
    const kept = await webhooks.create({ url: receiver.url, events: ['round.closed'] });
    const gone = await webhooks.create({ url: receiver.url, events: ['round.closed'] });
    await closeRounds(database, 2);
    await deliver(kept.id);
    await closeRounds(database, 1);
    await webhooks.delete(gone.id);
    await expect(webhooks.read(gone.id)).rejects.toMatchObject({ code: 'webhook-not-found' });
    await purgeEvents(database, clock.now());
    expect(await counts(kept.id)).toEqual([1, 2, 0]);
    await purgeEvents(database, clock.now() + 31 * 24 * HOUR);
    expect(await counts(kept.id)).toEqual([1, 0, 0]);
  });

  it('has a bound', async () => {
    for (let i = 0; i < 100; i++) await webhooks.create({ url: receiver.url });
    await expect(webhooks.create({ url: receiver.url })).rejects.toMatchObject({ code: 'webhooks-full' });
  });
});
