import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { lastRound, leavesOf, listRounds, type Round, roundByNumber } from '../../src/anchor/rounds.ts';
import { compareBytes, concat, toHex } from '../../src/core/bytes.ts';
import { parseCheckpoint } from '../../src/core/checkpoint.ts';
import { hashLeaf, MerkleTree } from '../../src/core/merkle.ts';
import { checkNote, parseNote, parseVerifierKey } from '../../src/core/note.ts';
import { logId } from '../../src/core/origin.ts';
import { type Beacon, firstPreviousRoot, parseCheckpointLeaf, parseLink } from '../../src/core/round.ts';
import type { Log } from '../../src/log/log.ts';
import { Clock, type Instance, ORIGIN, openInstance, SEED } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { recompute } from '../support/recompute.ts';

let server: TestDatabase;
let one: Instance;
let two: Instance;
const clock = new Clock();

beforeEach(async () => {
  clock.shift = 0;
  server = await testDatabase();
  [one, two] = [await openInstance(server.url, { clock }), await openInstance(server.url)];
});

afterEach(async () => {
  await Promise.all([one?.end(), two?.end()]);
  await server?.drop();
});

const beacon = (chain: string, height: number): Beacon => ({
  chain,
  height,
  hash: sha256(new Uint8Array([height])),
});

const closed = async (instance: Instance, closing = {}): Promise<Round> => {
  const round = await instance.closeRound(closing);
  if (round === null) throw new Error('nothing was closed');
  return round;
};

/** Recomputes a round from its leaves; that the checkpoint of a leaf is signed is looked at for each `stride`th. */
async function checkRound(round: Round, stride = 1): Promise<{ logId: string; size: number }[]> {
  expect(await roundByNumber(two.database, round.number)).toEqual(round);
  const leaves = await leavesOf(two.database, round);
  expect(toHex(new MerkleTree(concat(...leaves.map(hashLeaf))).root())).toBe(toHex(round.root));
  const [link = new Uint8Array(), ...others] = leaves;
  const { number, closedAt, previousRoot, beacons } = round;
  expect(parseLink(link)).toEqual({ number, closedAt, previousRoot, beacons });
  const heads = others.map(parseCheckpointLeaf);
  for (const [i, head] of heads.entries()) {
    const before = heads[i - 1];
    if (before !== undefined) expect(compareBytes(before.logId, head.logId)).toBe(-1);
    if (i % stride !== 0) continue;
    const { rows } = await two.database.query<{ name: string }>('SELECT name FROM logs WHERE log_id = $1', [
      head.logId,
    ]);
    const log = await two.registry.find(rows[0]?.name ?? '');
    const signed = log === null ? null : await two.publisher.at(log, head.size);
    if (log === null || signed === null) throw new Error(`no checkpoint of leaf ${i + 1}`);
    const note = parseNote(signed.note);
    expect(parseCheckpoint(note.text)).toEqual({ origin: log.origin, size: head.size, root: head.root });
    expect(logId(log.origin)).toEqual(head.logId);
    expect(checkNote(note, parseVerifierKey(SEED.signer(log.origin).verifierKey))).toBe('verified');
  }
  return heads.map((head) => ({ logId: toHex(head.logId), size: head.size }));
}

const place = (log: Log, size: number) => ({ logId: toHex(log.logId), size });

