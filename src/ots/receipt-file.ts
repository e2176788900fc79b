// The .ots file of a receipt.

import { fromBase64 } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { knownAnchors, type OpenTimestampsAnchor, type Receipt, receiptPath } from '../core/receipt.ts';
import type { OtsFile } from './file.ts';
import { type Line, pathOps, timestampLines, timestampOf } from './line.ts';
import { parseTimestamp } from './serialization.ts';
import { MAX_LEVELS, TimestampBuilder } from './timestamp.ts';

/**
 * The receipt as a file that any OpenTimestamps client takes for the payload: from its SHA-256 along the path to what the
 * calendars answered for the round's root. While they have not, to the leaf of the round and the promise of our own
 * calendar to know more of that. Keccak, which some clients cannot read, is not in it.
 * @param own our calendar as pending attestations name it; null: there is none
 * @throws AntequemError `receipt-pending` before the round has closed, and before the calendars have answered where there
 * is none of our own; `timestamp-too-long` where no client could read what they answered
 */
export function otsOfReceipt(receipt: Receipt, own: string | null): OtsFile {
  if (!('round' in receipt)) throw pending(receipt, 'its round has not closed');
  const { round } = receipt;
  const { digest, steps } = receiptPath(receipt);
  const ours = pathOps(steps);
  const answered = answersIn(receipt);
  if (answered.length > 0) {
    const lines = answered.map(({ ops, attestation }) => ({ ops: [...ours, ...ops], attestation }));
    return { hash: 'sha256', timestamp: timestampOf(digest, readable(lines)) };
  }
  if (own === null) throw pending(receipt, 'no calendar has answered for its round');
  const builder = new TimestampBuilder(digest);
  const toLeaf = steps.slice(0, steps.length - round.path.length);
  builder.follow(pathOps(toLeaf)).attest({ kind: 'pending', uri: own });
  return { hash: 'sha256', timestamp: builder.finish() };
}

/** What calendars have answered for the round of a receipt. */
export function answersIn(receipt: Receipt): Pick<Line, 'ops' | 'attestation'>[] {
  if (!('round' in receipt)) return [];
  const { root } = receiptPath(receipt);
  return knownAnchors(receipt).flatMap((anchor) => (anchor.type === 'opentimestamps' ? linesOf(anchor, root) : []));
}

function pending({ entry }: Receipt, why: string): AntequemError {
  return new AntequemError('receipt-pending', `entry ${entry.index} of ${entry.log}: ${why} yet, so ask later`);
}

type Attested = Pick<Line, 'ops' | 'attestation'>;

function linesOf(anchor: OpenTimestampsAnchor, root: Uint8Array): Line[] {
  return [...timestampLines(parseTimestamp(fromBase64(anchor.timestamp), root))];
}

function readable(lines: readonly Attested[]): Attested[] {
  const kept = lines.filter(({ ops }) => ops.length < MAX_LEVELS && !ops.some(({ kind }) => kind === 'keccak256'));
  if (kept.length > 0) return kept;
  const says = 'what the calendars answered leads on further than OpenTimestamps clients follow, or by Keccak';
  throw new AntequemError('timestamp-too-long', `${says}: take the JSON receipt, which has no such limit`);
}
