// The file in which it is recorded what was published, after somebody or something has altered it.

import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { utf8 } from '../../src/core/bytes.ts';
import { type JournalMemory, journalMemory } from '../../src/log/outside/journal-memory.ts';
import type { Mark } from '../../src/log/outside/published.ts';
import { PublishedFile } from '../../src/log/outside/published-file.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

let server: TestDatabase;
let database: Database;
let folder: string;
let made = 0;

beforeAll(async () => {
  server = await testDatabase();
  database = openDatabase(server.url, { connections: 2 });
  folder = await mkdtemp(join(tmpdir(), 'antequem-guard-file-'));
});
afterAll(async () => {
  await database?.end();
  await server?.drop();
  await rm(folder, { recursive: true, force: true });
});

const mark = (size: number): Mark => ({ size, root: sha256(utf8(`root ${size}`)) });

interface Ground {
  readonly file: string;
  /** The file of the journal itself. */
  readonly journal: string;
  readonly memory: JournalMemory;
  readonly content: Buffer;
}

/** A journal of some changes that the database remembers whole. */
async function ground(): Promise<Ground> {
  const file = join(folder, `guard-${made++}`);
  const memory = journalMemory(database, file);
  const store = new PublishedFile(file, memory);
  for (let size = 1; size <= 4; size++) {
    const from = size === 1 ? null : mark(size - 1);
    await store.compareAndSet([{ subject: 'log.example/logs/a', from, to: mark(size) }]);
  }
  await store.compareAndSet([{ subject: 'log.example#rounds', from: null, to: mark(1) }]);
  expect(store.problem).toBeNull();
  await store.close();
  const journal = `${file}.1`;
  return { file, journal, memory, content: await readFile(journal) };
}

/** What a process that starts with this content says of it. */
async function problemOf({ file, journal, memory }: Ground, content: Uint8Array): Promise<string | null> {
  await writeFile(journal, content);
  const store = new PublishedFile(file, memory);
  await store.all();
  const { problem } = store;
  await store.close();
  return problem;
}

const lastLineOf = (content: Buffer): number => content.lastIndexOf('\n', content.length - 2) + 1;

describe('noticed at the next start', () => {
  test('each byte before the last line flipped', async () => {
    const place = await ground();
    const end = lastLineOf(place.content);
    const missed: number[] = [];
    for (let at = 0; at < end; at++) {
      const flipped = Buffer.from(place.content);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
      if ((await problemOf(place, flipped)) === null) missed.push(at);
    }
    console.log(`${end} bytes flipped, ${end - missed.length} noticed`);
    expect(missed).toEqual([]);
    expect(await problemOf(place, place.content)).toBeNull();
  }, 120_000);

  test('cut at each line', async () => {
    const place = await ground();
    let cuts = 0;
    for (let at = 0; at < place.content.length - 1; at = place.content.indexOf('\n', at) + 1) {
      const problem = await problemOf(place, place.content.subarray(0, at));
      expect([at, problem]).toEqual([at, expect.stringContaining('has lost or changed lines')]);
      cuts++;
    }
    console.log(`cut at ${cuts} lines, each noticed`);
  });

  test('cut and then written on: as long as it is not removed', async () => {
    const place = await ground();
    await writeFile(place.journal, place.content.subarray(0, lastLineOf(place.content)));
    for (let i = 0; i < 3; i++) {
      const store = new PublishedFile(place.file, place.memory);
      await store.compareAndSet([{ subject: `more ${i}`, from: null, to: mark(1) }]);
      expect(store.problem).toContain('has lost or changed lines');
      await store.close();
    }
  });

  test('removed: told by the process that begins it anew, and by none after that', async () => {
    const place = await ground();
    await rm(place.journal);
    const store = new PublishedFile(place.file, place.memory);
    await store.compareAndSet([{ subject: 'a', from: null, to: mark(1) }]);
    expect(store.problem).toContain('was removed');
    await store.close();
    const next = new PublishedFile(place.file, place.memory);
    expect(await next.read(['a'])).toEqual([mark(1)]);
    expect(next.problem).toBeNull();
    await next.close();
  });
});

