// Attestations: where a line of operations ends, and what is said of the message there.

import { compareBytes, equalBytes, excerpt, fromHex, utf8 } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import { locate } from './error.ts';

/** Chains whose block headers bear messages, by an attestation that names the height. */
export type BlockKind = 'bitcoin' | 'litecoin' | 'ethereum';

export type Attestation =
  /** A calendar has promised to have more at this address: up to 1000 characters of `[A-Za-z0-9._/:-]`. */
  | { readonly kind: 'pending'; readonly uri: string }
  /** The message is the merkle root of the block at this height, 0 to 2^53 - 1. */
  | { readonly kind: BlockKind; readonly height: number }
  /** Any other: 8 bytes of tag and up to 8192 bytes that only its makers understand, kept as they are. */
  | { readonly kind: 'unknown'; readonly tag: Uint8Array; readonly payload: Uint8Array };

const TAG_LENGTH = 8;
const MAX_PAYLOAD = 8192;
const MAX_URI = 1000;
const URI = /^[A-Za-z0-9._/:-]*$/;
const latin1 = new TextDecoder('latin1');

const TAGS: Readonly<Record<'pending' | BlockKind, Uint8Array>> = {
  pending: fromHex('83dfe30d2ef90c8e'),
  bitcoin: fromHex('0588960d73d71901'),
  litecoin: fromHex('06869a0d73d71b45'),
  ethereum: fromHex('30fe8087b5c7ead7'),
};
const BLOCK_KINDS: readonly BlockKind[] = ['bitcoin', 'litecoin', 'ethereum'];

/** Reads tag and payload. @throws OtsError */
export function readAttestation(reader: ByteReader): Attestation {
  const tag = reader.take(TAG_LENGTH, 'the tag of an attestation');
  const payload = reader.varbytes(0, MAX_PAYLOAD, 'the payload of an attestation');
  const inside = new ByteReader(payload, reader.offset - payload.length);
  if (equalBytes(tag, TAGS.pending)) {
    const start = inside.offset;
    const bytes = inside.varbytes(0, MAX_URI, 'the URI of a pending attestation');
    inside.end('the URI of a pending attestation');
    const uri = latin1.decode(bytes);
    return locate(start, () => checked({ kind: 'pending', uri }));
  }
  const kind = BLOCK_KINDS.find((each) => equalBytes(tag, TAGS[each]));
  if (kind === undefined) return { kind: 'unknown', tag, payload };
  const height = inside.varuint('the height of a block');
  inside.end('the height of a block');
  return { kind, height };
}

/** Tag and payload. @throws FormatError as {@link checked} */
export function serializeAttestation(attestation: Attestation): Uint8Array {
  checked(attestation);
  const writer = new ByteWriter();
  writer.bytes(tagOf(attestation));
  writer.varbytes(payloadOf(attestation));
  return writer.written();
}

/** The order in which attestations of one message are written: by tag, then by what they say. */
export function compareAttestations(a: Attestation, b: Attestation): number {
  const order = compareBytes(tagOf(a), tagOf(b));
  if (order !== 0) return order;
  if ('height' in a && 'height' in b) return a.height - b.height;
  // URIs by their characters alone: their length, which comes first in the payload, has no part in the order.
  if (a.kind === 'pending' && b.kind === 'pending') return compareBytes(utf8(a.uri), utf8(b.uri));
  return compareBytes(payloadOf(a), payloadOf(b));
}

/**
 * The attestation, if it can be written and read again.
 * @throws FormatError `ots-uri`, `ots-height`, `ots-attestation`
 */
export function checked(attestation: Attestation): Attestation {
  switch (attestation.kind) {
    case 'pending':
      if (attestation.uri.length > MAX_URI || !URI.test(attestation.uri)) {
        throw new FormatError(
          'ots-uri',
          `the URI of a pending attestation has up to ${MAX_URI} characters of A-Z a-z 0-9 . _ / : -: ${excerpt(attestation.uri)}`,
        );
      }
      return attestation;
    case 'unknown': {
      const { tag, payload } = attestation;
      if (tag.length !== TAG_LENGTH || payload.length > MAX_PAYLOAD) {
        throw new FormatError(
          'ots-attestation',
          `an attestation has a tag of 8 bytes and a payload of up to ${MAX_PAYLOAD}, not ${tag.length} and ${payload.length}`,
        );
      }
      if (Object.values(TAGS).some((known) => equalBytes(tag, known))) {
        throw new FormatError('ots-attestation', 'an attestation of a known kind is given as an unknown one');
      }
      return attestation;
    }
    default:
      if (!Number.isSafeInteger(attestation.height) || attestation.height < 0) {
        throw new FormatError('ots-height', `not the height of a block: ${attestation.height}`);
      }
      return attestation;
  }
}

function tagOf(attestation: Attestation): Uint8Array {
  return attestation.kind === 'unknown' ? attestation.tag : TAGS[attestation.kind];
}

function payloadOf(attestation: Attestation): Uint8Array {
  if (attestation.kind === 'unknown') return attestation.payload;
  const writer = new ByteWriter();
  if (attestation.kind === 'pending') writer.varbytes(utf8(attestation.uri));
  else writer.varuint(attestation.height);
  return writer.written();
}
