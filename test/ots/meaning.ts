import { toHex } from '../../src/core/bytes.ts';
import type { Attestation } from '../../src/ots/attestation.ts';
import type { OtsFile } from '../../src/ots/file.ts';
import { timestampLines } from '../../src/ots/line.ts';

/** All that a file says, however it is written: each attestation with the message it is about. */
export function meaningOf({ hash, timestamp }: OtsFile): { hash: string; digest: string; attestations: string[] } {
  const attestations = [...timestampLines(timestamp)].map(({ message, attestation }) => told(message, attestation));
  return { hash, digest: toHex(timestamp.message), attestations: attestations.sort() };
}

function told(message: Uint8Array, attestation: Attestation): string {
  switch (attestation.kind) {
    case 'pending':
      return `${toHex(message)} pending ${attestation.uri}`;
    case 'unknown':
      return `${toHex(message)} ${toHex(attestation.tag)} ${toHex(attestation.payload)}`;
    default:
      return `${toHex(message)} ${attestation.kind} ${attestation.height}`;
  }
}
