// Our paths as operations of OpenTimestamps.

import type { Step } from '../core/path.ts';
import type { Op } from './operation.ts';
import { type Timestamp, TimestampBuilder } from './timestamp.ts';

/** x → SHA-256(prefix ‖ x ‖ suffix), for each step. Never keccak, which clients in other languages cannot read. */
export function pathOps(steps: readonly Step[]): Op[] {
  return steps.flatMap(({ prefix, suffix }) => [
    ...(prefix.length > 0 ? [{ kind: 'prepend' as const, argument: prefix }] : []),
    ...(suffix.length > 0 ? [{ kind: 'append' as const, argument: suffix }] : []),
    { kind: 'sha256' as const },
  ]);
}

/**
 * The timestamp of `start` that goes along `steps` and on by `rest`, timestamps of where the steps end.
 * @throws FormatError `ots-message-differs`, `ots-depth`, `ots-empty` without any rest
 */
export function timestampAlong(start: Uint8Array, steps: readonly Step[], ...rest: Timestamp[]): Timestamp {
  const builder = new TimestampBuilder(start);
  const end = builder.follow(pathOps(steps));
  for (const timestamp of rest) end.add(timestamp);
  return builder.finish();
}
