// A block that was read, and what is told of its entries.

import { sha256 } from '#sha256';
import { equalBytes, readU64 } from '../../core/bytes.ts';
import { commitTo, entryLeafHash } from '../../core/entry.ts';
import { AntequemError } from '../../core/errors.ts';
import { HASH_SIZE } from '../../core/merkle.ts';
import { TILE_WIDTH } from '../../core/tiles.ts';
import { type ArchivedBlock, archivedBlock, archiveMissing, type BlockArchive, contentOf } from './archived-block.ts';
import { PackedContents, type StoredContent } from './block.ts';

/** An entry as it is kept. */
export interface StoredEntry {
  readonly index: number;
  readonly receivedAt: number;
  readonly commitment: Uint8Array;
  readonly leafHash: Uint8Array;
  /** Null once erased. */
  readonly secret: { readonly digest: Uint8Array; readonly nonce: Uint8Array } | null;
  /** Bytes of the payload; null where there is none. */
  readonly payloadSize: number | null;
}

/** A block as it is read. */
export interface BlockRow {
  log: number;
  first: number;
  count: number;
  received_at: number;
  times: Uint8Array | null;
  /** Leaf hashes from this entry on. */
  leaves_from: number;
  leaves: Uint8Array | null;
  /** Null where it lies in the archive, and where it was not asked for. */
  content: Uint8Array | null;
  /** What finds it there; null where it is here. */
  archived: Uint8Array | null;
}

/** A block that was read; it is unpacked as far as it is asked for. */
export class OpenBlock {
  readonly log: number;
  readonly first: number;
  /** Index behind the last entry. */
  readonly end: number;
  readonly #row: BlockRow;
  /** Null where they lie in the archive. */
  readonly #contents: PackedContents | null;

  /** @param known its contents, where they were read before @throws AntequemError `log-damaged` */
  constructor(row: BlockRow, known: PackedContents | null = null) {
    this.log = row.log;
    this.first = row.first;
    this.end = row.first + row.count;
    this.#row = row;
    const { content, count } = row;
    if (known === null && content === null && row.archived === null) {
      throw damaged(row.log, `the content of the block at ${row.first}`);
    }
    this.#contents = known ?? (content === null ? null : this.#demandWhole(() => new PackedContents(content, count)));
  }

  /** Null where they lie in the archive. */
  get contents(): PackedContents | null {
    return this.#contents;
  }

  /** What finds the content in the archive; null where it is here. */
  get archived(): ArchivedBlock | null {
    const { archived } = this.#row;
    return this.#contents !== null || archived === null ? null : archivedBlock(this.#row, archived);
  }

  /** The same block with its content, which is fetched from the archive where it lies there. */
  async opened(archive: BlockArchive | null): Promise<OpenBlock> {
    const { archived } = this;
    return archived === null ? this : new OpenBlock({ ...this.#row, content: await contentOf(archive, archived) });
  }

  /** Whether its leaf hashes are in a tile that is not in the database any more. */
  get lacksLeaves(): boolean {
    return this.#row.leaves === null;
  }

  /** The same block with the leaf hashes of its tile. */
  withLeaves(tile: Uint8Array): OpenBlock {
    return new OpenBlock(
      { ...this.#row, leaves_from: this.first - (this.first % TILE_WIDTH), leaves: tile },
      this.#contents,
    );
  }

  receivedAt(index: number): number {
    return timeOf(this.#row, index - this.first);
  }

  content(index: number): StoredContent {
    return this.#within(index, (contents, position) => contents.at(position));
  }

  /** Payloads that were packed together with that of this entry, one behind the other, and the index behind the last of them. */
  packedWith(index: number): { readonly payloads: Uint8Array; readonly end: number } {
    const { payloads, end } = this.#within(index, (contents, position) => contents.partWith(position));
    return { payloads, end: this.first + end };
  }

  /** Gives back memory, once nobody has a view of its contents any more; they are unpacked anew if they are asked for. */
  release(): void {
    this.#contents?.release();
  }

  #within<T>(index: number, read: (contents: PackedContents, position: number) => T): T {
    if (index < this.first || index >= this.end) throw damaged(this.log, `entry ${index}`);
    const contents = this.#contents;
    if (contents === null) throw archiveMissing();
    return this.#demandWhole(() => read(contents, index - this.first));
  }

  #demandWhole<T>(read: () => T): T {
    try {
      return read();
    } catch (cause) {
      const says = `log ${this.log} has a damaged block at entry ${this.first}: run an audit`;
      throw new AntequemError('log-damaged', says, { cause });
    }
  }

  /** Whether the leaf hash of an entry in its tile was read with it. */
  hasLeaf(index: number): boolean {
    return this.#row.leaves !== null && index >= this.#row.leaves_from;
  }

  /** @throws AntequemError `log-damaged` */
  leafHash(index: number): Uint8Array {
    const at = HASH_SIZE * (index - this.#row.leaves_from);
    const leaf = at < 0 ? null : this.#row.leaves?.subarray(at, at + HASH_SIZE);
    if (leaf?.length !== HASH_SIZE) throw damaged(this.log, `a tile for entry ${index}`);
    return new Uint8Array(leaf);
  }

  /** 32 bytes. */
  commitment(index: number): Uint8Array {
    const content = this.content(index);
    return commitmentOf(content, digestOf(content));
  }

  /**
   * The leaf hash of an entry as the entry behind names it. It is the stored one, unless only the one that was made fits
   * the entry behind: then the tile was altered, which must not spoil the entries.
   */
  chained(index: number, made: Uint8Array): Uint8Array {
    if (this.lacksLeaves) return made;
    const kept = this.leafHash(index);
    if (index + 1 === this.end || equalBytes(kept, made)) return kept;
    const next = { receivedAt: this.receivedAt(index + 1), previous: made, commitment: this.commitment(index + 1) };
    return equalBytes(entryLeafHash(next), this.leafHash(index + 1)) ? made : kept;
  }

  /** Null once erased. */
  digest(index: number): Uint8Array | null {
    return digestOf(this.content(index));
  }

  payload(index: number): Uint8Array | null {
    const content = this.content(index);
    return content.kind === 'payload' ? content.payload : null;
  }

  /** What is told of an entry; it keeps nothing of the block in memory. */
  entry(index: number): StoredEntry {
    const content = this.content(index);
    const digest = digestOf(content);
    return {
      index,
      receivedAt: this.receivedAt(index),
      commitment: commitmentOf(content, digest),
      leafHash: this.leafHash(index),
      secret:
        content.kind === 'erased' || digest === null
          ? null
          : { digest: new Uint8Array(digest), nonce: new Uint8Array(content.nonce) },
      payloadSize: content.kind === 'payload' ? content.payload.length : null,
    };
  }
}

/** Null once erased. */
export function digestOf(content: StoredContent): Uint8Array | null {
  if (content.kind === 'payload') return sha256(content.payload);
  return content.kind === 'digest' ? content.digest : null;
}

/** 32 bytes. @param digest as {@link digestOf} has it */
export function commitmentOf(content: StoredContent, digest: Uint8Array | null): Uint8Array {
  if (content.kind === 'erased') return new Uint8Array(content.commitment);
  return commitTo(digest ?? new Uint8Array(0), content.nonce);
}

function timeOf({ received_at, times }: Pick<BlockRow, 'received_at' | 'times'>, position: number): number {
  return times === null ? received_at : readU64(times, 8 * position);
}

export function damaged(log: number | string, what: string): AntequemError {
  return new AntequemError('log-damaged', `log ${log} lacks ${what}: run an audit`);
}
