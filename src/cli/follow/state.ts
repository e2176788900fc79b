// What a follower must know after a crash, in one file that is always whole.

import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import * as z from 'zod';
import { HASH_HEX } from '../../core/bytes.ts';
import { writeDurably } from '../../core/durable-file.node.ts';
import { AntequemError, hasCode, messageOf } from '../../core/errors.ts';
import { parseJson } from '../../core/json.ts';

const FORMAT = 'antequem-follow/v1';

const size = z.int().nonnegative();
const sha256 = z.string().regex(HASH_HEX);

/** A hash of bytes in place of them, for what is in a log need not lie about elsewhere. */
const fingerprint = z.strictObject({ length: size, sha256 });
const inode = z.strictObject({ dev: z.string(), ino: z.string() });

const followState = z.strictObject({
  format: z.literal(FORMAT),
  /** Of the log: it is the same whatever URL the service answers under. */
  origin: z.string(),
  path: z.string(),
  /** The file being read; null between two of them. `head` are its first bytes, `tail` those before `offset`. */
  file: z.nullable(z.strictObject({ ...inode.shape, head: fingerprint, tail: fingerprint })),
  /** Everything before it is stored by the service. */
  offset: size,
  /**
   * A batch that may or may not be stored: the bytes from start to end under this key. `line` is there for a line that is
   * logged by its digest: its bytes, of which `sha256` is.
   */
  intent: z.nullable(
    z.strictObject({ start: size, end: size, sha256, key: z.string(), at: size, line: z.optional(size) }),
  ),
  /** Rotated files in the folder that are read to their end, or were there before the first start. */
  done: z.array(z.strictObject({ ...inode.shape, size, head: fingerprint, tail: fingerprint })),
});

export type FollowState = z.infer<typeof followState>;
export type Fingerprint = z.infer<typeof fingerprint>;
export type FinishedFile = FollowState['done'][number];

export function newState(of: Pick<FollowState, 'origin' | 'path'>, done: FinishedFile[]): FollowState {
  return { format: FORMAT, ...of, file: null, offset: 0, intent: null, done };
}

/**
 * The saved state, or null where there is none.
 * @throws AntequemError `follow-state-invalid` where it is damaged, `follow-state-other` where it is of another file,
 * log or service
 */
export async function loadState(file: string, of: Pick<FollowState, 'origin' | 'path'>): Promise<FollowState | null> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  }
  const state = parse(text, file);
  for (const key of ['origin', 'path'] as const) {
    if (state[key] !== of[key]) {
      throw new AntequemError(
        'follow-state-other',
        `${file} is the state of following ${state.path} into ${state.origin}; name another with --state`,
      );
    }
  }
  return state;
}

function parse(text: string, file: string): FollowState {
  const parsed = followState.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new AntequemError(
    'follow-state-invalid',
    `${file} is not the state of a follower; see what the log holds, then remove it to begin at the file's first line`,
    { cause: parsed.error },
  );
}

/** Durable once it returns: after a crash the file holds this state or the one before. */
export async function saveState(file: string, state: FollowState): Promise<void> {
  try {
    await writeDurably(file, JSON.stringify(state), { mode: 0o600 });
  } catch (cause) {
    throw new AntequemError('follow-state-unwritable', `cannot save the state ${file}: ${messageOf(cause)}`, { cause });
  }
}

export async function makeStateFolder(file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
}
