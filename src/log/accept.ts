import { sha256 } from '#sha256';
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
 * Each line of the body as an entry: its bytes as they are, without the newline. Blank lines are skipped. A line larger
 * than an entry is its digest alone.
 * @throws FormatError `batch-empty`, `batch-too-large`
 */
export function acceptLines(body: Uint8Array): Draft[] {
  const drafts: Draft[] = [];
  for (let begin = 0; begin < body.length; ) {
    const newline = body.indexOf(NEWLINE, begin);
    const end = newline < 0 ? body.length : newline;
    if (!isBlank(body, begin, end)) {
      if (drafts.length === MAX_BATCH_ENTRIES) {
        throw new FormatError('batch-too-large', `a batch has ${MAX_BATCH_ENTRIES} entries at most: send several`);
      }
      const payload = body.subarray(begin, end);
      drafts.push({ digest: sha256(payload), payload: payload.length > MAX_ENTRY_BYTES ? null : payload });
    }
    begin = end + 1;
  }
  if (drafts.length === 0) throw new FormatError('batch-empty', 'the body holds no entry: every line is blank');
  return drafts;
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
