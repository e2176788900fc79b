// Every effect on the way of an entry goes wrong in every way, in a process that goes on and in one that is killed at that
// moment. Whatever was answered holds, whoever asks again with the same key gets the same answer, and nothing is forked.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { concat } from '../../src/core/bytes.ts';
import { MerkleTree } from '../../src/core/merkle.ts';
import type { Log } from '../../src/log/log.ts';
import { AnswerProxy } from '../support/answer-proxy.ts';
import { type Fault, FaultProxy, type Marks } from '../support/fault-proxy.ts';
import { type Instance, ORIGIN } from '../support/instance.ts';
import { append, end, type How, type InnerFault, KEY, openTraveller } from '../support/journey.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';
import { recompute } from '../support/recompute.ts';
import { message, type ServiceChild, startServiceChild } from '../support/service-child.ts';

const HOW: How[] = ['failed', 'done, reported failed', 'hung'];
const COMMIT: Marks = { request: 'COMMIT\0', answer: 'COMMIT\0' };
const RECORD: Marks = { request: 'INSERT INTO checkpoints', answer: 'INSERT 0 1\0' };
const BY_WIRE: Record<How, Fault> = { failed: 'lost', 'done, reported failed': 'unanswered', hung: 'held' };

interface Row {
  readonly name: string;
  readonly step: 'append' | 'publish' | 'round';
  /** On the way to the database, or in the process. */
  readonly at: Marks | InnerFault['effect'];
}

const ROWS: Row[] = [
  { name: 'append: commit', step: 'append', at: COMMIT },
  { name: 'publish: commit', step: 'publish', at: RECORD },
  { name: 'publish: sign', step: 'publish', at: 'sign' },
  { name: 'publish: release', step: 'publish', at: 'release' },
  { name: 'round: commit', step: 'round', at: COMMIT },
];
const ANSWER = 'append: release';

let server: TestDatabase;
let folder: string;
let file: string;
let sound: Instance;
let proxy: FaultProxy;
let children: ChildProcess[];
let made = 0;
const table = new Map<string, string>();

beforeAll(async () => {
  [server, folder] = await Promise.all([testDatabase(), mkdtemp(join(tmpdir(), 'antequem-table-'))]);
  file = join(folder, 'published');
  // Their start takes longer than all they do: all of them at once, and each waits for its turn.
  children = ROWS.flatMap(() => HOW).map(() => fork(new URL('../support/journey-process.ts', import.meta.url)));
  await Promise.all(children.map(message));
  sound = await openTraveller(server.url, file);
  proxy = await FaultProxy.open(server.url);
});

afterAll(async () => {
  for (const child of children ?? []) child.kill('SIGKILL');
  if (sound !== undefined) await end(sound);
  await proxy?.close();
  await server?.drop();
  await rm(folder, { recursive: true, force: true });
  const names = [...ROWS.map(({ name }) => name), ANSWER].toSorted();
  const columns = HOW.flatMap((how) => [`${how}, goes on`, `${how}, killed`]);
  const cells = names.map((name) => columns.map((column) => table.get(`${name} | ${column}`) ?? 'RED'));
  const widths = columns.map((column, i) => 2 + Math.max(column.length, ...cells.map((line) => line[i]?.length ?? 0)));
  console.log(
    [['', ...columns], ...names.map((name, i) => [name, ...(cells[i] ?? [])])]
      .map(([name = '', ...rest]) =>
        `${name.padEnd(18)}${rest.map((text, i) => text.padEnd(widths[i] ?? 0)).join('')}`.trimEnd(),
      )
      .join('\n'),
  );
});

/** A log of two entries, of which a checkpoint was handed out. */
async function makeLog(): Promise<Log> {
  const log = await sound.makeLog(`log-${made++}`);
  await sound.append(log, 'first', 'second');
  await sound.publisher.current(log);
  return log;
}

/** Asks again, in a process that knows nothing, and looks at all there is. */
async function check(log: Log, notes: readonly string[] = []): Promise<void> {
  const fresh = await openTraveller(server.url, file);
  expect(fresh.guard.rollback.finding).toBeNull();
  expect(await append(fresh, log)).toMatchObject({ index: 2, count: 1 });
  const current = await fresh.publisher.current(log);
  expect(current.size).toBe(3);
  await fresh.closeRound();
  expect(await fresh.closeRound()).toBeNull();
  const { rows } = await recompute(fresh.database, log);
  expect(rows.map(({ payload }) => payload?.toString())).toEqual(['first', 'second', `${KEY} 0`]);
  const signed = await fresh.database.query<{ size: number; root: Buffer; note: string }>(
    'SELECT size, root, note FROM checkpoints WHERE log = $1 ORDER BY size',
    [log.id],
  );
  expect(signed.rows.map(({ size }) => size)).toEqual([2, 3]);
  for (const { size, root } of signed.rows) {
    const tree = new MerkleTree(concat(...rows.slice(0, size).map((row) => row.leaf_hash)));
    expect(Buffer.from(tree.root())).toEqual(root);
  }
  // Whatever was handed out is what is recorded.
  for (const note of [...notes, current.note]) expect(note).toBe(signed.rows[1]?.note);
  expect(await fresh.guard.store?.read([log.origin])).toEqual([{ size: 3, root: current.root }]);
  const covered = await fresh.database.query('SELECT 1 FROM round_logs WHERE log = $1 AND size = 3', [log.id]);
  expect(covered.rowCount).toBe(1);
  await recompute(fresh.database, fresh.registry.system);
  await end(fresh);
}

