// `antequem-receipt/v1` as applications get it (docs/formats.md). Written out by hand, and checked by hand, since the client
// brings no dependency along.

import { field, size, texts } from './answers.ts';

/** A receipt whose path from the entry to the checkpoint was checked. Before its round has closed it has neither `round` nor `anchors`. */
export interface CheckedReceipt {
  readonly format: 'antequem-receipt/v1';
  readonly entry: {
    /** Origin of the log. */
    readonly log: string;
    readonly index: number;
    /** `YYYY-MM-DDTHH:MM:SS.sssZ`. */
    readonly receivedAt: string;
    /** SHA-256 of the entry, in hex. */
    readonly digest: string;
    /** 16 bytes in hex; empty in a log that is not blinded. */
    readonly nonce: string;
    /** Leaf hash of the entry before, in hex. */
    readonly previous: string;
  };
  readonly inclusion: { readonly treeSize: number; readonly path: readonly string[] };
  /** A C2SP signed note. */
  readonly checkpoint: string;
  readonly round?: ReceivedRound;
  readonly anchors?: readonly ReceivedAnchor[];
  /** Packed: the path from the round's root to that of a later round, which a contract has stored. Not checked. */
  readonly storedPath?: { readonly chain: string; readonly round: number; readonly path: string };
  /** When the service expects to have more; not once everything is final. */
  readonly expectedBy?: string;
}

/** The round that took in the log at this size. Its form was checked, its hashes were not. */
export interface ReceivedRound {
  readonly number: number;
  readonly closedAt: string;
  /** 32 bytes in hex: what the anchors hold. */
  readonly root: string;
  /** Leaves of the round, the link included. */
  readonly size: number;
  readonly index: number;
  readonly path: readonly string[];
  readonly link: {
    readonly previousRoot: string;
    /** The newest final blocks when the round closed. */
    readonly beacons: readonly { readonly chain: string; readonly height: number; readonly hash: string }[];
    readonly path: readonly string[];
  };
}

/** What the root of a round is anchored by. `isEvmAnchor` and `isOpenTimestampsAnchor` tell the kinds apart. */
export type ReceivedAnchor =
  | ReceivedEvmAnchor
  | ReceivedOpenTimestampsAnchor
  | ReceivedRfc3161Anchor
  | ReceivedUnknownAnchor;

/** An event of the contract on an EVM chain. */
export interface ReceivedEvmAnchor {
  readonly type: 'evm';
  readonly status: 'submitted' | 'included' | 'finalized';
  /** CAIP-2, such as `eip155:1`. */
  readonly chain: string;
  readonly contract: string;
  readonly transaction: string;
  /** From `included` on. */
  readonly block?: { readonly number: number; readonly hash: string; readonly time: string };
  /** Leads from the block's hash to the event: RLP in hex. */
  readonly proof?: {
    readonly header: string;
    readonly index: number;
    readonly transaction: readonly string[];
    readonly receipt: readonly string[];
    readonly logIndex: number;
  };
}

/** A timestamp in Bitcoin, by OpenTimestamps calendars. */
export interface ReceivedOpenTimestampsAnchor {
  readonly type: 'opentimestamps';
  readonly status: 'pending' | 'confirmed';
  /** The serialized timestamp of the round's root, in base64. */
  readonly timestamp: string;
  /** From `confirmed` on. `header`: 80 bytes in hex. */
  readonly blocks?: readonly {
    readonly chain: string;
    readonly height: number;
    readonly header: string;
    readonly time: string;
  }[];
}

/** A token of a timestamp authority (RFC 3161). */
export interface ReceivedRfc3161Anchor {
  readonly type: 'rfc3161';
  readonly status: 'stamped';
  /** Subject of the signer's certificate. */
  readonly authority: string;
  readonly time: string;
  /** Milliseconds; null: the authority does not say. */
  readonly accuracy: number | null;
  /** DER of the TimeStampToken of the round's root, in base64. */
  readonly token: string;
}

/** An anchor of a kind that this version does not know, as it came. */
export interface ReceivedUnknownAnchor {
  readonly type: string;
  readonly [member: string]: unknown;
}

/** Hashes in a path: a tree below 2^53 leaves has at most so many levels, and some room. */
const MAX_PATH = 64;
const MAX_ANCHORS = 16;

