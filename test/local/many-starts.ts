import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { readEndpoints } from '../../scripts/local/endpoints.ts';
import { family, survivors } from './processes.ts';

const project = resolve(import.meta.dirname, '../..');

interface Started {
  readonly child: ChildProcess;
  readonly exit: Promise<number | null>;
  readonly dataDir: string;
  output(): string;
}

/** `npm start` with the ports that it always has, and a data folder of its own. */
function begin(): Started {
  const dataDir = mkdtempSync(join(tmpdir(), 'antequem-starts-'));
  const { DATABASE_URL: _, PORT: __, ...env } = process.env;
  const child = spawn(process.execPath, ['scripts/local/start.mjs'], {
    cwd: project,
    env: { ...env, DATA_DIR: dataDir },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout.on('data', (text: Buffer) => (output += text));
  child.stderr.on('data', (text: Buffer) => (output += text));
  return { child, dataDir, exit: new Promise((done) => child.once('exit', done)), output: () => output };
}

/** Where it answers, once it does. */
async function urlOf({ child, dataDir, output }: Started): Promise<string> {
  for (;;) {
    const endpoints = readEndpoints(dataDir);
    if (endpoints !== null) return endpoints.url;
    expect(child.exitCode, output()).toBeNull();
    await sleep(50);
  }
}

async function appends(url: string): Promise<void> {
  await fetch(`${url}/v1/logs/demo`, { method: 'PUT' });
  const answer = await fetch(`${url}/v1/logs/demo/entries`, {
    method: 'POST',
    headers: { 'content-type': 'text/plain' },
    body: 'one line',
  });
  expect([url, answer.status]).toEqual([url, 201]);
  const ready = await fetch(`${url}/readyz`);
  expect([url, ready.status]).toEqual([url, 200]);
}

/** Starts so many at once: each answers at a port of its own and appends, and stops with all that it started. */
export async function startTogether(count: number): Promise<void> {
  const all = Array.from({ length: count }, begin);
  try {
    const urls = await Promise.all(all.map(urlOf));
    expect(new Set(urls).size).toBe(count);
    await Promise.all(urls.map(appends));
    const processes = all.flatMap(({ child }) => family(child.pid ?? 0));
    for (const { child } of all) child.kill('SIGTERM');
    // On a busy machine one that takes more than ten seconds to stop is cut short, and still leaves nothing behind.
    await Promise.all(all.map(({ exit }) => exit));
    expect(await survivors(processes, 60_000)).toEqual([]);
  } finally {
    for (const { child, dataDir } of all) {
      child.kill('SIGKILL');
      const pointer = join(dataDir, 'postgres.json');
      if (existsSync(pointer))
        rmSync(JSON.parse(readFileSync(pointer, 'utf8')).folder, { recursive: true, force: true });
      rmSync(dataDir, { recursive: true, force: true });
    }
  }
}
