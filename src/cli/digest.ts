import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { ripemd160 } from '@noble/hashes/legacy.js';
import { concatAll } from '../core/bytes.ts';
import { AntequemError, messageOf } from '../core/errors.ts';
import { keccak256 } from '../core/keccak.ts';
import type { HashKind } from '../ots/operation.ts';

/** Those of .ots files, and of timestamp tokens. */
export type ContentHash = HashKind | 'sha384' | 'sha512';

/** OpenSSL's hashes are several times as fast; those that it may lack come from a library. */
const HASHERS: Readonly<Record<ContentHash, () => { update(chunk: Uint8Array): unknown; digest(): Uint8Array }>> = {
  sha256: () => createHash('sha256'),
  sha384: () => createHash('sha384'),
  sha512: () => createHash('sha512'),
  sha1: () => createHash('sha1'),
  ripemd160: () => ripemd160.create(),
  keccak256: () => keccak256.create(),
};

/** Content up to this many bytes is kept in memory. */
const KEPT = 64 << 20;

export interface FileContent {
  /** The digest by the requested hash. */
  readonly digest: Uint8Array;
  /** Null if it is too large to keep. */
  readonly payload: Uint8Array | null;
}

/** SHA-256 of a file of any size, or of standard input for `-`: 32 bytes. @throws AntequemError `file-unreadable` */
export async function digestOfFile(file: string): Promise<Uint8Array> {
  return (await readContent(file, { keep: 0 })).digest;
}

/** Hashes a file, or standard input for `-`, in bounded memory. @throws AntequemError `file-unreadable` */
export async function readContent(
  file: string,
  { keep = KEPT, hash: kind = 'sha256' }: { keep?: number; hash?: ContentHash } = {},
): Promise<FileContent> {
  const hash = HASHERS[kind]();
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    if (file !== '-' && (await stat(file)).isDirectory()) throw new Error('it is a folder');
    const stream = file === '-' ? process.stdin : createReadStream(file, { highWaterMark: 1 << 18 });
    for await (const chunk of stream) {
      hash.update(chunk);
      length += chunk.length;
      if (length <= keep) chunks.push(chunk);
      else chunks.length = 0;
    }
  } catch (cause) {
    throw new AntequemError('file-unreadable', `cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
  return { digest: Uint8Array.from(hash.digest()), payload: length <= keep ? concatAll(chunks) : null };
}