test('removed under a running process: told at once, and what it remembers is written again', async () => {
  const place = await ground();
  const store = new PublishedFile(place.file, place.memory);
  expect(await store.read(['log.example/logs/a'])).toEqual([mark(4)]);
  await rm(place.journal);
  expect(await store.read(['log.example/logs/a', 'log.example#rounds'])).toEqual([mark(4), mark(1)]);
  expect(store.problem).toContain('was removed while the service ran');
  expect(await store.compareAndSet([{ subject: 'log.example/logs/a', from: mark(4), to: mark(5) }])).toEqual([true]);
  const other = new PublishedFile(place.file, place.memory);
  expect(await other.read(['log.example/logs/a'])).toEqual([mark(5)]);
  for (const each of [store, other]) await each.close();
});

test('a line that was altered is noticed without the database too; a torn one is an ordinary kill', async () => {
  const { file, journal, content } = await ground();
  const start = async (bytes: Uint8Array): Promise<PublishedFile> => {
    await writeFile(journal, bytes);
    const store = new PublishedFile(file);
    await store.all();
    return store;
  };
  const at = content.indexOf('1:');
  const altered = Buffer.from(content);
  altered[at] = '9'.charCodeAt(0);
  expect((await start(altered)).problem).toContain('was altered');

  const torn = Buffer.concat([content, content.subarray(lastLineOf(content), content.length - 20)]);
  const store = await start(torn);
  expect(store.problem).toBeNull();
  expect(await store.compareAndSet([{ subject: 'next', from: null, to: mark(1) }])).toEqual([true]);
  await store.close();
  const next = new PublishedFile(file);
  expect(await next.read(['next', 'log.example/logs/a'])).toEqual([mark(1), mark(4)]);
  expect(next.problem).toBeNull();
  await next.close();
});

test('a torn last line is no loss for the database either', async () => {
  const place = await ground();
  const torn = Buffer.concat([place.content, Buffer.from('\n0123456789ab c 99')]);
  expect(await problemOf(place, torn)).toBeNull();
});

test('a journal of the release before, which has no name, is read on and gets one', async () => {
  const place = await ground();
  const nameless = place.content.subarray(place.content.indexOf('\n', place.content.indexOf(' id ')) + 1);
  const file = join(folder, 'older');
  await writeFile(`${file}.1`, nameless);
  const memory = journalMemory(database, file);
  const store = new PublishedFile(file, memory);
  expect(await store.read(['log.example/logs/a'])).toEqual([mark(4)]);
  expect(store.problem).toBeNull();
  await store.close();
  expect(await readFile(`${file}.1`, 'utf8')).toMatch(/ id [0-9a-f]{16}\n/);
  await writeFile(`${file}.1`, nameless);
  const cut = new PublishedFile(file, memory);
  await cut.all();
  expect(cut.problem).toContain('has lost or changed lines');
  await cut.close();
});

test('a sealed journal is followed by one that is compared in its turn', async () => {
  const file = join(folder, 'sealed');
  const memory = journalMemory(database, file);
  const store = new PublishedFile(file, memory);
  let from: Mark | null = null;
  for (let size = 1; size === 1 || (await readdir(folder)).includes('sealed.1'); size += 200) {
    const changes = Array.from({ length: 200 }, (_, i) => ({
      subject: 'a',
      from: i === 0 ? from : mark(size + i - 1),
      to: mark(size + i),
    }));
    await store.compareAndSet(changes);
    from = mark(size + 199);
    if (size > 100_000) throw new Error('it was not sealed');
  }
  await store.compareAndSet([{ subject: 'b', from: null, to: mark(1) }]);
  await store.close();
  const next = new PublishedFile(file, memory);
  expect(await next.read(['a', 'b'])).toEqual([from, mark(1)]);
  expect(next.problem).toBeNull();
  await next.close();
  const journal = `${file}.2`;
  await writeFile(journal, (await readFile(journal)).subarray(0, 60));
  const cut = new PublishedFile(file, memory);
  await cut.all();
  expect(cut.problem).toContain('has lost or changed lines');
  await cut.close();
});
