import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { u64 } from '../../src/core/bytes.ts';
import type { Change, Mark, PublishedStore } from '../../src/log/outside/published.ts';
import { PublishedFile } from '../../src/log/outside/published-file.ts';
import { PublishedRedis } from '../../src/log/outside/published-redis.ts';
import { redisMissing, type TestRedis, testRedis } from '../support/redis.ts';

const mark = (size: number): Mark => ({ size, root: sha256(u64(size)) });
const step = (subject: string, from: number | null, to: number): Change => ({
  subject,
  from: from === null ? null : mark(from),
  to: mark(to),
});

let folder: string;
let redis: TestRedis | null = null;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'antequem-published-'));
  if (redisMissing === null) redis = await testRedis();
});

afterAll(async () => {
  await redis?.stop();
  await rm(folder, { recursive: true, force: true });
});

const STORES: { name: string; open: () => PublishedStore }[] = [
  { name: 'a file', open: () => new PublishedFile(join(folder, 'shared')) },
  ...(redisMissing === null ? [{ name: 'Redis', open: () => new PublishedRedis(redis?.url ?? '') }] : []),
];

describe.each(STORES)('what was published, in $name', ({ open }) => {
  test('is as it was set, in every process and after all of them ended', async () => {
    const [one, two] = [open(), open()];
    expect(await one.read(['a', 'b'])).toEqual([null, null]);
    expect(await one.compareAndSet([step('a', null, 5), step('b', null, 7)])).toEqual([true, true]);
    expect(await two.read(['b', 'none', 'a'])).toEqual([mark(7), null, mark(5)]);
    await Promise.all([one.close(), two.close()]);
    const three = open();
    expect(await three.read(['a'])).toEqual([mark(5)]);
    expect(Object.fromEntries(await three.all())).toMatchObject({ a: mark(5), b: mark(7) });
    await three.close();
  });

  test('is changed only where it still is as told, each change by itself', async () => {
    const store = open();
    await store.compareAndSet([step('c', null, 1)]);
    expect(await store.compareAndSet([step('c', null, 2), step('d', null, 2), step('c', 2, 3)])).toEqual([
      false,
      true,
      false,
    ]);
    // The same size with another root is another mark.
    const other = { subject: 'c', from: { size: 1, root: sha256(u64(9)) }, to: mark(4) };
    expect(await store.compareAndSet([other])).toEqual([false]);
    // Down as well: what may follow what is not for the store to say.
    expect(await store.compareAndSet([step('c', 1, 0)])).toEqual([true]);
    expect(await store.read(['c'])).toEqual([mark(0)]);
    expect(await store.compareAndSet([])).toEqual([]);
    await store.close();
  });

  test('of many that change it from the same mark one is told that it did', async () => {
    const stores = Array.from({ length: 6 }, open);
    for (let round = 0; round < 20; round++) {
      const told = await Promise.all(
        stores.map((store) => store.compareAndSet([step('raced', round === 0 ? null : round - 1, round)])),
      );
      expect(told.filter(([set]) => set)).toHaveLength(1);
    }
    await Promise.all(stores.map((store) => store.close()));
  });

  test('of ten thousand logs at once is set in one go', async () => {
    const store = open();
    const origins = Array.from({ length: 10_000 }, (_, i) => `log.example.org/logs/log-${i}`);
    await store.compareAndSet(origins.map((origin) => step(origin, null, 1)));
    const start = performance.now();
    const set = await store.compareAndSet(origins.map((origin) => step(origin, 1, 2)));
    console.log(`10,000 marks in ${Math.round(performance.now() - start)} ms`);
    expect(set.every((done) => done)).toBe(true);
    const other = open();
    expect((await other.all()).size).toBeGreaterThanOrEqual(10_000);
    await Promise.all([store.close(), other.close()]);
  });
});

/** What a process that was not there before finds. */
async function afresh(file: string): Promise<ReadonlyMap<string, Mark>> {
  const store = new PublishedFile(file);
  const marks = await store.all();
  await store.close();
  return marks;
}

