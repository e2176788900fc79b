// How fast a third party audits a million entries, in how little memory: from a service, from a plain web server with a
// mirror of it, from the mirror on disk; beside what hashing alone would take.

import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { sha256Into } from '#sha256';
import { temporaryFolder } from '../audit/ground.ts';
import { finished, type Ran, start } from '../cli/command.ts';
import { drafts, ORIGIN, openInstance } from '../support/instance.ts';
import { testDatabase } from '../support/postgres.ts';
import { message, startServiceChild } from '../support/service-child.ts';

const ENTRIES = Number(process.env.AUDIT_ENTRIES ?? 1_000_000);
const BATCH = 10_000;
/** Megabytes of JavaScript objects that an audit may have. */
const HEAP = 64;

/** Entries a second if nothing but their hashes had to be made: a leaf and a node of the tree. */
function hashLimit(): number {
  const inputs = [74, 65].map((length) => new Uint8Array(randomBytes(length)));
  const out = Buffer.alloc(32);
  const count = 300_000;
  for (let i = 0; i < 30_000; i++) for (const input of inputs) sha256Into(input, out, 0);
  const began = performance.now();
  for (let i = 0; i < count; i++) for (const input of inputs) sha256Into(input, out, 0);
  return (count * 1_000) / (performance.now() - began);
}

async function audited(folder: string, ...args: string[]): Promise<{ rate: number; peak: number }> {
  const child = start(['audit', ...args], { cwd: folder, env: { NODE_OPTIONS: `--max-old-space-size=${HEAP}` } });
  const peak = watchMemory(child);
  const ran: Ran = await finished(child);
  expect([ran.code, ran.stdout.split('\n')[0]]).toEqual([2, expect.stringContaining('unproven: no faults')]);
  const [, rate = ''] = /([\d,]+) entries\/s/.exec(ran.stderr) ?? [];
  return { rate: Number(rate.replaceAll(',', '')), peak: peak() };
}

/** The largest resident set so far, megabytes; 0 where the system does not tell. */
function watchMemory(child: ChildProcess): () => number {
  let peak = 0;
  const looking = setInterval(() => {
    const status = `/proc/${child.pid}/status`;
    const kilobytes = existsSync(status) ? /VmHWM:\s+(\d+) kB/.exec(readFileSync(status, 'utf8'))?.[1] : undefined;
    if (kilobytes !== undefined) peak = Math.round(Number(kilobytes) / 1_024);
  }, 20);
  child.on('exit', () => clearInterval(looking));
  return () => peak;
}

test(`a third party's audit of ${ENTRIES.toLocaleString('en')} entries`, async () => {
  const { url, drop } = await testDatabase();
  const folder = await temporaryFolder();
  const instance = await openInstance(url);
  const log = await instance.makeLog('large');
  for (let at = 0; at < ENTRIES; at += BATCH) {
    const batch = drafts(Math.min(BATCH, ENTRIES - at), `${at}`);
    await instance.appender.append(log, { drafts: batch, idempotency: null });
    if (at % 100_000 === 0) await instance.closeRound();
  }
  await instance.closeRound();
  await instance.end();
  await writeFile(join(folder.path, 'seed'), '07'.repeat(32));
  const environment = { DATABASE_URL: url, ORIGIN, PORT: '0', ROLES: 'api', LOG_SEED_FILE: join(folder.path, 'seed') };
  const lines: string[] = [];
  const line = (what: string, { rate, peak }: { rate: number; peak: number }): void => {
    const limit = hashLimit();
    const share = `${Math.round((100 * rate) / limit)} % of ${Math.round(limit).toLocaleString('en')}`;
    lines.push(
      `  ${what.padEnd(38)} ${rate.toLocaleString('en').padStart(9)} entries/s  ${share.padStart(18)}  ${peak} MB`,
    );
  };
  try {
    const service = await startServiceChild(environment);
    line('the service, on PostgreSQL', await audited(folder.path, '--url', service.url ?? ''));
    line('the service, a mirror saved', await audited(folder.path, '--url', service.url ?? '', '--save', 'mirror'));
    await service.stop();
    const server = fork(new URL('../support/static-process.ts', import.meta.url), [join(folder.path, 'mirror')]);
    const { port } = z.object({ port: z.number() }).parse(await message(server));
    line('the mirror, by a plain web server', await audited(folder.path, '--url', `http://127.0.0.1:${port}`));
    server.disconnect();
    const disk = await audited(folder.path, '--mirror', 'mirror');
    line('the mirror, on disk', disk);
    console.log(
      [
        `a third party's audit of ${ENTRIES.toLocaleString('en')} entries, heap limited to ${HEAP} MB`,
        `  ${'from'.padEnd(38)} ${'verified'.padStart(9)}             beside SHA-256, two  largest`,
        `  ${''.padEnd(38)} ${''.padStart(9)}             an entry, one core   resident set`,
        ...lines,
      ].join('\n'),
    );
    expect(disk.rate).toBeGreaterThan(100_000);
    expect(disk.peak).toBeLessThan(400);
  } finally {
    await folder.remove();
    await drop();
  }
});
