// The state that a follower needs after a crash, in one file that is replaced atomically.

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

/** A hash instead of the bytes, so that log content is not copied into the state file. */
const fingerprint = z.strictObject({ length: size, sha256 });
const inode = z.strictObject({ dev: z.string(), ino: z.string() });

const followState = z.strictObject({
  format: z.literal(FORMAT),
  /** The log's origin, which does not depend on the URL of the service. */
  origin: z.string(),
  path: z.string(),
  /** The file being read; null between two files. `head` is its first bytes, `tail` the bytes before `offset`. */
  file: z.nullable(z.strictObject({ ...inode.shape, head: fingerprint, tail: fingerprint })),
  /** The service has stored everything before this offset. */
  offset: size,
  /**
   * A batch that may or may not be stored: the bytes from start to end under this key. `line` exists if the batch is one
   * line that is logged by its digest: `sha256` is the hash of its bytes.
   */
  intent: z.nullable(
    z.strictObject({ start: size, end: size, sha256, key: z.string(), at: size, line: z.optional(size) }),
  ),
  /** Rotated files in the folder that were read to their end, or existed before the first start. */
  done: z.array(z.strictObject({ ...inode.shape, size, head: fingerprint, tail: fingerprint })),
});

export type FollowState = z.infer<typeof followState>;
export type Fingerprint = z.infer<typeof fingerprint>;
export type FinishedFile = FollowState['done'][number];

export function newState(of: Pick<FollowState, 'origin' | 'path'>, done: FinishedFile[]): FollowState {
  return { format: FORMAT, ...of, file: null, offset: 0, intent: null, done };
}

/**
 * The saved state, or null if there is none.
 * @throws AntequemError `follow-state-invalid` if it is damaged, `follow-state-other` if it belongs to another file, log
 * or service
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
        `${file} is the state for following ${state.path} into ${state.origin}; name another with --state`,
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
    `${file} is not the state of a follower; check what the log has, then remove it to start at the file's first line`,
    { cause: parsed.error },
  );
}

/** Durable once it returns: after a crash the file has this state or the previous one. */
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
