import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DigestIntake, type IntakeOptions } from '../../src/anchor/digests.ts';
import { leavesOf } from '../../src/anchor/rounds.ts';
import { compareBytes, toHex } from '../../src/core/bytes.ts';
import { hashLeaves, MerkleTree } from '../../src/core/merkle.ts';
import { encodeDigestLeaf, parseCheckpointLeaf } from '../../src/core/round.ts';
import { RollbackState } from '../../src/log/rollback.ts';
import { auditDatabase } from '../support/audit.ts';
import { asAdministrator, copyOf } from '../support/history.ts';
import { type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

let server: TestDatabase;
let one: Instance;
let two: Instance;

beforeAll(async () => {
  server = await testDatabase();
  [one, two] = [await openInstance(server.url), await openInstance(server.url)];
});

beforeEach(async () => {
  while ((await waiting()) > 0) await one.closeRound();
});

afterAll(async () => {
  await Promise.all([one?.end(), two?.end()]);
  await server?.drop();
});

const intake = (instance: Instance, options: Partial<IntakeOptions> = {}): DigestIntake => {
  const { database, effects, sequencing } = instance;
  // Generous: the machine may be loaded, and a slow answer is no fault of what is tested.
  return new DigestIntake({ database, effects, rollback: sequencing.rollback, patience: 30_000, ...options });
};

const digests = (count: number): Uint8Array[] => Array.from({ length: count }, () => new Uint8Array(randomBytes(32)));

const waiting = async (): Promise<number> => {
  const { rows } = await two.database.query<{ count: number }>('SELECT count(*) FROM digests');
  return rows[0]?.count ?? 0;
};

/** Takes digests in. @returns the leaves they become, in hex */
async function take(taking: DigestIntake, all: readonly Uint8Array[]): Promise<string[]> {
  const taken = await Promise.all(all.map((digest) => taking.take(digest)));
  return taken.map(({ nonce }, i) => toHex(encodeDigestLeaf(all[i] ?? new Uint8Array(0), nonce)));
}

/** Closes a round. @returns its leaves but the link: in front heads of logs, behind them digests */
async function close(instance: Instance, maxDigests = 50_000): Promise<{ heads: Uint8Array[]; digests: Uint8Array[] }> {
  const round = await instance.closeRound({ maxDigests });
  if (round === null) throw new Error('nothing was closed');
  const leaves = await leavesOf(two.database, round);
  expect(new MerkleTree(hashLeaves(leaves)).root()).toEqual(round.root);
  const first = leaves.findIndex((leaf) => leaf[0] === 0x82);
  return first < 0
    ? { heads: leaves.slice(1), digests: [] }
    : { heads: leaves.slice(1, first), digests: leaves.slice(first) };
}

describe('digests', () => {
  test('are durable when they are taken, and leaves of the next round, which they alone are reason for', async () => {
    expect(await one.closeRound()).toBeNull();
    const leaves = await take(intake(one), digests(3));
    expect(await waiting()).toBe(3);
    expect((await close(two)).digests.map(toHex)).toEqual(leaves.sort());
    expect(await waiting()).toBe(0);
    expect(await one.closeRound()).toBeNull();
  });

  test('stand behind the heads of the logs, bytewise', async () => {
    for (const name of ['a', 'b', 'c']) await one.append(await one.makeLog(name), 'entry');
    await take(intake(one), digests(50));
    const round = await close(one);
    expect(round.heads.map((leaf) => parseCheckpointLeaf(leaf).size)).toHaveLength(4);
    expect(round.digests).toHaveLength(50);
    expect(round.digests).toEqual(round.digests.toSorted(compareBytes));
    expect((await auditDatabase(server.url)).findings).toEqual([]);
  });

  test('beyond what a round takes wait for the next, the oldest first', async () => {
    const taking = intake(one);
    const first = await take(taking, digests(5));
    const second = await take(taking, digests(5));
    const taken = (await close(one, 7)).digests.map(toHex);
    expect(taken).toHaveLength(7);
    expect(taken).toEqual(expect.arrayContaining(first));
    expect(await waiting()).toBe(3);
    const rest = (await close(two, 7)).digests.map(toHex);
    expect([...taken, ...rest].sort()).toEqual([...first, ...second].sort());
  });

  test('that come while a round is closed are in exactly one round', async () => {
    const taking = [intake(one), intake(two)];
    const expected: string[] = [];
    const found: string[] = [];
    const closeOne = async (instance: Instance): Promise<void> => {
      const round = await instance.closeRound({ maxDigests: 40 });
      if (round !== null) found.push(...(await leavesOf(two.database, round)).map(toHex));
    };
    for (let i = 0; i < 10; i++) {
      const results = await Promise.all([
        ...taking.map((each) => take(each, digests(20))),
        closeOne(one),
        closeOne(two),
      ]);
      expected.push(...results.flatMap((result) => result ?? []));
    }
    while ((await waiting()) > 0) await closeOne(one);
    expect(found.filter((leaf) => leaf.startsWith('82')).sort()).toEqual(expected.sort());
  });

  test.each([0, 65])('of %i bytes are not taken', async (length) => {
    await expect(intake(one).take(new Uint8Array(length))).rejects.toMatchObject({ code: 'digest-length' });
    expect(await waiting()).toBe(0);
  });

  test('are refused once too many wait, for the database or for a round', async () => {
    const taking = intake(one, { maxQueued: 2, maxWaiting: 3 });
    const outcomes = await Promise.allSettled(digests(4).map((digest) => taking.take(digest)));
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected']);
    await take(taking, digests(1));
    await expect(taking.take(new Uint8Array(1))).rejects.toMatchObject({ code: 'overloaded' });
    expect(await waiting()).toBe(3);
    await close(one);
    await take(taking, digests(1));
    expect(await waiting()).toBe(1);
  });

  test('are refused on a database that was set back', async () => {
    const rollback = new RollbackState();
    rollback.note();
    await expect(intake(one, { rollback }).take(new Uint8Array(32))).rejects.toMatchObject({
      code: 'database-set-back',
    });
  });

  test('are given up by whoever waits when the database is silent, and nothing is stuck then', async () => {
    const taking = intake(one, { patience: 300 });
    const holder = await two.database.connect();
    await holder.query('BEGIN; LOCK TABLE digests');
    await expect(taking.take(new Uint8Array(32))).rejects.toMatchObject({ code: 'database-silent' });
    await holder.query('ROLLBACK');
    holder.release();
    while ((await waiting()) < 1) await sleep(20);
    await take(intake(one), digests(1));
    expect(await waiting()).toBe(2);
  });

  test('cannot be changed, waiting or not', async () => {
    await take(intake(one), digests(1));
    const change = `UPDATE digests SET commitment = sha256('other')`;
    await expect(one.database.query(change)).rejects.toMatchObject({ code: '23001' });
    await expect(one.database.query('TRUNCATE digests')).rejects.toMatchObject({ code: '23001' });
  });
});

describe('an audit finds a digest leaf', () => {
  let original: TestDatabase;

  beforeAll(async () => {
    original = await testDatabase();
    const instance = await openInstance(original.url);
    await instance.append(await instance.makeLog('demo'), 'entry');
    await take(intake(instance), digests(20));
    await instance.closeRound();
    await instance.end();
    expect((await auditDatabase(original.url)).findings).toEqual([]);
  });

  afterAll(() => original?.drop());

  test.each([
    [
      'that was replaced',
      `UPDATE rounds SET digests = overlay(digests PLACING '\\x82'::bytea || sha256('other') FROM 100)`,
      'round-broken',
    ],
    ['that stands for a log', `INSERT INTO round_logs (size, round, log, index) VALUES (0, 1, 2, 7)`, 'leaf-differs'],
    ['that is gone', 'UPDATE rounds SET digests = substring(digests FROM 34), size = size - 1', 'round-broken'],
    ['that is not one', `UPDATE rounds SET digests = set_byte(digests, 33, 131)`, 'round-broken'],
    [
      'that changed places',
      `UPDATE rounds SET digests = substring(digests FROM 34 FOR 33) || substring(digests FOR 33) || substring(digests FROM 67)`,
      'round-broken',
    ],
  ])('%s', async (_what, attack, code) => {
    const copy = await copyOf(original);
    await asAdministrator(copy.url, (client) => client.query(attack));
    const { findings, verdict } = await auditDatabase(copy.url);
    await copy.drop();
    // What finds leaves by their logs is no part of a round.
    expect(findings).toContainEqual(expect.objectContaining({ code, round: code === 'leaf-differs' ? null : 1 }));
    expect(verdict.result).toBe('refuted');
  });
});