describe('a round', () => {
  test('holds the heads of the logs that grew, sorted by id, signed and recorded in `_system`', async () => {
    const logs = await Promise.all(Array.from({ length: 9 }, (_, i) => one.makeLog(`log-${i}`)));
    const { system } = one.registry;
    for (const [i, log] of logs.slice(0, 8).entries()) {
      await one.append(log, ...Array.from({ length: i + 1 }, (_, n) => `${n}`));
    }
    const round = await closed(one);
    expect(round).toMatchObject({ number: 1, size: 10, beacons: [] });
    expect(toHex(round.previousRoot)).toBe(toHex(firstPreviousRoot(ORIGIN)));
    const heads = await checkRound(round);
    expect(heads).toEqual(
      [...logs.slice(0, 8).map((log, i) => place(log, i + 1)), place(system, 9)].sort((a, b) =>
        a.logId < b.logId ? -1 : 1,
      ),
    );
    const { rows } = await recompute(one.database, system);
    expect(JSON.parse(rows.at(-1)?.payload?.toString() ?? '')).toEqual({
      at: expect.any(String),
      act: 'round-closed',
      number: 1,
      root: toHex(round.root),
    });
  });

  test('is not closed with nothing new, nor for the growth of `_system` alone', async () => {
    expect(await one.closeRound()).toBeNull();
    const log = await one.makeLog('demo');
    expect(await one.closeRound()).toBeNull();
    await one.keys.create('k', ['read'], null);
    expect(await one.closeRound()).toBeNull();
    await one.append(log, 'a');
    await closed(one);
    expect(await one.closeRound()).toBeNull();
    expect(await two.closeRound()).toBeNull();
    await one.registry.create('other', { blinded: true });
    expect(await one.closeRound()).toBeNull();
    await two.append(log, 'b');
    expect(await closed(two)).toMatchObject({ number: 2 });
  });

  test('nobody asks chains for beacons while none is due', async () => {
    let asked = 0;
    const beacons = async () => {
      asked++;
      return [];
    };
    await one.closeRound({ beacons });
    expect(asked).toBe(0);
    await one.append(await one.makeLog('demo'), 'a');
    await one.closeRound({ beacons });
    expect(asked).toBe(1);
  });

  test('is linked to the one before, and each tells of all that grew since', async () => {
    const [a, b] = [await one.makeLog('a'), await one.makeLog('b')];
    const { system } = one.registry;
    await one.database.query(
      `INSERT INTO webhooks (id, url, description, events, created_at)
       VALUES ('wh_0123456789abcdef', 'https://hooks.example.org/', '', '{round.closed}', 0)`,
    );
    await one.append(a, 'x');
    const rounds = [await closed(one)];
    await one.append(b, 'x', 'y');
    rounds.push(await closed(two));
    await two.append(a, 'y');
    await two.append(b, 'z');
    rounds.push(await closed(one));
    let previous = firstPreviousRoot(ORIGIN);
    for (const [i, round] of rounds.entries()) {
      expect(round.number).toBe(i + 1);
      expect(toHex(round.previousRoot)).toBe(toHex(previous));
      previous = round.root;
    }
    const told = await one.database.query<{ root: string }>(
      `SELECT data ->> 'previousRoot' AS root FROM webhook_events ORDER BY id`,
    );
    expect(told.rows.map(({ root }) => root)).toEqual(rounds.map(({ previousRoot }) => toHex(previousRoot)));
    const sorted = (...heads: { logId: string; size: number }[]) => heads.sort((x, y) => (x.logId < y.logId ? -1 : 1));
    expect(await checkRound(rounds[0]!)).toEqual(sorted(place(a, 1), place(system, 2)));
    expect(await checkRound(rounds[1]!)).toEqual(sorted(place(b, 2), place(system, 3)));
    expect(await checkRound(rounds[2]!)).toEqual(sorted(place(a, 2), place(b, 3), place(system, 4)));
    const { number, closedAt, root } = rounds[2] ?? {};
    expect(await lastRound(one.database)).toEqual({ number, closedAt, root });
    expect((await listRounds(one.database, 3, 10)).map(({ number }) => number)).toEqual([2, 1]);
    expect((await listRounds(one.database, 4, 1)).map(({ number }) => number)).toEqual([3]);
    expect(await roundByNumber(one.database, 4)).toBeNull();
  });

  test('of the heartbeat is closed with nothing new, when its time has come and not before', async () => {
    const heartbeat = 30_000;
    const first = await closed(one, { heartbeat });
    expect(first).toMatchObject({ number: 1, size: 1 });
    expect(await checkRound(first)).toEqual([]);
    expect(await one.closeRound({ heartbeat })).toBeNull();
    clock.shift = 29_000;
    expect(await one.closeRound({ heartbeat })).toBeNull();
    clock.shift = 30_001;
    const second = await closed(one, { heartbeat });
    expect(await checkRound(second)).toEqual([place(one.registry.system, 1)]);
  });

  test('is dated by the earlier of two clocks, so that a worker that is ahead dates nothing ahead for all logs', async () => {
    await one.append(await one.makeLog('demo'), 'a');
    clock.shift = 40_000;
    const { closedAt } = await closed(one);
    expect(closedAt - Date.now()).toBeLessThan(1_000);
    clock.shift = 61_000;
    await two.append(await two.makeLog('other'), 'b');
    await expect(one.closeRound()).rejects.toMatchObject({ code: 'clock-skew' });
  });

  test('is closed no earlier than anything in it was received, and no earlier than the one before', async () => {
    const log = await one.makeLog('demo');
    clock.shift = 50_000;
    const { receivedAt } = await one.append(log, 'early');
    clock.shift = 0;
    const round = await closed(one);
    expect(round.closedAt).toBe(receivedAt);
    await two.append(await two.makeLog('other'), 'by a clock that is behind');
    clock.shift = -50_000;
    expect((await closed(one)).closedAt).toBe(receivedAt);
  });
});

