// The claims `anchor` for the OpenTimestamps anchor of a receipt.

import { parseHeader } from '../core/bitcoin-header.ts';
import { equalBytes, fromBase64, fromHex } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import type { OpenTimestampsAnchor } from '../core/receipt.ts';
import { formatTime } from '../core/time.ts';
import { type Line, timestampLines } from '../ots/line.ts';
import { parseTimestamp } from '../ots/serialization.ts';
import type { Timestamp } from '../ots/timestamp.ts';
import { type AnchorAnswer, unproven } from './anchor-answer.ts';
import { type AttestationContext, checkAttestations } from './attestations.ts';
import type { CarriedBlock } from './bitcoin-block-hash.ts';
import { type Code, claimOf } from './codes.ts';
import { nameBlock } from './evm-chains.ts';

/**
 * Answers for the attestations; where the anchor contradicts itself, for the blocks it carries that its timestamp does
 * not bear out, and no source is asked.
 * @param root 32 bytes: where the receipt's own path leads, which the timestamp must begin with
 * @param most answers given at the most, from 1 on
 */
export async function checkOtsAnchor(
  anchor: OpenTimestampsAnchor,
  root: Uint8Array,
  context: Omit<AttestationContext, 'carried'>,
  most: number,
): Promise<AnchorAnswer[]> {
  let timestamp: Timestamp;
  try {
    timestamp = parseTimestamp(fromBase64(anchor.timestamp), root);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return [unreadable(error, 'The OpenTimestamps proof in the receipt')];
  }
  const carried: CarriedBlock[] = [];
  const faults: AnchorAnswer[] = [];
  const lines = [...timestampLines(timestamp)];
  for (const { chain, height, header: hex, time } of anchor.blocks ?? []) {
    const header = parseHeader(fromHex(hex));
    const named = nameBlock(chain, { number: height });
    const refute = (code: Code, says: string): void =>
      void faults.push(unproven(claimOf(code, { claim: 'anchor', chain, grounds: 'bytes', says })));
    if (!lines.some((line) => attests(line, height, header.merkleRoot))) {
      refute('proof-broken', `The timestamp in the receipt does not lead to the header it carries of ${named}.`);
    } else if (formatTime(header.time) !== time) {
      refute('anchor-block-differs', `By its header ${named} is of ${formatTime(header.time)}, not of ${time}.`);
    } else {
      carried.push({ chain, height, header });
    }
  }
  if (faults.length > 0) return faults.slice(0, most);
  return checkAttestations(timestamp, { ...context, carried }, most);
}

/** A timestamp that cannot be read contradicts itself, unless it is only larger than this version takes. */
export function unreadable(error: FormatError, what: string): AnchorAnswer {
  const tooLarge = error.code === 'ots-size' || error.code === 'ots-work';
  const says = tooLarge
    ? `${what} is larger than this version reads: ${error.message}.`
    : `${what} breaks its format, so it shows nothing: ${error.message}.`;
  return unproven(
    tooLarge
      ? claimOf('proof-not-read', { claim: 'anchor', grounds: 'none', says })
      : claimOf('timestamp-invalid', { claim: 'anchor', grounds: 'bytes', says }),
  );
}

function attests({ attestation, message }: Line, height: number, merkleRoot: Uint8Array): boolean {
  return attestation.kind === 'bitcoin' && attestation.height === height && equalBytes(message, merkleRoot);
}