/** Takes the step, and again until it succeeds: how long it took to be told of the failure, and the note handed out. */
async function goOn(traveller: Instance, log: Log, step: Row['step']): Promise<{ told: number; notes: string[] }> {
  const take = async (): Promise<string[]> => {
    if (step === 'append') await append(traveller, log);
    if (step === 'publish') return [(await traveller.publisher.current(log)).note];
    if (step === 'round') await traveller.closeRound();
    return [];
  };
  const start = performance.now();
  await expect(take()).rejects.toThrow();
  const told = performance.now() - start;
  for (let attempt = 0; ; attempt++) {
    try {
      return { told, notes: await take() };
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
}

describe.each(ROWS)('$name', (row) => {
  const { name, step, at } = row;

  /** One fault in a process that goes on. @returns after how many milliseconds it was told of it */
  const meet = async (how: How, fault: Fault): Promise<number> => {
    const log = await makeLog();
    const other = await sound.makeLog(`other-${made}`);
    const inner = Promise.withResolvers<void>();
    const faulty = typeof at === 'string' ? { effect: at, how, struck: inner.resolve } : null;
    const traveller = await openTraveller(faulty === null ? proxy.url : server.url, file, faulty);
    if (step !== 'append') await append(traveller, log);
    let struck = inner.promise;
    if (typeof at !== 'string') {
      proxy.marks = [at];
      struck = proxy.strike(fault);
    }
    const going = goOn(traveller, log, step);
    await struck;
    // Nothing else is held up: not in the process, nor by the locks of what hangs.
    await Promise.all([traveller.append(other, 'meanwhile'), sound.append(other, 'meanwhile')]);
    const { told, notes } = await going;
    proxy.marks = [COMMIT];
    proxy.release();
    await end(traveller);
    await check(log, notes);
    return told;
  };

  test.each(HOW)('%s, and the process goes on', async (how) => {
    // What hangs has taken place, or has not.
    const faults: Fault[] = typeof at !== 'string' && how === 'hung' ? ['held', 'silent'] : [BY_WIRE[how]];
    const told: number[] = [];
    for (const fault of faults) told.push(await meet(how, fault));
    table.set(`${name} | ${how}, goes on`, `ok, told after ${Math.round(Math.max(...told))} ms`);
  });

  test.each(HOW)('%s, and the process is killed', async (how) => {
    const log = await makeLog();
    const child = children.pop();
    if (child === undefined) throw new Error('too few processes');
    const ended = once(child, 'exit');
    const fault = typeof at === 'string' ? { effect: at, how } : null;
    let struck: Promise<unknown> = fault === null || how !== 'hung' ? ended : message(child);
    if (typeof at !== 'string') {
      proxy.marks = [at];
      // Opening takes a commit, and so does the append before a round.
      if (at === COMMIT) proxy.faults.push('none', ...(step === 'round' ? (['none'] as const) : []));
      struck = proxy.strike(BY_WIRE[how]);
    }
    child.send({ url: fault === null ? proxy.url : server.url, file, log: log.name, step, fault });
    await struck;
    child.kill('SIGKILL');
    const [, signal] = await ended;
    expect(signal).toBe('SIGKILL');
    proxy.marks = [COMMIT];
    await check(log);
    table.set(`${name} | ${how}, killed`, 'ok');
  });
});

describe(ANSWER, () => {
  const answerForm = z.object({ index: z.number(), count: z.number() });
  let service: ServiceChild;
  let way: AnswerProxy;

  const startService = async (): Promise<void> => {
    const LOG_SEED_FILE = join(folder, 'seed');
    await writeFile(LOG_SEED_FILE, '07'.repeat(32));
    const settings = { DATABASE_URL: server.url, ORIGIN, LOG_SEED_FILE, LOG_GUARD_FILE: file, PORT: '0', ROLES: 'api' };
    service = await startServiceChild(settings);
    way = await AnswerProxy.open(service.url ?? '');
  };

  const post = async (log: Log, url: string, signal: AbortSignal | null = null): Promise<number> => {
    const response = await fetch(`${url}/v1/logs/${log.name}/entries`, {
      method: 'POST',
      headers: { 'idempotency-key': KEY },
      body: `${KEY} 0`,
      signal,
    });
    expect(response.status).toBe(201);
    return answerForm.parse(await response.json()).index;
  };

  beforeAll(startService);
  afterAll(async () => {
    await way?.close();
    await service?.stop();
  });

  describe.each(['goes on', 'killed'] as const)('and the process %s', (fate) => {
    test.each(HOW)('%s', async (how) => {
      const log = await makeLog();
      const struck = way.strike(how);
      const client = new AbortController();
      const answer = post(log, way.url, client.signal).catch(() => null);
      await struck;
      if (how === 'hung') client.abort();
      if (fate === 'killed') {
        await service.kill();
        await way.close();
        await startService();
      }
      const first = await answer;
      if (how === 'done, reported failed') expect(first).toBe(2);
      else expect(first).toBeNull();
      expect(await post(log, way.url)).toBe(2);
      // The key is that of a client without a name, for the same bytes asked for in another way.
      await expect(append(sound, log)).rejects.toMatchObject({ code: 'idempotency-key-reused' });
      const { rows } = await recompute(sound.database, log);
      expect(rows.map(({ payload }) => payload?.toString())).toEqual(['first', 'second', `${KEY} 0`]);
      expect(await sound.publisher.current(log)).toMatchObject({ size: 3 });
      table.set(`${ANSWER} | ${how}, ${fate}`, 'ok');
    });
  });
});