describe('beacons', () => {
  const four = [1, 2, 3, 4].map((n) => beacon(`eip155:${n}`, n));

  test('are those that were had before the heads were read, three at most', async () => {
    const log = await one.makeLog('demo');
    await one.append(log, 'a');
    const beacons = async () => {
      await two.append(log, 'while asking');
      return four;
    };
    const round = await closed(one, { beacons });
    expect(round.beacons).toEqual(four.slice(0, 3));
    expect(await checkRound(round)).toContainEqual(place(log, 2));
  });

  test('that cannot be had keep the round from closing, not the logs from growing', async () => {
    const log = await one.makeLog('demo');
    await one.append(log, 'a');
    const beacons = async (): Promise<Beacon[]> => {
      throw new Error('no chain answers');
    };
    await expect(one.closeRound({ beacons })).rejects.toThrow('no chain answers');
    await one.append(log, 'b');
    expect(await checkRound(await closed(one))).toContainEqual(place(log, 2));
  });

  test('of a chain id that is none change nothing', async () => {
    await one.append(await one.makeLog('demo'), 'a');
    await expect(one.closeRound({ beacons: async () => [beacon('nonsense', 1)] })).rejects.toMatchObject({
      code: 'chain-id',
    });
    expect(await lastRound(one.database)).toBeNull();
    await checkRound(await closed(one));
  });
});

test('many that close at once close one round', async () => {
  const log = await one.makeLog('demo');
  for (let n = 1; n <= 6; n++) {
    await one.append(log, `${n}`);
    const rounds = await Promise.all([one, two, one, two, one].map((instance) => instance.closeRound()));
    const made = rounds.filter((round) => round !== null);
    expect(made).toHaveLength(1);
    expect(made[0]?.number).toBe(n);
    await checkRound(made[0]!);
  }
  expect((await listRounds(one.database, 1_000, 1_000)).map(({ number }) => number)).toEqual([6, 5, 4, 3, 2, 1]);
});

