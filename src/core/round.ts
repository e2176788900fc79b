import { sha256 } from '#sha256';
import { concat, excerpt, readU64, u64, utf8 } from './bytes.ts';
import { FormatError } from './errors.ts';
import type { Step } from './path.ts';

const LINK = 0x80;
const CHECKPOINT = 0x81;
const DIGEST = 0x82;
export const MAX_BEACONS = 3;
export const CHECKPOINT_LEAF_BYTES = 73;
export const DIGEST_LEAF_BYTES = 33;
// With `ignoreBOM` a byte order mark stays in the text, where the form of a chain id refuses it.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const CAIP2 = /^[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}$/;

/** The newest final block of a chain when a round closed: the round is not older than it. */
export interface Beacon {
  /** CAIP-2, such as `eip155:1`. */
  readonly chain: string;
  readonly height: number;
  /** 32 bytes; Bitcoin's in RPC order. */
  readonly hash: Uint8Array;
}

/** Leaf 0 of every round: the round before, and the blocks that show when this round was closed at the earliest. */
export interface Link {
  /** From 1. */
  readonly number: number;
  /** Milliseconds since the Unix epoch. */
  readonly closedAt: number;
  /** 32 bytes. */
  readonly previousRoot: Uint8Array;
  readonly beacons: readonly Beacon[];
}

/** The head of a log that grew since the round before. */
export interface CheckpointLeaf {
  /** 32 bytes. */
  readonly logId: Uint8Array;
  readonly size: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
}

/** previousRoot of round 1: SHA-256("antequem rounds\n" ‖ service origin). */
export function firstPreviousRoot(serviceOrigin: string): Uint8Array {
  return sha256(utf8(`antequem rounds\n${serviceOrigin}`));
}

/** @throws FormatError `chain-id` unless CAIP-2 */
export function checkChainId(chain: string): void {
  if (!CAIP2.test(chain)) throw new FormatError('chain-id', `not a CAIP-2 chain id: ${excerpt(chain)}`);
}

/** 0x80 ‖ number ‖ closedAt ‖ previousRoot ‖ beacons. @throws FormatError `round-link`, `chain-id` */
export function encodeLink(link: Link): Uint8Array {
  if (link.number < 1) throw new FormatError('round-link', `rounds are numbered from 1, not ${link.number}`);
  if (link.beacons.length > MAX_BEACONS) throw new FormatError('round-link', `more than ${MAX_BEACONS} beacons`);
  return concat(linkPrefix(link), hash32(link.previousRoot), encodeBeacons(link.beacons));
}

function linkPrefix({ number, closedAt }: Omit<Link, 'previousRoot'>): Uint8Array {
  return concat(new Uint8Array([LINK]), u64(number), u64(closedAt));
}

/** As they stand in a link. @throws FormatError `chain-id` */
export function encodeBeacons(beacons: readonly Beacon[]): Uint8Array {
  return concat(
    ...beacons.map((beacon) => {
      checkChainId(beacon.chain);
      const chain = utf8(beacon.chain);
      return concat(new Uint8Array([chain.length]), chain, u64(beacon.height), hash32(beacon.hash));
    }),
  );
}

/** Root of a round → leaf hash of the next round's link, which names it. */
export function linkStep(link: Omit<Link, 'previousRoot'>): Step {
  return { prefix: concat(new Uint8Array([0x00]), linkPrefix(link)), suffix: encodeBeacons(link.beacons) };
}

/** @throws FormatError `round-link`, `chain-id`, `integer-range` */
export function parseLink(bytes: Uint8Array): Link {
  if (bytes[0] !== LINK || bytes.length < 49) throw new FormatError('round-link', 'not a link leaf');
  const beacons: Beacon[] = [];
  let offset = 49;
  while (offset < bytes.length) {
    const length = bytes[offset] ?? 0;
    const end = offset + 1 + length + 40;
    if (end > bytes.length || beacons.length === MAX_BEACONS) throw new FormatError('round-link', 'beacons cut short');
    const chain = decoder.decode(bytes.subarray(offset + 1, offset + 1 + length));
    checkChainId(chain);
    beacons.push({ chain, height: readU64(bytes, end - 40), hash: bytes.slice(end - 32, end) });
    offset = end;
  }
  const number = readU64(bytes, 1);
  if (number < 1) throw new FormatError('round-link', 'rounds are numbered from 1');
  return { number, closedAt: readU64(bytes, 9), previousRoot: bytes.slice(17, 49), beacons };
}

/** A checkpoint leaf without its root, which the path from an entry leads to: 0x81 ‖ log id ‖ size. */
export function checkpointLeafPrefix(leaf: Omit<CheckpointLeaf, 'root'>): Uint8Array {
  return concat(new Uint8Array([CHECKPOINT]), hash32(leaf.logId), u64(leaf.size));
}

/** 0x81 ‖ log id ‖ size ‖ root. */
export function encodeCheckpointLeaf(leaf: CheckpointLeaf): Uint8Array {
  return concat(checkpointLeafPrefix(leaf), hash32(leaf.root));
}

/** @throws FormatError `round-leaf`, `integer-range` */
export function parseCheckpointLeaf(bytes: Uint8Array): CheckpointLeaf {
  if (bytes.length !== CHECKPOINT_LEAF_BYTES || bytes[0] !== CHECKPOINT)
    throw new FormatError('round-leaf', 'not a checkpoint leaf');
  return { logId: bytes.slice(1, 33), size: readU64(bytes, 33), root: bytes.slice(41, 73) };
}

/** 0x82 ‖ SHA-256(digest ‖ nonce), of a digest of 1–64 bytes that the service took as a calendar. @throws FormatError `digest-length` */
export function encodeDigestLeaf(digest: Uint8Array, nonce: Uint8Array): Uint8Array {
  return digestLeaf(digestCommitment(digest, nonce));
}

/** SHA-256(digest ‖ nonce), of a digest of 1–64 bytes. @throws FormatError `digest-length` */
export function digestCommitment(digest: Uint8Array, nonce: Uint8Array): Uint8Array {
  if (digest.length < 1 || digest.length > 64) {
    throw new FormatError('digest-length', `a calendar takes digests of 1 to 64 bytes, not ${digest.length}`);
  }
  return sha256(concat(digest, nonce));
}

/** A digest leaf without its commitment, which the path from a digest leads to: 0x82. */
export const DIGEST_LEAF_PREFIX: Uint8Array = new Uint8Array([DIGEST]);

/** 0x82 ‖ commitment. */
export function digestLeaf(commitment: Uint8Array): Uint8Array {
  return concat(DIGEST_LEAF_PREFIX, hash32(commitment));
}

function hash32(hash: Uint8Array): Uint8Array {
  if (hash.length !== 32) throw new FormatError('hash-length', `a hash has 32 bytes, not ${hash.length}`);
  return hash;
}