describe('the file', () => {
  const size = async (name: string): Promise<number> =>
    (await Promise.all((await readdir(folder)).filter((file) => file.startsWith(`${name}.`)).map(read))).reduce(
      (sum, text) => sum + text.length,
      0,
    );
  const read = (file: string): Promise<string> => readFile(join(folder, file), 'utf8');

  test('is written anew when it has grown, under four processes that go on', async () => {
    const stores = Array.from({ length: 4 }, () => new PublishedFile(join(folder, 'grown')));
    let won = 0;
    await Promise.all(
      stores.map(async (store, n) => {
        for (let i = 0; i < 40; i++) {
          const subjects = Array.from({ length: 100 }, (_, k) => `subject-${k}`);
          const marks = await store.read(subjects);
          const changes = subjects.map((subject, k) => {
            const from = marks[k] ?? null;
            return { subject, from, to: { size: (from?.size ?? 0) + 1, root: sha256(u64(n * 1_000 + i)) } };
          });
          const set = await store.compareAndSet(changes);
          won += set.filter((done) => done).length;
        }
      }),
    );
    const marks = await afresh(join(folder, 'grown'));
    expect([...marks.values()].reduce((sum, { size }) => sum + size, 0)).toBe(won);
    expect(won).toBeGreaterThanOrEqual(4_000);
    const generations = (await readdir(folder)).filter((file) => /^grown\.\d+$/.test(file));
    expect(generations.some((file) => file !== 'grown.1')).toBe(true);
    expect(await size('grown')).toBeLessThan(3 << 20);
    await Promise.all(stores.map((store) => store.close()));
  });

  test('bears a torn line at its end, garbage in its midst and an empty start', async () => {
    const file = join(folder, 'torn');
    await writeFile(`${file}.1`, '');
    const store = new PublishedFile(file);
    await store.compareAndSet([step('a', null, 1)]);
    await appendFile(`${file}.1`, '0123456789ab c id a 1:00');
    expect(await store.compareAndSet([step('a', 1, 2)])).toEqual([true]);
    const text = await readFile(`${file}.1`, 'utf8');
    const last = text.trimEnd().split('\n').at(-1) ?? '';
    // What was set by a line that does not check was set by nobody.
    await appendFile(`${file}.1`, `${last.replace(/.$/, (digit) => (digit === '0' ? '1' : '0'))}\n\0\0\0\0`);
    expect((await afresh(file)).get('a')).toEqual(mark(2));
    expect(await store.compareAndSet([step('a', 2, 3)])).toEqual([true]);
    expect((await afresh(file)).get('a')).toEqual(mark(3));
    await store.close();
  });

  test('that cannot be written is told, and works once it can', async () => {
    await writeFile(join(folder, 'blocked'), '');
    const store = new PublishedFile(join(folder, 'blocked', 'published'));
    await expect(store.read(['a'])).rejects.toMatchObject({ code: 'guard-unavailable' });
    await expect(store.compareAndSet([step('a', null, 1)])).rejects.toMatchObject({ code: 'guard-unavailable' });
    await rm(join(folder, 'blocked'));
    expect(await store.compareAndSet([step('a', null, 1)])).toEqual([true]);
    await store.close();
  });

  test('keeps what processes were told, killed in the middle of it', async () => {
    const file = join(folder, 'killed');
    const program = `
      const { PublishedFile } = await import(${JSON.stringify(new URL('../../src/log/outside/published-file.ts', import.meta.url).href)});
      const store = new PublishedFile(${JSON.stringify(file)});
      const root = (n) => new Uint8Array(32).fill(n % 251);
      for (;;) {
        const [from] = await store.read(['counter']);
        const size = (from?.size ?? 0) + 1;
        const fill = Array.from({ length: 50 }, (_, i) => ({ subject: 'fill-' + process.pid + '-' + i, from: null, to: { size, root: root(size) } }));
        const [set] = await store.compareAndSet([{ subject: 'counter', from, to: { size, root: root(size) } }, ...fill]);
        if (set) process.stdout.write(size + '\\n');
      }`;
    const told = new Set<number>();
    const child = async (life: number): Promise<void> => {
      const process_ = spawn(process.execPath, ['--input-type=module', '-e', program], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const lines = createInterface({ input: process_.stdout });
      lines.on('line', (line) => {
        expect(told.has(Number(line))).toBe(false);
        told.add(Number(line));
      });
      await once(lines, 'line');
      await sleep(life);
      process_.kill('SIGKILL');
      await once(process_, 'close');
    };
    for (let i = 0; i < 3; i++) await Promise.all([child(40 + 30 * i), child(70), child(100 - 20 * i)]);
    const counter = (await afresh(file)).get('counter');
    // A change can have taken effect and its process been killed before it said so, never the other way round.
    expect(counter?.size).toBeGreaterThanOrEqual(Math.max(...told));
    expect((counter?.size ?? 0) - told.size).toBeLessThanOrEqual(9);
    expect(told.size).toBeGreaterThan(9);
  });
});

test.skipIf(redisMissing !== null)(
  'a Redis that is away is told in time, and of use again when it is back',
  async () => {
    const own = await testRedis();
    const store = new PublishedRedis(own.url);
    expect(await store.compareAndSet([step('a', null, 1)])).toEqual([true]);
    await own.down();
    await expect(store.read(['a'])).rejects.toMatchObject({ code: 'guard-unavailable' });
    await expect(store.compareAndSet([step('a', 1, 2)])).rejects.toMatchObject({ code: 'guard-unavailable' });
    await own.up();
    // What it held is gone: that is told, and what this process had seen there is put back.
    await expect.poll(() => store.read(['a']).catch(() => 'away')).toEqual([mark(1)]);
    expect(store.problem).toContain('has lost what was recorded');
    const other = new PublishedRedis(own.url);
    expect(await other.read(['a', 'b'])).toEqual([mark(1), null]);
    expect(other.problem).toBeNull();
    await other.close();
    await store.close();
    await own.stop();
  },
);
