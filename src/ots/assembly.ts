// Assembles one timestamp of a round's root from all answers of calendars.

import { toHex } from '../core/bytes.ts';
import { FormatError, parsed } from '../core/errors.ts';
import type { StoredAnswer } from './answers.ts';
import { serializeAttestation } from './attestation.ts';
import { type Line, timestampOf } from './line.ts';
import { usefulLines, withoutSlash } from './open-attestations.ts';
import type { Op } from './operation.ts';
import { parseTimestamp, serializeTimestamp } from './serialization.ts';
import { MAX_LEVELS, type Timestamp } from './timestamp.ts';

/** The most bytes of the timestamp in a receipt. */
export const MAX_ASSEMBLED = 65_536;

/** What Bitcoin says about a line: `live` is neither confirmed nor contradicted. */
export type Judgement = 'confirmed' | 'live' | 'contradicted';

export interface Assembly {
  readonly timestamp: Timestamp;
  readonly bytes: Uint8Array;
  /** Its lines, confirmed ones first. */
  readonly lines: readonly Line[];
}

/**
 * The lines from the root to every attestation, without contradicted blocks and without promises that calendars have kept; as
 * many as there is room for, confirmed ones first. Null: there are none.
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

/** The lines as one timestamp; if they need more work than a timestamp may, only the first ones. */
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

/** A calendar's promise to know more about this message later. */
function promise(calendar: string, message: Uint8Array): string {
  return `${withoutSlash(calendar)} ${toHex(message)}`;
}

/** All useful lines. */
export interface Connection {
  readonly lines: readonly Line[];
  /** Promises that were kept. */
  readonly kept: ReadonlySet<string>;
  /** Answers that do not timestamp their message, or whose message the root does not lead to. */
  readonly strays: number;
}

/** Follows the answers from the root, each from the message that another one leads to. */
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
  // An answer may follow from any other: the loop ends when a pass places no more of them.
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
  return parsed(() => usefulLines(parseTimestamp(bytes, message)));
}

/** The most bytes that a line needs, including the marks of forks. */
function sizeOf({ ops, attestation }: Line): number {
  const sizes = ops.map((op) => ('argument' in op ? 4 + op.argument.length : 2));
  return sizes.reduce((sum, size) => sum + size, 2 + serializeAttestation(attestation).length);
}
