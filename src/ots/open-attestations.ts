// Where the answer of a calendar leads: to calendars that will know more, and to Bitcoin's blocks.

import { toHex } from '../core/bytes.ts';
import { serializeAttestation } from './attestation.ts';
import { type Line, timestampLines } from './line.ts';
import type { Timestamp } from './timestamp.ts';

/** Messages that calendars are asked about have 44 bytes; what a URL cannot hold is not asked for. */
const MAX_ASKED = 256;
/** Of each kind in one answer; real ones have one or two. What is beyond stays in the stored answer. */
const MOST = 16;

export interface OpenAttestations {
  /** Whom to ask about which message; no slash at the end. */
  readonly pending: readonly { readonly calendar: string; readonly message: Uint8Array }[];
  /** Bitcoin blocks, and what their merkle roots must be. */
  readonly blocks: readonly { readonly height: number; readonly merkleRoot: Uint8Array }[];
}

export function openAttestations(timestamp: Timestamp): OpenAttestations {
  const lines = usefulLines(timestamp);
  return {
    pending: lines.flatMap(({ attestation, message }) =>
      attestation.kind === 'pending' ? [{ calendar: withoutSlash(attestation.uri), message }] : [],
    ),
    blocks: lines.flatMap(({ attestation, message }) =>
      attestation.kind === 'bitcoin' ? [{ height: attestation.height, merkleRoot: message }] : [],
    ),
  };
}

/** One line to each end, as many as are heeded, without those that nobody could ever do anything with. */
export function usefulLines(timestamp: Timestamp): Line[] {
  const lines = new Map<string, Line>();
  const counts = { pending: 0, bitcoin: 0, other: 0 };
  for (const line of timestampLines(timestamp)) {
    const { attestation, message } = line;
    if (attestation.kind === 'bitcoin' && message.length !== 32) continue;
    if (attestation.kind === 'pending' && message.length > MAX_ASKED) continue;
    const kind = attestation.kind === 'pending' || attestation.kind === 'bitcoin' ? attestation.kind : 'other';
    const end = kind === 'pending' && 'uri' in attestation ? withoutSlash(attestation.uri) : '';
    const key = `${toHex(message)} ${end === '' ? toHex(serializeAttestation(attestation)) : end}`;
    if (counts[kind] === MOST || lines.has(key)) continue;
    counts[kind]++;
    lines.set(key, line);
  }
  return [...lines.values()];
}

/** A calendar's URL in the one spelling that is compared. */
export function withoutSlash(uri: string): string {
  return uri.replace(/\/+$/, '');
}
