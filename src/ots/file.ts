// .ots files: a file's digest and its timestamp.

import { equalBytes, fromHex } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { ByteReader, ByteWriter } from './bytes.ts';
import { OtsError } from './error.ts';
import { digestLength, type HashKind, isHash, opKind, opTag } from './operation.ts';
import { checkSize, readTimestamp, writeTimestamp } from './serialization.ts';
import type { Timestamp } from './timestamp.ts';

export interface OtsFile {
  /** How the digest was made of the file. */
  readonly hash: HashKind;
  /** Its message is the digest. */
  readonly timestamp: Timestamp;
}

const MAGIC = fromHex('004f70656e54696d657374616d7073000050726f6f6600bf89e2e884e89294');
const VERSION = 0x01;

/** @throws OtsError `ots-magic`, `ots-version`, `ots-hash`, and as parseTimestamp */
export function parseOtsFile(bytes: Uint8Array): OtsFile {
  checkSize(bytes);
  const reader = new ByteReader(bytes);
  const different = MAGIC.findIndex((byte, i) => bytes[i] !== byte);
  if (different >= 0 && different < bytes.length) {
    throw new OtsError('ots-magic', 'not an .ots file: these begin otherwise', different);
  }
  reader.take(MAGIC.length, 'the mark all .ots files begin with');
  const version = reader.varuint('the version');
  if (version !== VERSION) {
    throw new OtsError('ots-version', `version ${version} of .ots files is unknown`, MAGIC.length);
  }
  const tag = reader.byte('the kind of digest');
  const hash = opKind(tag);
  if (!isHash(hash)) {
    const shown = tag.toString(16).padStart(2, '0');
    throw new OtsError('ots-hash', `no kind of digest begins with ${shown}`, reader.offset - 1);
  }
  const digest = reader.take(digestLength(hash), 'the digest');
  const timestamp = readTimestamp(reader, digest);
  reader.end('the file');
  return { hash, timestamp };
}

/** @throws FormatError `ots-digest-length` where the digest is not one of that kind */
export function serializeOtsFile({ hash, timestamp }: OtsFile): Uint8Array {
  const { message } = timestamp;
  if (message.length !== digestLength(hash)) {
    throw new FormatError('ots-digest-length', `${hash} makes ${digestLength(hash)} bytes, not ${message.length}`);
  }
  const writer = new ByteWriter();
  writer.bytes(MAGIC);
  writer.varuint(VERSION);
  writer.byte(opTag(hash));
  writer.bytes(message);
  writeTimestamp(writer, timestamp);
  return writer.written();
}

/** Whether bytes begin as .ots files do. */
export function isOtsFile(bytes: Uint8Array): boolean {
  return equalBytes(bytes.subarray(0, MAGIC.length), MAGIC);
}