/** Whether JSON has the form of a receipt; members that this version does not know are let through. */
export function isReceipt(json: unknown): json is CheckedReceipt {
  const entry = field(json, 'entry');
  const inclusion = field(json, 'inclusion');
  const expectedBy = field(json, 'expectedBy');
  return (
    field(json, 'format') === 'antequem-receipt/v1' &&
    hasTexts(json, 'checkpoint') &&
    hasTexts(entry, 'log', 'receivedAt', 'digest', 'nonce', 'previous') &&
    hasSizes(entry, 'index') &&
    hasSizes(inclusion, 'treeSize') &&
    isPath(field(inclusion, 'path')) &&
    (expectedBy === undefined || typeof expectedBy === 'string') &&
    hasRoundAndAnchors(json)
  );
}

/** Whether the anchor is on an EVM chain. */
export function isEvmAnchor(anchor: ReceivedAnchor): anchor is ReceivedEvmAnchor {
  return anchor.type === 'evm';
}

/** Whether the anchor is by OpenTimestamps. */
export function isOpenTimestampsAnchor(anchor: ReceivedAnchor): anchor is ReceivedOpenTimestampsAnchor {
  return anchor.type === 'opentimestamps';
}

/** Whether the anchor is a token of a timestamp authority. */
export function isRfc3161Anchor(anchor: ReceivedAnchor): anchor is ReceivedRfc3161Anchor {
  return anchor.type === 'rfc3161';
}

function hasRoundAndAnchors(json: unknown): boolean {
  const round = field(json, 'round');
  const anchors = field(json, 'anchors');
  if (round === undefined) return anchors === undefined;
  return isRound(round) && isListOf(isAnchor, anchors, MAX_ANCHORS);
}

function isRound(json: unknown): boolean {
  const link = field(json, 'link');
  return (
    hasTexts(json, 'closedAt', 'root') &&
    hasSizes(json, 'number', 'size', 'index') &&
    isPath(field(json, 'path')) &&
    hasTexts(link, 'previousRoot') &&
    isPath(field(link, 'path')) &&
    isListOf(
      (beacon) => hasTexts(beacon, 'chain', 'hash') && hasSizes(beacon, 'height'),
      field(link, 'beacons'),
      MAX_ANCHORS,
    )
  );
}

function isAnchor(json: unknown): boolean {
  const status = field(json, 'status');
  switch (field(json, 'type')) {
    case 'evm':
      return hasTexts(json, 'chain', 'contract', 'transaction') && isEvmState(status, json);
    case 'opentimestamps':
      return hasTexts(json, 'timestamp') && isTimestampState(status, field(json, 'blocks'));
    case 'rfc3161': {
      const accuracy = field(json, 'accuracy');
      const timed = accuracy === null || hasSizes(json, 'accuracy');
      return status === 'stamped' && timed && hasTexts(json, 'authority', 'time', 'token');
    }
    default:
      return hasTexts(json, 'type');
  }
}

function isEvmState(status: unknown, json: unknown): boolean {
  const block = field(json, 'block');
  const proof = field(json, 'proof');
  if (status === 'submitted') return block === undefined && proof === undefined;
  if (status !== 'included' && status !== 'finalized') return false;
  if (!hasSizes(block, 'number') || !hasTexts(block, 'hash', 'time')) return false;
  if (proof === undefined) return true;
  const nodes = [field(proof, 'transaction'), field(proof, 'receipt')];
  return hasTexts(proof, 'header') && hasSizes(proof, 'index', 'logIndex') && nodes.every(isPath);
}

function isTimestampState(status: unknown, blocks: unknown): boolean {
  if (status === 'pending') return blocks === undefined || isListOf(() => false, blocks, 0);
  const isBlock = (json: unknown): boolean => hasTexts(json, 'chain', 'header', 'time') && hasSizes(json, 'height');
  return status === 'confirmed' && isListOf(isBlock, blocks, MAX_ANCHORS);
}

function isPath(json: unknown): boolean {
  return isListOf((hash) => typeof hash === 'string', json, MAX_PATH);
}

function isListOf(holds: (json: unknown) => boolean, json: unknown, most: number): boolean {
  return Array.isArray(json) && json.length <= most && json.every(holds);
}

function hasTexts(json: unknown, ...names: readonly string[]): boolean {
  return texts(json, ...names).every((text) => text !== undefined);
}

function hasSizes(json: unknown, ...names: readonly string[]): boolean {
  return names.every((name) => size(json, name) !== undefined);
}
