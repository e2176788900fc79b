// Timestamps as people read them.

import { toHex } from '../core/bytes.ts';
import type { Attestation } from './attestation.ts';
import type { OtsFile } from './file.ts';
import { opText } from './operation.ts';
import type { Timestamp } from './timestamp.ts';

const INDENT = '    ';
const NAMES = { bitcoin: 'Bitcoin', litecoin: 'Litecoin', ethereum: 'Ethereum' } as const;

/** A file's digest and the tree below it: plain ASCII, whatever the file holds. */
export function describeOtsFile({ hash, timestamp }: OtsFile): string {
  return `${hash} digest of the file: ${toHex(timestamp.message)}\n${describeTimestamp(timestamp)}`;
}

/** The tree, one operation or attestation a line; where it forks, each branch is set off below an arrow. */
export function describeTimestamp(timestamp: Timestamp): string {
  const lines: string[] = [];
  const open: { from: Timestamp; indent: string; first?: string }[] = [{ from: timestamp, indent: '' }];
  for (let top = open.pop(); top !== undefined; top = open.pop()) {
    const { from, indent, first } = top;
    if (first !== undefined) lines.push(first);
    for (const attestation of from.attestations) {
      lines.push(`${indent}${attestationText(attestation, from.message)}`);
    }
    const forks = from.branches.length > 1;
    for (const { op, next } of from.branches.toReversed()) {
      open.push(
        forks
          ? { from: next, indent: indent + INDENT, first: `${indent} -> ${opText(op)}` }
          : { from: next, indent, first: `${indent}${opText(op)}` },
      );
    }
  }
  return lines.join('\n');
}

/** What an attestation says of `message`. */
function attestationText(attestation: Attestation, message: Uint8Array): string {
  switch (attestation.kind) {
    case 'pending':
      return `pending: ask ${attestation.uri} for ${toHex(message)}`;
    case 'unknown': {
      const { tag, payload } = attestation;
      return `unknown attestation ${toHex(tag)}, ${payload.length} bytes${payload.length > 0 ? `: ${toHex(payload)}` : ''}`;
    }
    case 'ethereum':
      return `Ethereum block ${attestation.height}, transactions root ${toHex(message)}`;
    default:
      // The order of bytes in which Bitcoin's own tools write hashes.
      return `${NAMES[attestation.kind]} block ${attestation.height}, merkle root ${toHex(message.toReversed())}`;
  }
}