test('closing goes on under appends, and in the end every entry is in a round', async () => {
  const logs = await Promise.all(Array.from({ length: 12 }, (_, i) => one.makeLog(`log-${i}`)));
  let appending = true;
  const rounds: Round[] = [];
  const closer = (async () => {
    while (appending) {
      const round = await two.closeRound();
      if (round !== null) rounds.push(round);
    }
  })();
  const sizes = await Promise.all(
    logs.map(async (log, i) => {
      let n = 0;
      while (n < 15 || rounds.length < 2) await (i % 2 === 0 ? one : two).append(log, `${n++}`);
      return n;
    }),
  );
  appending = false;
  await closer;
  const last = await one.closeRound();
  if (last !== null) rounds.push(last);
  expect(rounds.length).toBeGreaterThan(1);
  const covered = new Map<string, number>();
  for (const round of rounds) {
    for (const { logId, size } of await checkRound(round)) {
      expect(size).toBeGreaterThan(covered.get(logId) ?? 0);
      covered.set(logId, size);
    }
  }
  expect(logs.map(({ logId }) => covered.get(toHex(logId)))).toEqual(sizes);
});

test('a pool of one connection is enough to close a round', async () => {
  const logs = await Promise.all(Array.from({ length: 3 }, (_, i) => one.makeLog(`log-${i}`)));
  for (const log of logs) await one.append(log, 'a');
  const narrow = await openInstance(server.url, { connections: 1 });
  expect(await checkRound(await closed(narrow))).toHaveLength(4);
  await narrow.end();
});

test('2,000 logs in one round', async () => {
  const names = Array.from({ length: 2_000 }, (_, i) => `log-${i}`);
  const origins = names.map((name) => `${ORIGIN}/logs/${name}`);
  await one.database.query(
    `WITH made AS (
       INSERT INTO logs (name, origin, log_id, blinded, created_at)
       SELECT name, origin, sha256(origin::bytea), true, 1 FROM unnest($1::text[], $2::text[]) AS u (name, origin)
       RETURNING id, origin
     ), heads AS (
       INSERT INTO log_heads
       SELECT id, 1 + n, sha256(origin::bytea), sha256(origin::bytea), 1
       FROM made JOIN unnest($2::text[]) WITH ORDINALITY AS o (origin, n) USING (origin)
     )
     INSERT INTO log_keys (log, number, public_key, created_at)
     SELECT id, 1, key, 1 FROM made JOIN unnest($2::text[], $3::bytea[]) AS k (origin, key) USING (origin)`,
    [names, origins, origins.map((origin) => Buffer.from(SEED.signer(origin).publicKey))],
  );
  const round = await closed(one);
  expect(round.size).toBe(2_001);
  expect(await checkRound(round, 40)).toHaveLength(2_000);
  // Of every fortieth leaf it was looked at whether a checkpoint is signed: no other is.
  const { rowCount } = await one.database.query('SELECT 1 FROM checkpoints');
  expect(rowCount).toBe(50);
  expect(await one.closeRound()).toBeNull();
});

describe('the trees of rounds', () => {
  test('are read once and again, also by many at the same time', async () => {
    await one.append(await one.makeLog('demo'), 'a');
    const round = await closed(one);
    const read = await Promise.all(Array.from({ length: 5 }, () => two.trees.read(1)));
    for (const each of read) expect(each.round).toEqual(round);
    expect(toHex((await two.trees.read(1)).tree.root())).toBe(toHex(round.root));
  });

  test('that are damaged are not given out', async () => {
    const log = await one.makeLog('demo');
    await one.append(log, 'a');
    const round = await closed(one);
    await one.append(log, 'b');
    await closed(one);
    await expect(one.trees.read(9)).rejects.toMatchObject({ code: 'round-damaged' });
    await one.database.query('ALTER TABLE rounds DISABLE TRIGGER immutable');
    await one.database.query('UPDATE rounds SET heads = set_byte(heads, 43, get_byte(heads, 43) # 1) WHERE number = 1');
    await expect(one.trees.read(1)).rejects.toMatchObject({ code: 'round-damaged' });
    await one.database.query('UPDATE rounds SET size = size - 1, heads = substring(heads FROM 45) WHERE number = 1');
    await expect(leavesOf(one.database, round)).rejects.toMatchObject({ code: 'round-damaged' });
    expect((await one.trees.read(2)).round.number).toBe(2);
  });
});
