// The operations of OpenTimestamps: how one message leads to the next.

import { ripemd160, sha1 } from '@noble/hashes/legacy.js';
import { sha256 } from '#sha256';
import { compareBytes, concat, toHex, utf8 } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { keccak256 } from '../core/keccak.ts';

/** Bytes a message, and an argument, may have. */
export const MAX_MESSAGE = 4096;

/** Operations whose result has a fixed length; a file's digest is made by one of them. */
export type HashKind = 'sha1' | 'ripemd160' | 'sha256' | 'keccak256';
export type JoinKind = 'append' | 'prepend';
export type OpKind = HashKind | JoinKind | 'reverse' | 'hexlify';

export type Op =
  | { readonly kind: Exclude<OpKind, JoinKind> }
  /** 1 to 4096 bytes. */
  | { readonly kind: JoinKind; readonly argument: Uint8Array };

const TAGS: Readonly<Record<OpKind, number>> = {
  sha1: 0x02,
  ripemd160: 0x03,
  sha256: 0x08,
  keccak256: 0x67,
  append: 0xf0,
  prepend: 0xf1,
  reverse: 0xf2,
  hexlify: 0xf3,
};

const KINDS: readonly OpKind[] = [
  'sha1',
  'ripemd160',
  'sha256',
  'keccak256',
  'append',
  'prepend',
  'reverse',
  'hexlify',
];
const BY_TAG: ReadonlyMap<number, OpKind> = new Map(KINDS.map((kind) => [TAGS[kind], kind]));
const LENGTHS: ReadonlyMap<OpKind, number> = new Map([
  ['sha1', 20],
  ['ripemd160', 20],
  ['sha256', 32],
  ['keccak256', 32],
]);

/** The operation a byte stands for; undefined where for none. */
export function opKind(tag: number): OpKind | undefined {
  return BY_TAG.get(tag);
}

/** The byte an operation begins with. */
export function opTag(kind: OpKind): number {
  return TAGS[kind];
}

export function isHash(kind: OpKind | undefined): kind is HashKind {
  return kind !== undefined && LENGTHS.has(kind);
}

export function isJoin(kind: OpKind): kind is JoinKind {
  return kind === 'append' || kind === 'prepend';
}

/** Bytes a digest of this kind has. */
export function digestLength(kind: HashKind): number {
  return LENGTHS.get(kind) ?? 32;
}

const HASHES: Readonly<Record<HashKind, (bytes: Uint8Array) => Uint8Array>> = { sha1, ripemd160, sha256, keccak256 };

/** The digest of a file's content, of any length. */
export function contentDigest(kind: HashKind, content: Uint8Array): Uint8Array {
  return HASHES[kind](content);
}

/**
 * The message an operation makes of another: 1 to 4096 bytes.
 * @throws FormatError `ots-argument-length`, `ots-message-length`, `ots-message-empty`
 */
export function applyOp(op: Op, message: Uint8Array): Uint8Array {
  checkLength(message.length, 'a message');
  switch (op.kind) {
    case 'sha1':
    case 'ripemd160':
    case 'sha256':
    case 'keccak256':
      return HASHES[op.kind](message);
    case 'append':
    case 'prepend':
      checkArgument(op.argument);
      checkLength(message.length + op.argument.length, `what ${op.kind} makes`);
      return op.kind === 'append' ? concat(message, op.argument) : concat(op.argument, message);
    case 'reverse':
    case 'hexlify':
      // The result would be the message itself: a circle.
      if (message.length === 0) throw new FormatError('ots-message-empty', `${op.kind} of an empty message`);
      if (op.kind === 'reverse') return message.slice().reverse();
      checkLength(2 * message.length, 'what hexlify makes');
      return utf8(toHex(message));
  }
}

/** The order in which operations on one message are written: by tag, then by argument. */
export function compareOps(a: Op, b: Op): number {
  if (a.kind !== b.kind) return TAGS[a.kind] - TAGS[b.kind];
  return 'argument' in a && 'argument' in b ? compareBytes(a.argument, b.argument) : 0;
}

/** As people read it: `append 00ff`. */
export function opText(op: Op): string {
  return 'argument' in op ? `${op.kind} ${toHex(op.argument)}` : op.kind;
}

/** @throws FormatError `ots-message-length` */
export function checkLength(length: number, what: string): void {
  if (length > MAX_MESSAGE) {
    throw new FormatError('ots-message-length', `${what} has ${length} bytes, more than ${MAX_MESSAGE}`);
  }
}

function checkArgument(argument: Uint8Array): void {
  if (argument.length < 1 || argument.length > MAX_MESSAGE) {
    throw new FormatError('ots-argument-length', `an argument has 1 to ${MAX_MESSAGE} bytes, not ${argument.length}`);
  }
}
