// One timestamp of a round's root out of all that calendars answered.

import { toHex } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import type { StoredAnswer } from './answers.ts';
import { serializeAttestation } from './attestation.ts';
import { type Line, timestampOf } from './line.ts';
import { usefulLines, withoutSlash } from './open-attestations.ts';
import type { Op } from './operation.ts';
import { parseTimestamp, serializeTimestamp } from './serialization.ts';
import { MAX_LEVELS, type Timestamp } from './timestamp.ts';

/** Bytes the timestamp in a receipt may have. */
export const MAX_ASSEMBLED = 65_536;

/** How a line fares with Bitcoin: `live` is a block that is not contradicted. */
export type Judgement = 'confirmed' | 'live' | 'contradicted';

export interface Assembly {
  readonly timestamp: Timestamp;
  readonly bytes: Uint8Array;
  /** The lines it has, confirmed ones in front. */
  readonly lines: readonly Line[];
}

/**
 * The lines from the root to every attestation: without blocks that are contradicted, and without the promises of
 * calendars that were kept; as many as there is room for, what is confirmed first. Null where there are none.
 */
export function assemble(
  root: Uint8Array,
  answers: readonly StoredAnswer[],
  judge: (height: number, merkleRoot: Uint8Array) => Judgement,
): Assembly | null {
  const { lines, kept } = connect(root, answers, judge);
  const rank = (line: Line): number => {
    const { attestation, message } = line;
    if (attestation.kind === 'bitcoin') return judge(attestation.height, message) === 'confirmed' ? 0 : 1;
    return attestation.kind === 'pending' ? 2 : 3;
  };
  const wanted = lines
    .filter(({ ops }) => ops.length < MAX_LEVELS)
    .filter(({ attestation, message }) =>
      attestation.kind === 'bitcoin'
        ? judge(attestation.height, message) !== 'contradicted'
        : attestation.kind !== 'pending' || !kept.has(promise(attestation.uri, message)),
    )
    .map((line) => ({ line, rank: rank(line), size: sizeOf(line) }))
    .sort((a, b) => a.rank - b.rank || a.size - b.size);
  let room = MAX_ASSEMBLED;
  const chosen: Line[] = [];
  for (const { line, size } of wanted) {
    if (size > room) continue;
    room -= size;
    chosen.push(line);
  }
  const timestamp = merge(root, chosen);
  return timestamp === null ? null : { timestamp, bytes: serializeTimestamp(timestamp), lines: chosen };
}

/** The lines as one timestamp; of lines that ask for more work than one timestamp may, those in front. */
function merge(root: Uint8Array, lines: Line[]): Timestamp | null {
  for (; lines.length > 0; lines.length = Math.floor(lines.length / 2)) {
    try {
      return timestampOf(root, lines);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
    }
  }
  return null;
}

/** What a calendar promised: to know more of this message. */
function promise(calendar: string, message: Uint8Array): string {
  return `${withoutSlash(calendar)} ${toHex(message)}`;
}

/** All lines that anything could be done with. */
export interface Connection {
  readonly lines: readonly Line[];
  /** Promises that were kept. */
  readonly kept: ReadonlySet<string>;
  /** Answers that are no timestamps of their message, or whose message nothing leads to from the root. */
  readonly strays: number;
}

/** Follows the answers from the root on, each from the message that another one led to. */
export function connect(
  root: Uint8Array,
  answers: readonly StoredAnswer[],
  judge: (height: number, merkleRoot: Uint8Array) => Judgement,
): Connection {
  const ways = new Map<string, readonly Op[]>([[toHex(root), []]]);
  const lines: Line[] = [];
  const kept = new Set<string>();
  let unreadable = 0;
  let open = [...answers];
  // An answer hangs on a message that another one leads to: all are placed once a look finds no more.
  for (let before = -1; open.length > 0 && open.length !== before; ) {
    before = open.length;
    open = open.filter((answer) => {
      const message = toHex(answer.message);
      const way = ways.get(message);
      if (way === undefined) return true;
      const below = linesOf(answer);
      if (below === null) unreadable++;
      for (const line of below ?? []) {
        const { attestation } = line;
        const ops = [...way, ...line.ops];
        lines.push({ ...line, ops });
        const end = toHex(line.message);
        if (attestation.kind === 'pending' && !ways.has(end)) ways.set(end, ops);
        const leadsOn =
          attestation.kind === 'bitcoin'
            ? judge(attestation.height, line.message) !== 'contradicted'
            : attestation.kind === 'pending' && end !== message;
        if (leadsOn) kept.add(promise(answer.calendar, answer.message));
      }
      return false;
    });
  }
  return { lines, kept, strays: unreadable + open.length };
}

function linesOf({ message, bytes }: StoredAnswer): Line[] | null {
  try {
    return usefulLines(parseTimestamp(bytes, message));
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}

/** Bytes that a line needs at most, the marks of forks included. */
function sizeOf({ ops, attestation }: Line): number {
  const sizes = ops.map((op) => ('argument' in op ? 4 + op.argument.length : 2));
  return sizes.reduce((sum, size) => sum + size, 2 + serializeAttestation(attestation).length);
}
