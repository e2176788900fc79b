import { createHash } from 'node:crypto';
import { appendFileSync, copyFileSync, existsSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { finished, run, start } from './command.ts';
import { type Fault, TestService } from './service.ts';

let service: TestService;
let folder: string;
let log: string;

beforeEach(async () => {
  service = new TestService();
  await service.start();
  service.logs.set('demo', []);
  folder = await mkdtemp(join(tmpdir(), 'follow-'));
  log = join(folder, 'app.log');
});

afterEach(async () => {
  await service.stop();
  await rm(folder, { recursive: true, force: true });
});

const posts = (): number => service.requests.filter(({ method }) => method === 'POST').length;
const args = (...more: string[]): string[] => ['append', 'demo', log, '--follow', '--url', service.url, ...more];
const follow = (...more: string[]) => start(args(...more), { cwd: folder });
const stored = (): string[] => service.logs.get('demo') ?? [];
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function until(condition: () => boolean, ms = 10_000): Promise<void> {
  const end = Date.now() + ms;
  while (!condition() && Date.now() < end) await pause(10);
}

/** What a follower made of a moment, until it has stored so many lines. */
async function followUntil(count: number, ...more: string[]): Promise<string> {
  const child = follow(...more);
  const end = finished(child);
  await until(() => stored().length >= count);
  child.kill('SIGTERM');
  const { code, stderr } = await end;
  expect(code, stderr).toBe(0);
  return stderr;
}

/** Moves FILE.1 to FILE.2 and so on, and FILE out of the way. */
function shift(move: (from: string, to: string) => void): void {
  let last = 1;
  while (existsSync(`${log}.${last}`)) last++;
  for (let i = last; i > 1; i--) renameSync(`${log}.${i - 1}`, `${log}.${i}`);
  move(log, `${log}.1`);
}

function rotateByRename(): void {
  shift(renameSync);
  writeFileSync(log, '');
}

function rotateByCopy(): void {
  shift(copyFileSync);
  truncateSync(log);
}

test('a growing file, from its first line; a line waits for its newline', async () => {
  await writeFile(log, 'one\ntwo\nthr');
  const child = follow('--json');
  const end = finished(child);
  await until(() => stored().length >= 2);
  await pause(500);
  expect(stored()).toEqual(['one', 'two']);
  appendFileSync(log, 'ee\n\nfour\n');
  await until(() => stored().length >= 4);
  child.kill('SIGINT');
  const { code, stdout, stderr } = await end;
  expect(code, stderr).toBe(0);
  expect(stored()).toEqual(['one', 'two', 'three', 'four']);
  expect(
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toMatchObject([
    { log: 'demo', index: 0, count: 2, file: log, start: 0, end: 8 },
    { log: 'demo', index: 2, count: 2, file: log, start: 8, end: 20 },
  ]);
});

test('a missing file is waited for, and files rotated before the first start are ignored', async () => {
  await writeFile(`${log}.1`, 'old\n');
  const child = follow();
  const end = finished(child);
  await pause(500);
  writeFileSync(log, 'new\n');
  await until(() => stored().length >= 1);
  await pause(300);
  child.kill('SIGTERM');
  expect((await end).code).toBe(0);
  expect(stored()).toEqual(['new']);
});

describe.each([
  { how: 'renamed', rotate: rotateByRename },
  { how: 'copied and truncated', rotate: rotateByCopy },
])('a file that is $how', ({ rotate }) => {
  test('while it is followed: the old file is finished first, its last line without newline too', async () => {
    await writeFile(log, 'one\n');
    const child = follow();
    const end = finished(child);
    await until(() => stored().length >= 1);
    appendFileSync(log, 'two\nthree');
    rotate();
    appendFileSync(log, 'four\n');
    await until(() => stored().length >= 4);
    child.kill('SIGTERM');
    const { code, stderr } = await end;
    expect(code, stderr).toBe(0);
    expect(stored()).toEqual(['one', 'two', 'three', 'four']);
  });

  test('three times while no follower runs', async () => {
    await writeFile(log, 'one\n');
    await followUntil(1);
    for (const line of ['two', 'three', 'four']) {
      appendFileSync(log, `${line}\n`);
      rotate();
    }
    appendFileSync(log, 'five\n');
    await followUntil(5);
    expect(stored()).toEqual(['one', 'two', 'three', 'four', 'five']);
  });
});

test('a batch in progress when the process was killed is sent again under its key', async () => {
  for (const fault of ['store-cut', 'cut'] satisfies Fault[]) {
    const lines = stored().length;
    const before = posts();
    appendFileSync(log, `a ${fault}\nb ${fault}\n`);
    service.fault = () => fault;
    const child = follow();
    const end = finished(child);
    await until(() => posts() > before);
    await pause(100);
    child.kill('SIGKILL');
    await end;
    // More came meanwhile and the file was rotated, yet the batch is what it was.
    appendFileSync(log, `c ${fault}\n`);
    rotateByRename();
    appendFileSync(log, `d ${fault}\n`);
    service.fault = () => null;
    await followUntil(lines + 4);
  }
  expect(stored()).toEqual([
    'a store-cut',
    'b store-cut',
    'c store-cut',
    'd store-cut',
    'a cut',
    'b cut',
    'c cut',
    'd cut',
  ]);
});

test('a batch whose file is gone stops the follower, unless --skip-missing is given', async () => {
  await writeFile(log, 'one\ntwo\n');
  service.fault = () => 'cut';
  const child = follow();
  const end = finished(child);
  await until(() => posts() > 0);
  child.kill('SIGKILL');
  await end;
  service.fault = () => null;
  await writeFile(`${log}.new`, 'three\n');
  renameSync(`${log}.new`, log);

  const stopped = await run(args(), { cwd: folder });
  expect(stopped.code).toBe(1);
  expect(stopped.stderr).toMatch(
    /^error: the last follower ended while it sent bytes 0 to 8 of a file .* no longer in its folder; .*--skip-missing$/m,
  );
  expect(await followUntil(1, '--skip-missing')).toContain('warning: the bytes after 0');
  expect(stored()).toEqual(['three']);
});

test('one follower per state', async () => {
  await writeFile(log, 'one\n');
  const first = follow();
  const end = finished(first);
  await until(() => stored().length >= 1);
  const second = await run(args(), { cwd: folder });
  expect(second.code).toBe(1);
  expect(second.stderr).toContain(`process ${first.pid} on `);
  first.kill('SIGKILL');
  await end;
  appendFileSync(log, 'two\n');
  await followUntil(2);
  expect(stored()).toEqual(['one', 'two']);
});

test('a state of another log and a damaged state are refused', async () => {
  await writeFile(log, 'one\n');
  const state = join(folder, 'state.json');
  await followUntil(1, '--state', state);
  const other = ['append', 'other', log, '--follow', '--url', service.url, '--state', state];
  expect((await run(other, { cwd: folder })).stderr).toContain('name another with --state');
  await writeFile(state, (await readFile(state, 'utf8')).slice(0, 40));
  const damaged = await run(args('--state', state), { cwd: folder });
  expect(damaged.code).toBe(1);
  expect(damaged.stderr).toContain('is not the state of a follower');
  expect(stored()).toEqual(['one']);
});

test('no line is lost, doubled or out of order however often the follower is killed', { timeout: 90_000 }, async () => {
  const began = Date.now();
  const faults: Fault[] = ['refuse', 'store-refuse', 'cut', 'store-cut', 'slow'];
  service.fault = () => (Math.random() < 0.3 ? (faults[Math.floor(Math.random() * faults.length)] ?? null) : null);
  const written: string[] = [];
  let rotations = 0;
  const writer = setInterval(() => {
    const lines = Array.from({ length: 1 + Math.floor(Math.random() * 20) }, (_, i) => `line ${written.length + i}`);
    written.push(...lines);
    appendFileSync(log, `${lines.join('\n')}\n`);
    // What is rotated before the first start is not followed.
    if (stored().length > 0 && Math.random() < 0.02) {
      rotations++;
      if (Math.random() < 0.5) rotateByRename();
      else rotateByCopy();
    }
  }, 10);
  const told: string[] = [];
  let kills = 0;
  // A machine with other work to do takes its time to start a process: some of them must live long enough to send.
  while ((kills < 30 || rotations < 2) && Date.now() - began < 60_000) {
    const child = follow('--batch', '200');
    const end = finished(child);
    await pause(100 + Math.random() * (kills < 30 ? 900 : 3_000));
    child.kill('SIGKILL');
    const { stderr } = await end;
    told.push(...stderr.split('\n').filter((line) => /^(warning|error):/.test(line)));
    kills++;
  }
  clearInterval(writer);
  service.fault = () => null;
  await followUntil(written.length);
  expect(told).toEqual([]);
  expect(kills).toBeGreaterThanOrEqual(20);
  expect(rotations).toBeGreaterThan(0);
  expect(stored().length, `of ${await readdir(folder)}`).toBe(written.length);
  expect(stored()).toEqual(written);
});

describe('a line larger than an entry', () => {
  const long = (character: string): string => character.repeat((1 << 20) + 7);
  const digestOf = (line: string): string => createHash('sha256').update(line).digest('hex');

  test('is logged as a digest while it grows, and once over restarts', async () => {
    await writeFile(log, `one\n${long('x')}`);
    const child = follow();
    const end = finished(child);
    await until(() => stored().length >= 1);
    appendFileSync(log, 'more');
    await pause(400);
    expect(stored()).toEqual(['one']);
    appendFileSync(log, `\ntwo\n${long('y')}\nthree\n`);
    await until(() => stored().length >= 5);
    child.kill('SIGTERM');
    const { stderr } = await end;
    expect(stderr).toContain('logged only as a digest');
    expect(stderr).toContain('stopped after 5 entries, 2 of them only as a digest');
    const all = ['one', digestOf(`${long('x')}more`), 'two', digestOf(long('y')), 'three'];
    expect(stored()).toEqual(all);
    appendFileSync(log, 'four\n');
    await followUntil(6);
    expect(stored()).toEqual([...all, 'four']);
  });

  test('that was stored before the process died unanswered is not stored again', async () => {
    for (const move of [() => {}, rotateByRename, rotateByCopy]) {
      service.logs.set('demo', []);
      await rm(folder, { recursive: true, force: true });
      folder = await mkdtemp(join(tmpdir(), 'follow-'));
      log = join(folder, 'app.log');
      await writeFile(log, `${long('x')}\nafter\n`);
      let lose = true;
      service.fault = () => {
        if (!lose) return null;
        lose = false;
        return 'store-cut';
      };
      const child = follow();
      const end = finished(child);
      await until(() => stored().length >= 1);
      child.kill('SIGKILL');
      await end;
      move();
      await followUntil(2);
      expect(stored()).toEqual([digestOf(long('x')), 'after']);
    }
  });
});
