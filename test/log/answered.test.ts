// What was answered is recorded apart from the database, so that a replica that lacks it is found.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { utf8 } from '../../src/core/bytes.ts';
import { AnsweredHeads, type AnsweredSink } from '../../src/log/outside/answered.ts';
import { AnsweredFile } from '../../src/log/outside/answered-file.ts';
import { AnsweredRedis } from '../../src/log/outside/answered-redis.ts';
import type { Mark } from '../../src/log/outside/published.ts';
import { PublishedFile } from '../../src/log/outside/published-file.ts';
import { copyDatabase } from '../support/backup.ts';
import { type Instance, openInstance } from '../support/instance.ts';
import { testDatabase } from '../support/postgres.ts';
import { redisMissing, type TestRedis, testRedis } from '../support/redis.ts';

let folder: string;
let redis: TestRedis | null = null;
let made = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'antequem-answered-'));
  if (redisMissing === null) redis = await testRedis();
});
afterAll(async () => {
  await redis?.stop();
  await rm(folder, { recursive: true, force: true });
});

const mark = (size: number): Mark => ({ size, root: sha256(utf8(`root ${size}`)) });
const open = (sink: AnsweredSink): AnsweredHeads => new AnsweredHeads(sink, Date.now);

const SINKS: { name: string; place: () => () => AnsweredSink }[] = [
  {
    name: 'a file',
    place: () => {
      const file = join(folder, `guard-${made++}`);
      return () => new AnsweredFile(file);
    },
  },
  ...(redisMissing === null
    ? [
        {
          name: 'Redis',
          place: () => {
            const service = `antequem-${made++}`;
            return () => new AnsweredRedis(redis?.url ?? '', service);
          },
        },
      ]
    : []),
];

describe.each(SINKS)('marks in $name', ({ place }) => {
  test('the largest of each log counts, whichever process recorded it', async () => {
    const sink = place();
    const [one, two] = [open(sink()), open(sink())];
    await one.all();
    await two.all();
    for (let size = 1; size <= 50; size++) await (size % 2 === 0 ? one : two).record('a', mark(size));
    await two.record('b', mark(3));
    await one.record('b', mark(2));
    await expect.poll(async () => (await open(sink()).all()).get('b')).toEqual(mark(3));
    const third = open(sink());
    expect(await third.all()).toEqual(
      new Map([
        ['a', mark(50)],
        ['b', mark(3)],
      ]),
    );
    expect([one.gap, two.gap]).toEqual([null, null]);
    for (const each of [one, two, third]) await each.close();
  });

  test('a declared loss lowers a mark, and later answers raise it again', async () => {
    const sink = place();
    const heads = open(sink());
    await heads.all();
    await heads.record('a', mark(9));
    await expect.poll(async () => (await open(sink()).all()).get('a')).toEqual(mark(9));
    await heads.replace(new Map([['a', mark(4)]]));
    expect((await open(sink()).all()).get('a')).toEqual(mark(4));
    await heads.record('a', mark(5));
    await expect.poll(async () => (await open(sink()).all()).get('a')).toEqual(mark(5));
    await heads.close();
  });
});

test('a file that has grown is followed by a smaller one, under two processes that write', async () => {
  const file = join(folder, 'grown');
  const [one, two] = [open(new AnsweredFile(file)), open(new AnsweredFile(file))];
  for (let size = 1; size <= 20_000; size++) {
    const heads = size % 2 === 0 ? one : two;
    void heads.record(`log-${size % 7}-${'x'.repeat(2_000)}`, mark(size));
    if (size % 5 === 0) await Promise.all([one.record(`tick ${size % 3}`, mark(size)), two.record('tock', mark(size))]);
  }
  await Promise.all([one.close(), two.close()]);
  const all = await open(new AnsweredFile(file)).all();
  for (let i = 0; i < 7; i++) {
    const largest = Array.from({ length: 20_000 }, (_, n) => n + 1).findLast((size) => size % 7 === i) ?? 0;
    expect(all.get(`log-${i}-${'x'.repeat(2_000)}`)).toEqual(mark(largest));
  }
  expect((await readdir(folder)).filter((name) => name.startsWith('grown')).length).toBeGreaterThan(1);
});

