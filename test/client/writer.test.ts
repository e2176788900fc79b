import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Entry as AppendedEntry,
  Client,
  type Content as EntryContent,
  type WriterOptions,
} from '../../src/client/client.ts';
import { testDatabase } from '../support/postgres.ts';
import { type TestService, testService } from '../support/service.ts';
import { startServiceChild } from '../support/service-child.ts';

const run = promisify(execFile);
const EXITING = fileURLToPath(new URL('exiting-process.ts', import.meta.url));

let service: TestService;
let names = 0;

beforeAll(async () => {
  service = await testService();
});
afterAll(() => service[Symbol.asyncDispose]());

const newName = (): string => `client-${names++}`;

async function stored(log: string, url = service.url): Promise<string[]> {
  const text = await (await fetch(`${url}/v1/logs/${log}/export?receipts=false`)).text();
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line).payload)
    .map(({ text, base64 }) => text ?? `base64 ${base64}`);
}

/** Tells of nothing, and of time as it is but for waits, which take a hundredth. */
const quick: WriterOptions = { onError: () => {}, sleep: (ms) => sleep(ms / 100) };

describe('a writer', () => {
  it('appends in the background, in order, in few requests, and makes the log', async () => {
    let requests = 0;
    const counting: typeof fetch = (input, init) => {
      requests++;
      return fetch(input, init);
    };
    const name = newName();
    await using client = new Client({ url: service.url, fetch: counting });
    const log = client.log(name);
    expect(client.log(name)).toBe(log);
    const appended = Array.from({ length: 3_000 }, (_, i) => log.append(`entry ${i}`));
    expect(log.buffered).toBe(3_000);
    await log.flush();
    expect(log.buffered).toBe(0);
    const entries = await Promise.all(appended);
    expect(entries.map(({ index }) => index)).toEqual(entries.map((_, i) => i));
    expect(await stored(name)).toEqual(entries.map((_, i) => `entry ${i}`));
    expect(requests).toBeLessThan(10);
  });

  it('takes text, bytes and JSON as they are, also what is no line', async () => {
    const name = newName();
    await using client = new Client({ url: service.url });
    const log = client.log(name);
    const contents: EntryContent[] = [
      'a',
      'two\nlines',
      '',
      ' \t',
      '\n',
      '\r',
      { user: 7, done: true },
      Uint8Array.of(0, 255),
      'grüße\r',
      'z',
    ];
    const entries = await Promise.all(contents.map((content) => log.append(content)));
    expect(entries.map(({ index }) => index)).toEqual(contents.map((_, i) => i));
    expect(await stored(name)).toEqual([
      'a',
      'two\nlines',
      '',
      ' \t',
      '\n',
      '\r',
      '{"user":7,"done":true}',
      'base64 AP8=',
      'grüße\r',
      'z',
    ]);
    await expect(log.append('x'.repeat((1 << 20) + 1))).rejects.toMatchObject({ code: 'entry-too-large' });
    await expect(log.append(Object.assign(() => {}, {}))).rejects.toMatchObject({ code: 'entry-invalid' });
  });

  it('gets the receipt of an entry, and checks it', async () => {
    const name = newName();
    await using client = new Client({ url: service.url });
    const log = client.log(name);
    const entries = await Promise.all(Array.from({ length: 37 }, (_, i) => log.append(`${i}`)));
    for (const entry of entries) {
      const receipt = await log.receipt(entry);
      expect(receipt.entry).toMatchObject({ index: entry.index, digest: entry.digest, log: entry.log });
      // By what an application stores.
      const { log: origin, index, digest } = entry;
      expect((await log.receipt({ log: origin, index, digest })).entry).toEqual(receipt.entry);
      await expect(log.receipt({ log: origin, index, digest: '0'.repeat(64) })).rejects.toMatchObject({
        code: 'answer-contradicts',
      });
    }
    await service.closeRound();
    const receipt = await log.receipt(entries[5] as AppendedEntry, { wait: 5, until: 'round' });
    expect(receipt.round).toMatchObject({ number: expect.any(Number) });
  });

  it('stores each entry once, whatever becomes of requests and answers', async () => {
    let requests = 0;
    const unreliable: typeof fetch = async (input, init) => {
      requests++;
      const what = requests % 5;
      if (what === 1) throw new TypeError('fetch failed');
      const response = await fetch(input, init);
      if (what === 2) throw new TypeError('terminated');
      if (what === 3) return new Response('<h1>Bad gateway</h1>', { status: 502 });
      return response;
    };
    const name = newName();
    await using client = new Client({ url: service.url, fetch: unreliable });
    const log = client.log(name, quick);
    for (let i = 0; i < 200; i++) {
      log.append(`entry ${i}`);
      if (i % 20 === 0) await log.flush();
    }
    await log.close();
    expect(await stored(name)).toEqual(Array.from({ length: 200 }, (_, i) => `entry ${i}`));
    expect(requests).toBeGreaterThan(30);
  });

  it('tells what the service refuses, and goes on', async () => {
    const told: unknown[] = [];
    await using client = new Client({ url: service.url });
    const system = client.log('_system', { onError: (error, entries) => told.push([error, entries]) });
    await expect(system.append('mine')).rejects.toMatchObject({ code: 'log-reserved' });
    await system.flush();
    expect(told).toEqual([[expect.objectContaining({ code: 'log-reserved' }), 1]]);
    await system.close();
    await expect(system.append('late')).rejects.toMatchObject({ code: 'writer-closed' });
  });

  it('gives a batch up where it was told to', async () => {
    await using client = new Client({ url: 'http://127.0.0.1:1' });
    const told: number[] = [];
    const log = client.log('nowhere', { ...quick, giveUpAfter: 1_000, onError: (_, entries) => told.push(entries) });
    let now = 0;
    const impatient = client.log('nobody', { ...quick, giveUpAfter: 60_000, now: () => (now += 10_000) });
    await expect(log.append('a')).rejects.toMatchObject({ code: 'service-unreachable' });
    await expect(impatient.append('a')).rejects.toMatchObject({ code: 'service-unreachable' });
    expect(told).toEqual([1]);
  });
});

