import { type LineHashing, LineHashingThread } from '../api/line-hashing.ts';
import type { Effects } from '../log/log.ts';
import { threadFile } from './thread-file.ts';

/** Hashes the lines of large bodies. */
export function openLineHashing({ random }: Pick<Effects, 'random'>): LineHashing {
  return new LineHashingThread({ file: threadFile('hashing-thread'), random, clock: () => performance.now() });
}
