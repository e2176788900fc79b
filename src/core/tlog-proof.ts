// C2SP tlog-proof: the place of an entry in a log, as one text that stock tools read.

import { excerpt, fromBase64, fromHex, toBase64 } from './bytes.ts';
import { type Checkpoint, parseCheckpoint } from './checkpoint.ts';
import { encodeOpenEntry, type OpenEntry, parseOpenEntry } from './entry.ts';
import { FormatError } from './errors.ts';
import { HASH_SIZE } from './merkle.ts';
import { type Note, parseNote } from './note.ts';
import type { Receipt } from './receipt-schema.ts';

const VERSION = 'c2sp.org/tlog-proof@v1';
/** A note has 65,536 characters at most, a path 63 hashes. */
const MAX_PROOF = 327_680;
const MAX_EXTRA = 16_384;
/** Hashes from a leaf to the root: the trees of the format have at most 2^63 leaves. */
const MAX_PATH = 63;

export interface TlogProof {
  readonly index: number;
  /** From the leaf's sibling up, 32 bytes each. */
  readonly path: readonly Uint8Array[];
  /** Data of the application, which the proof does not vouch for; null: none. */
  readonly extra: Uint8Array | null;
  /** The signed note of the checkpoint, verbatim. */
  readonly checkpoint: string;
}

export interface ParsedTlogProof extends TlogProof {
  readonly note: Note;
  readonly head: Checkpoint;
}

export function formatTlogProof({ index, path, extra, checkpoint }: TlogProof): string {
  const lines = [
    VERSION,
    ...(extra === null ? [] : [`extra ${toBase64(extra)}`]),
    `index ${index}`,
    ...path.map(toBase64),
    '',
  ];
  return `${lines.join('\n')}\n${checkpoint}`;
}

/** Whether a text begins as a tlog-proof. */
export function isTlogProof(text: string): boolean {
  return text.startsWith(`${VERSION}\n`);
}

/**
 * Parses a proof; does not check it.
 * @throws FormatError `tlog-proof-invalid`, `note-invalid`, `checkpoint-invalid`, `base64-invalid`
 */
export function parseTlogProof(text: string): ParsedTlogProof {
  if (text.length > MAX_PROOF) throw invalid(`longer than ${MAX_PROOF} characters`);
  const blank = text.indexOf('\n\n');
  if (blank < 0) throw invalid('no blank line before the checkpoint');
  const [version, ...lines] = text.slice(0, blank).split('\n');
  if (version !== VERSION) throw invalid(`the first line is not ${VERSION} but ${excerpt(version ?? '')}`);
  const extra = lines[0]?.startsWith('extra ') ? fromBase64(lines[0].slice('extra '.length)) : null;
  if (extra !== null) {
    if (extra.length > MAX_EXTRA) throw invalid(`more than ${MAX_EXTRA} bytes of extra data`);
    lines.shift();
  }
  const [first = '', ...hashes] = lines;
  const [, digits] = /^index (0|[1-9]\d{0,15})$/.exec(first) ?? [];
  const index = Number(digits);
  if (digits === undefined || !Number.isSafeInteger(index)) throw invalid(`not an index: ${excerpt(first)}`);
  if (hashes.length > MAX_PATH) throw invalid(`more than ${MAX_PATH} hashes`);
  const path = hashes.map((line) => {
    const hash = fromBase64(line);
    if (hash.length !== HASH_SIZE) throw invalid(`not a hash of 32 bytes: ${excerpt(line)}`);
    return hash;
  });
  const checkpoint = text.slice(blank + 2);
  const note = parseNote(checkpoint);
  return { index, path, extra, checkpoint, note, head: parseCheckpoint(note.text) };
}

/** The proof of the entry's place that a receipt holds; the extra data are the entry ‖ nonce. */
export function receiptTlogProof({ entry, inclusion, checkpoint }: Receipt): TlogProof {
  return { index: entry.index, path: inclusion.path.map(fromHex), extra: encodeOpenEntry(entry), checkpoint };
}

/**
 * The entry and nonce in the extra data of a proof of ours; null where the extra data are another application's, or none.
 * Leaf hash = SHA-256(0x00 ‖ entry).
 */
export function tlogProofEntry({ extra }: TlogProof): OpenEntry | null {
  return extra === null ? null : parseOpenEntry(extra);
}

function invalid(what: string): FormatError {
  return new FormatError('tlog-proof-invalid', `not a tlog-proof: ${what}`);
}