describe('a buffer', () => {
  it('is bounded: a full one refuses, told once, and holds back whoever asks', async () => {
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const waiting: typeof fetch = async (input, init) => {
      await gate;
      return fetch(input, init);
    };
    const name = newName();
    const told: unknown[] = [];
    await using client = new Client({ url: service.url, fetch: waiting });
    const log = client.log(name, { maxBufferedEntries: 10, onError: (error) => told.push(error) });
    const taken = Array.from({ length: 10 }, (_, i) => log.append(`${i}`));
    expect(log.full).toBe(true);
    await expect(log.append('too much')).rejects.toMatchObject({ code: 'buffer-full' });
    await expect(log.append('too much')).rejects.toMatchObject({ code: 'buffer-full' });
    expect(told).toEqual([expect.objectContaining({ code: 'buffer-full' })]);
    let ready = false;
    const held = log.ready().then(() => {
      ready = true;
    });
    await sleep(50);
    expect(ready).toBe(false);
    open();
    await held;
    taken.push(log.append('fits'));
    await Promise.all(taken);
    expect(await stored(name)).toEqual([...Array.from({ length: 10 }, (_, i) => `${i}`), 'fits']);
  });

  it('is bounded in bytes as well, and a loop that waits for it loses nothing', async () => {
    const name = newName();
    await using client = new Client({ url: service.url });
    const log = client.log(name, { maxBufferedBytes: 100_000 });
    let most = 0;
    for (let i = 0; i < 2_000; i++) {
      await log.ready();
      log.append(`${i}`.padEnd(500, '.'));
      most = Math.max(most, log.buffered);
    }
    await log.flush();
    expect(most).toBeLessThan(150);
    expect((await stored(name)).map((line) => Number.parseInt(line, 10))).toEqual(
      Array.from({ length: 2_000 }, (_, i) => i),
    );
  });
});

