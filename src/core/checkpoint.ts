// C2SP tlog-checkpoint, without extension lines.

import { excerpt, fromBase64, toBase64 } from './bytes.ts';
import { FormatError } from './errors.ts';

/** The head of a log: its size and root. */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
}

/** `origin\nsize\nbase64(root)\n`: the text that is signed. */
export function formatCheckpoint(checkpoint: Checkpoint): string {
  return `${checkpoint.origin}\n${checkpoint.size}\n${toBase64(checkpoint.root)}\n`;
}

/** @throws FormatError `checkpoint-invalid`, `base64-invalid` */
export function parseCheckpoint(text: string): Checkpoint {
  const match = /^([^\s+]{1,400})\n(0|[1-9]\d{0,15})\n([A-Za-z0-9+/]{43}=)\n$/.exec(text);
  const size = Number(match?.[2]);
  if (match === null || !Number.isSafeInteger(size)) {
    throw new FormatError('checkpoint-invalid', `not a checkpoint (origin, size, root): ${excerpt(text)}`);
  }
  return { origin: match[1] ?? '', size, root: fromBase64(match[3] ?? '') };
}