test('a process that is killed leaves at most a torn last line, and the marks before it', async () => {
  const file = join(folder, 'killed');
  const program = `
    const { AnsweredHeads } = await import(${JSON.stringify(new URL('../../src/log/outside/answered.ts', import.meta.url).href)});
    const { AnsweredFile } = await import(${JSON.stringify(new URL('../../src/log/outside/answered-file.ts', import.meta.url).href)});
    const heads = new AnsweredHeads(new AnsweredFile(${JSON.stringify(file)}), Date.now);
    for (let size = 1; ; size++) {
      await heads.record('a', { size, root: new Uint8Array(32).fill(size % 256) });
      process.stdout.write(size + '\\n');
    }`;
  const child = spawn(process.execPath, ['--conditions=node', '--input-type=module', '-e', program], {
    cwd: join(import.meta.dirname, '../..'),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (data: Buffer) => {
    said += data.toString();
    if (said.length > 5_000) child.kill('SIGKILL');
  });
  await once(child, 'close');
  const told = Math.max(...said.split('\n').slice(0, -1).map(Number));
  expect(told).toBeGreaterThan(100);
  expect((await open(new AnsweredFile(file)).all()).get('a')?.size).toBeGreaterThanOrEqual(told);
});

test('a place that fails refuses no answer: the gap is told, and closed once the marks are written', async () => {
  const blocked = join(folder, 'blocked');
  await writeFile(blocked, 'a file where a folder should be');
  const heads = open(new AnsweredFile(join(blocked, 'guard')));
  await heads.record('a', mark(1));
  expect(heads.gap).not.toBeNull();
  await rm(blocked);
  await expect.poll(() => heads.gap, { timeout: 120_000 }).toBeNull();
  expect((await open(new AnsweredFile(join(blocked, 'guard'))).all()).get('a')).toEqual(mark(1));
  await heads.close();
});

describe('a database that lacks what was answered, and of which nothing was published', () => {
  const start = (url: string, file: string): Promise<Instance> =>
    openInstance(url, { published: new PublishedFile(file), answered: open(new AnsweredFile(file)) });

  test('is found at a start', async () => {
    const file = join(folder, `lost-${made++}`);
    const live = await testDatabase();
    const one = await start(live.url, file);
    const log = await one.makeLog('demo');
    await one.append(log, 'kept');
    await one.guard.close();
    await one.end();
    const replica = await copyDatabase(live.url);
    const two = await start(live.url, file);
    expect(two.guard.rollback.finding).toBeNull();
    expect(await two.append(log, 'answered, and lost with the primary')).toMatchObject({ index: 1 });
    await two.guard.close();
    await two.end();

    const three = await start(replica.url, file);
    expect(three.guard.rollback.finding?.code).toBe('database-set-back');
    await expect(three.append(log, 'the index again')).rejects.toMatchObject({ code: 'database-set-back' });
    expect(await three.guard.losses()).toMatchObject([
      { subject: log.origin, was: 'answered', published: { size: 2 }, now: { size: 1 } },
    ]);
    await three.guard.close();
    await three.end();
    await live.drop();
    await replica.drop();
  });

  test('is found by a running process that has not touched the log, once its connections are made anew', async () => {
    const file = join(folder, `lost-${made++}`);
    const live = await testDatabase();
    const one = await start(live.url, file);
    const log = await one.makeLog('demo');
    await one.append(log, 'kept');
    const other = await start(live.url, file);
    await one.append(log, 'answered');
    // As if another server were behind the same address: the same log, set back.
    await other.database.query(`ALTER TABLE log_heads DISABLE TRIGGER USER`);
    await other.database.query('DELETE FROM log_heads WHERE log = $1 AND size > 1', [log.id]);
    await expect(other.append(log, 'again')).rejects.toMatchObject({ code: 'database-set-back' });
    expect(other.guard.rollback.finding?.code).toBe('database-set-back');
    for (const each of [one, other]) {
      await each.guard.close();
      await each.end();
    }
    await live.drop();
  });
});