describe('answers that do not hold', () => {
  /** A client whose answers to requests like `method` are altered on the way. */
  const lied = (alter: (answer: Record<string, unknown>) => void, path: RegExp): Client => {
    const liar: typeof fetch = async (input, init) => {
      const response = await fetch(input, init);
      if (!path.test(String(input)) || !response.ok) return response;
      const answer: Record<string, unknown> = JSON.parse(await response.text());
      alter(answer);
      return new Response(JSON.stringify(answer), { status: response.status });
    };
    return new Client({ url: service.url, fetch: liar });
  };

  it.each<[string, (answer: Record<string, unknown>) => void]>([
    ['another digest', (answer) => (answer.digest = 'ab'.repeat(32))],
    ['another count', (answer) => (answer.count = 2)],
    ['an index that stood already', (answer) => (answer.index = 0)],
    ['another log', (answer) => (answer.log = 'log.test/logs/other')],
    ['a time before the last', (answer) => (answer.receivedAt = '2001-01-01T00:00:00.000Z')],
  ])('to an append are found: %s', async (_, alter) => {
    const name = newName();
    await service.send('PUT', `/v1/logs/${name}`);
    let answers = 0;
    await using client = lied((answer) => {
      if (answers++ > 0) alter(answer);
    }, /split=lines/);
    const log = client.log(name, quick);
    await log.append('first');
    await expect(log.append('second')).rejects.toMatchObject({ code: 'answer-contradicts' });
  });

  it('are no answers at all', async () => {
    const name = newName();
    await service.send('PUT', `/v1/logs/${name}`);
    await using client = lied((answer) => delete answer.leafHash, /split=lines/);
    await expect(client.log(name, quick).append('first')).rejects.toMatchObject({ code: 'answer-invalid' });
  });

  it('as receipts are found: whatever is changed in them', async () => {
    const name = newName();
    await using honest = new Client({ url: service.url });
    const log = honest.log(name);
    const entries = await Promise.all(Array.from({ length: 7 }, (_, i) => log.append(`${i}`)));
    const flipped = (hex: unknown): string => String(hex).replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
    const change =
      (part: string, name: string, how: (value: unknown) => unknown) => (answer: Record<string, unknown>) => {
        const inner = answer[part];
        if (typeof inner !== 'object' || inner === null) throw new Error(`no ${part}`);
        answer[part] = { ...inner, [name]: how(Object.entries(inner).find(([key]) => key === name)?.[1]) };
      };
    const lies: ((answer: Record<string, unknown>) => void)[] = [
      change('entry', 'digest', flipped),
      change('entry', 'nonce', flipped),
      change('entry', 'previous', flipped),
      change('entry', 'index', () => 2),
      change('entry', 'log', () => 'log.test/logs/other'),
      change('entry', 'receivedAt', () => '2001-01-01T00:00:00.000Z'),
      change('inclusion', 'treeSize', (size) => Number(size) + 1),
      change('inclusion', 'path', (path) => (Array.isArray(path) ? path.slice(1) : path)),
      change('inclusion', 'path', (path) => (Array.isArray(path) ? [...path, 'ab'.repeat(32)] : path)),
      change('inclusion', 'path', (path) => (Array.isArray(path) ? [flipped(path[0]), ...path.slice(1)] : path)),
      change('inclusion', 'path', () => ['not hex']),
      (answer) => (answer.checkpoint = 'log.test/logs/other\n7\nAAAA\n'),
      (answer) => (answer.checkpoint = String(answer.checkpoint).replace(/\n(.)/, '\n9$1')),
      (answer) => (answer.format = 'antequem-receipt/v2'),
      (answer) => delete answer.entry,
    ];
    for (const entry of [entries[3], entries[6]]) {
      if (entry === undefined) throw new Error('no entry');
      for (const lie of lies) {
        await using client = lied(lie, /receipt/);
        await expect(client.log(name).receipt(entry)).rejects.toMatchObject({ code: 'answer-contradicts' });
      }
      await using client = lied(() => {}, /receipt/);
      await expect(client.log(name).receipt(entry)).resolves.toMatchObject({ entry: { index: entry.index } });
    }
  });
});

describe('a process that ends', () => {
  it('ends cleanly, and nothing is left unsent', async () => {
    const name = newName();
    const { stdout, stderr } = await run(process.execPath, [EXITING, service.url, name, '2500']);
    expect([stdout, stderr]).toEqual(['buffered 2500\n', '']);
    expect(await stored(name)).toEqual(Array.from({ length: 2_500 }, (_, i) => `entry ${i}`));
  });

  it('is told of what was refused, and is not brought down by it', async () => {
    const { stderr } = await run(process.execPath, [EXITING, service.url, '_system', '3']);
    expect(stderr).toBe(
      'antequem: 3 entries of the log _system were not appended: _system is the log of the service itself: nobody else appends to it\n',
    );
  });
});

describe('a service that is away for a minute', () => {
  it('costs nothing but time', async () => {
    const database = await testDatabase();
    const folder = await mkdtemp(join(tmpdir(), 'antequem-away-'));
    const seed = join(folder, 'seed');
    await writeFile(seed, randomBytes(32).toString('hex'));
    const settings = { DATABASE_URL: database.url, ORIGIN: 'log.test', LOG_SEED_FILE: seed, ROLES: 'api' };
    let child = await startServiceChild({ ...settings, PORT: '0' });
    const url = child.url ?? '';
    // Each wait takes a fiftieth; how long they would have been is added up.
    let waited = 0;
    const client = new Client({ url, timeout: 5_000 });
    const log = client.log('demo', {
      ...quick,
      sleep: (ms) => {
        waited += ms;
        return sleep(ms / 50);
      },
    });
    const appended: Promise<AppendedEntry>[] = [];
    let over = false;
    const application = (async () => {
      for (let i = 0; !over; i++) {
        appended.push(log.append(`entry ${i}`));
        await sleep(5);
      }
    })();
    try {
      await sleep(300);
      await child.kill();
      const before = waited;
      while (waited - before < 60_000) await sleep(20);
      child = await startServiceChild({ ...settings, PORT: new URL(url).port });
      await sleep(300);
      over = true;
      await application;
      await client.close();
      const entries = await Promise.all(appended);
      expect(entries.map(({ index }) => index)).toEqual(entries.map((_, i) => i));
      expect(await stored('demo', url)).toEqual(entries.map((_, i) => `entry ${i}`));
      expect(entries.length).toBeGreaterThan(100);
    } finally {
      over = true;
      await child.kill();
      await database.drop();
      await rm(folder, { recursive: true });
    }
  });
});
