// One follower per state. The lock file survives a killed process, so it names its owner and is renewed regularly.

import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import * as z from 'zod';
import { AntequemError, hasCode } from '../../core/errors.ts';

const BEAT = 5_000;
/** An owner whose process cannot be looked up (another container or machine) is gone if it was silent this long. */
const SILENCE = 30_000;
const ATTEMPTS = 10;

const owner = z.object({ id: z.string(), pid: z.int(), host: z.string(), started: z.nullable(z.string()) });
type Owner = z.infer<typeof owner>;

export interface Lock {
  release(): Promise<void>;
}

/** @throws AntequemError `follow-locked` if another process holds it */
export async function acquireLock(file: string): Promise<Lock> {
  const own: Owner = { id: randomUUID(), pid: process.pid, host: hostname(), started: await startOf(process.pid) };
  const draft = `${file}.${own.id}`;
  await writeFile(draft, JSON.stringify(own));
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      // A link appears with its content and fails if the name exists, so no process sees a half-written lock.
      const taken = await link(draft, file).then(
        () => true,
        () => false,
      );
      if (taken) return keep(file, own);
      await clearIfStale(file);
    }
  } finally {
    await rm(draft, { force: true });
  }
  throw new AntequemError('follow-locked', `cannot take the lock ${file}; is its folder writable?`);
}

function keep(file: string, own: Owner): Lock {
  const beat = setInterval(() => {
    const now = new Date();
    utimes(file, now, now).catch(() => {});
  }, BEAT).unref();
  return {
    release: async () => {
      clearInterval(beat);
      if ((await read(file))?.id === own.id) await rm(file, { force: true });
    },
  };
}

async function clearIfStale(file: string): Promise<void> {
  const found = await read(file);
  if (found === null) return;
  if (await lives(found, file)) {
    throw new AntequemError(
      'follow-locked',
      `process ${found.pid} on ${found.host} follows with the same state already (${file}); stop it first`,
    );
  }
  // Two processes may find the same stale lock. One that moves away a newer lock than the one it judged puts it back.
  const aside = `${file}.${randomUUID()}`;
  const moved = await rename(file, aside).then(
    () => true,
    () => false,
  );
  if (!moved) return;
  if ((await read(aside))?.id !== found.id) await link(aside, file).catch(() => {});
  await rm(aside, { force: true });
}

async function read(file: string): Promise<Owner | null> {
  try {
    return owner.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return null;
  }
}

async function lives(found: Owner, file: string): Promise<boolean> {
  if (found.host !== hostname()) {
    // Its owner released it after it was read.
    const mtimeMs = await stat(file).then(
      (found) => found.mtimeMs,
      () => null,
    );
    return mtimeMs !== null && Date.now() - mtimeMs < SILENCE;
  }
  try {
    process.kill(found.pid, 0);
  } catch (error) {
    // EPERM: the process exists and belongs to another user.
    if (!hasCode(error, 'EPERM')) return false;
  }
  return (await startOf(found.pid)) === found.started;
}

/** Start of a process in ticks since boot, since process ids are reused; null without /proc. */
async function startOf(pid: number): Promise<string | null> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8');
    // Field 2 is the command in parentheses and may contain any character; field 22 is the start.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
