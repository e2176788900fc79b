// `antequem append --follow`: finds the state file, takes the lock, handles signals and prints progress.

import { createHash } from 'node:crypto';
import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AntequemError, messageOf } from '../../core/errors.ts';
import { deliver, retryPolicy } from '../delivery.ts';
import { counted, note, printJsonLine } from '../output.ts';
import type { Session } from '../session.ts';
import { Follower } from './follower.ts';
import { acquireLock } from './lock.ts';
import { lookAround } from './rotation.ts';
import { FollowedFile } from './source.ts';
import { type FinishedFile, type FollowState, loadState, makeStateFolder, newState, saveState } from './state.ts';

const POLL = 200;
const GRACE = 1_000;

export interface FollowFlags {
  readonly batch: number;
  readonly batchBytes: number;
  readonly state?: string;
  readonly retry?: number;
  readonly skipMissing?: true;
}

export async function followCommandLine(
  session: Session,
  log: string,
  file: string | undefined,
  flags: FollowFlags,
): Promise<void> {
  if (file === undefined || file === '-') {
    throw new AntequemError('options-conflict', '--follow needs a file; to read a pipe to its end, omit --follow');
  }
  const path = await canonical(file);
  const policy = retryPolicy(flags.retry ?? Number.POSITIVE_INFINITY);
  const { origin } = await deliver(session.client, log, () => session.client.describeLog(log), policy);
  const of = { origin, path };
  const stateFile = flags.state ?? defaultStateFile(of);
  await makeStateFolder(stateFile);
  const lock = await acquireLock(`${stateFile}.lock`);
  try {
    const state = (await loadState(stateFile, of)) ?? newState(of, await olderFiles(path));
    await saveState(stateFile, state);
    await follow(session, log, state, stateFile, flags);
  } finally {
    await lock.release();
  }
}

async function follow(
  session: Session,
  log: string,
  state: FollowState,
  stateFile: string,
  flags: FollowFlags,
): Promise<void> {
  const { path } = state;
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.once(signal, onSignal);
  note(`following ${path} into ${log}, starting at byte ${state.offset}; state in ${stateFile}`);
  let count = 0;
  let digestOnly = 0;
  const policy = retryPolicy(flags.retry ?? Number.POSITIVE_INFINITY, stop.signal);
  const follower = new Follower(state, {
    path,
    limits: { lines: flags.batch, bytes: flags.batchBytes },
    poll: POLL,
    grace: GRACE,
    skipMissing: flags.skipMissing === true,
    signal: stop.signal,
    now: Date.now,
    sleep: async (ms, signal) => {
      await sleep(ms, undefined, { signal });
    },
    save: (saved) => saveState(stateFile, saved),
    send: (content, key) =>
      deliver(
        session.client,
        log,
        (options) =>
          'digest' in content
            ? session.client.appendDigests(log, [content.digest], options)
            : session.client.appendLines(log, content.body, options),
        policy,
        key,
      ),
    onSent: (appended, from) => {
      count += appended.count;
      if (from.digestOnly === true) digestOnly++;
      if (session.json) printJsonLine({ log, index: appended.index, count: appended.count, ...from });
    },
    warn: (text) => note(`warning: ${text}`),
  });
  try {
    await follower.run();
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
  }
  const by = digestOnly === 0 ? '' : `, ${digestOnly} of them only as a digest`;
  note(`stopped after ${counted(count, 'entry', 'entries')}${by}; the same command continues from here`);
}

/** Rotated files from before the first start are not followed. */
async function olderFiles(path: string): Promise<FinishedFile[]> {
  const { rotated } = await lookAround(path);
  const older: FinishedFile[] = [];
  for (const file of rotated) {
    const source = file.size === 0 ? null : await FollowedFile.openFile(file, file.size);
    if (source === null) continue;
    older.push(source.finished());
    await source.close();
  }
  return older;
}

/** Resolves symbolic links in the folders of the path. Its last part may be a link, or not exist yet. */
async function canonical(file: string): Promise<string> {
  const full = resolve(file);
  try {
    const found = await stat(full).catch(() => null);
    if (found !== null && !found.isFile()) throw new Error('it is not a regular file');
    return join(await realpath(dirname(full)), basename(full));
  } catch (cause) {
    throw new AntequemError('file-unreadable', `cannot follow ${file}: ${messageOf(cause)}`, { cause });
  }
}

function defaultStateFile(of: { origin: string; path: string }): string {
  const { XDG_STATE_HOME } = process.env;
  const folder =
    XDG_STATE_HOME === undefined || XDG_STATE_HOME === ''
      ? join(process.cwd(), '.antequem', 'follow')
      : join(XDG_STATE_HOME, 'antequem');
  const name = createHash('sha256').update(`${of.path}\n${of.origin}`).digest('hex').slice(0, 32);
  return join(folder, `${name}.json`);
}
