import { sha256 } from '#sha256';
import { concat } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { MAX_BATCH_ENTRIES, MAX_ENTRY_BYTES } from '../core/limits.ts';
import { isBlank, NEWLINE } from '../core/lines.ts';
import type { Draft } from './log.ts';

/** The whole body as one entry. @throws FormatError `entry-too-large` */
export function acceptPayload(payload: Uint8Array): Draft[] {
  if (payload.length > MAX_ENTRY_BYTES) {
    const says = `the entry has ${payload.length} bytes; ${MAX_ENTRY_BYTES} are the most: log its digest instead`;
    throw new FormatError('entry-too-large', says);
  }
  return [{ digest: sha256(payload), payload }];
}

/**
 * The lines of a body that are entries: their bytes as they are, without the newline. Blank lines are skipped.
 * @param pieces of the body, in order
 * @throws FormatError `batch-empty`, `batch-too-large`
 */
export function cutLines(...pieces: readonly Uint8Array[]): Uint8Array[] {
  const lines: Uint8Array[] = [];
  const add = (line: Uint8Array): void => {
    if (isBlank(line)) return;
    if (lines.length === MAX_BATCH_ENTRIES) {
      throw new FormatError('batch-too-large', `a batch has ${MAX_BATCH_ENTRIES} entries at most: send several`);
    }
    lines.push(line);
  };
  /** The beginning of a line that the next piece goes on with. */
  let open: Uint8Array[] = [];
  for (const piece of pieces) {
    let begin = 0;
    for (let end = piece.indexOf(NEWLINE); end >= 0; end = piece.indexOf(NEWLINE, begin)) {
      const line = piece.subarray(begin, end);
      add(open.length === 0 ? line : concat(...open, line));
      open = [];
      begin = end + 1;
    }
    if (begin < piece.length) open.push(piece.subarray(begin));
  }
  add(concat(...open));
  if (lines.length === 0) throw new FormatError('batch-empty', 'the body holds no entry: every line is blank');
  return lines;
}

/** Each line as an entry. A line larger than an entry is its digest alone. */
export function acceptLines(lines: readonly Uint8Array[]): Draft[] {
  return lines.map((line) => ({ digest: sha256(line), payload: payloadOfLine(line) }));
}

/** What is kept of a line besides its digest. */
export function payloadOfLine(line: Uint8Array): Uint8Array | null {
  return line.length > MAX_ENTRY_BYTES ? null : line;
}

/** Digests whose payloads stay with the client. @throws FormatError `batch-empty`, `batch-too-large` */
export function acceptDigests(digests: readonly Uint8Array[]): Draft[] {
  if (digests.length === 0) throw new FormatError('batch-empty', 'the body holds no digest');
  if (digests.length > MAX_BATCH_ENTRIES) {
    throw new FormatError('batch-too-large', `a batch has ${MAX_BATCH_ENTRIES} digests at most: send several`);
  }
  return digests.map((digest) => {
    if (digest.length !== 32) throw new FormatError('digest-invalid', 'a digest has 32 bytes (SHA-256)');
    return { digest, payload: null };
  });
}
