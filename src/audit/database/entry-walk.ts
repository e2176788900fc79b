// The part of the walk that touches every entry: content, chain and tree of one log, a page at a time.

import { sha256Into } from '#sha256';
import { equalBytes, writeU64 } from '../../core/bytes.ts';
import { ENTRY_SIZE, NONCE_SIZE } from '../../core/entry.ts';
import { AntequemError } from '../../core/errors.ts';
import { HASH_SIZE } from '../../core/merkle.ts';
import { TILE_WIDTH } from '../../core/tiles.ts';
import { type StoredContent, unpackContents } from '../../log/blocks/block.ts';
import type { Log } from '../../log/log.ts';
import type { EntryChain } from '../checks/entry-chain.ts';
import type { Findings } from '../checks/findings.ts';
import type { StoredTile } from '../checks/tiles.ts';
import { type PageBlock, timeAt } from './block-page.ts';
import type { ErasureRecord } from './erasures.ts';

export interface EntryWalkOptions {
  readonly log: Log;
  readonly findings: Findings;
  /** The log up to where the walk begins. */
  readonly chain: EntryChain;
  /** Leaf hash of the entry before: the log id at index 0. */
  readonly leaf: Uint8Array;
  readonly erased: ErasureRecord;
  /** The content of a block; null where it is too long to be read. */
  readonly contentOf: (block: PageBlock) => Promise<Uint8Array | null>;
  /** Called with every payload, in the order of the entries. */
  readonly onPayload?: (index: number, payload: Buffer) => void;
  /** Called with the digest of every entry that was not erased; it is overwritten afterwards. */
  readonly onDigest: (index: number, digest: Uint8Array) => void;
}

/** What was seen so far. */
export interface EntryCounts {
  erased: number;
  /** Of those the ones that a run of retention names. */
  byRetention: number;
  /** Entries that a run names and has not erased yet. */
  open: number;
  /** Entries whose payload stayed with the client, as far as the database tells. */
  digests: number;
  /** The first of them. */
  firstDigest: number | null;
}

export class EntryWalk {
  readonly counts: EntryCounts = { erased: 0, byRetention: 0, open: 0, digests: 0, firstDigest: null };
  readonly #options: EntryWalkOptions;
  /** 0x00 ‖ entry. */
  readonly #input = Buffer.alloc(1 + ENTRY_SIZE);
  /** digest ‖ nonce. */
  readonly #secret = Buffer.alloc(HASH_SIZE + NONCE_SIZE);
  #leaf: Uint8Array;
  #begun = false;

  constructor(options: EntryWalkOptions) {
    this.#options = options;
    this.#input[1] = 0x01;
    this.#leaf = options.leaf;
  }

  /** Leaf hash of the entry before. */
  get leaf(): Uint8Array {
    return this.#leaf;
  }

  /** Walks a page that ends before entry `end`, up to where one is missing; the chain tells how far that was. */
  async walk(page: readonly PageBlock[], tiles: readonly StoredTile[], end: number): Promise<void> {
    const { log, findings, chain } = this.#options;
    const leaves = new Map(
      tiles.flatMap(({ level, index, hashes }) => (level === 0 && hashes !== null ? [[index, hashes] as const] : [])),
    );
    for (const block of page) {
      const { size } = chain;
      if (block.first < size && (this.#begun || block.first + block.count <= size)) {
        const says = `entry ${block.first} of ${log.name} is there twice`;
        findings.add('entry-stray', { log: log.name, index: block.first }, says);
        continue;
      }
      if (block.first > size) return;
      this.#begun = true;
      if (!(await this.#walkBlock(block, leaves.get(Math.floor(block.first / TILE_WIDTH)) ?? null, end))) return;
    }
  }

  /** @returns whether one can go on behind it */
  async #walkBlock(block: PageBlock, tile: Uint8Array | null, end: number): Promise<boolean> {
    const { log, findings, chain } = this.#options;
    const stored = storedLeaves(block, tile);
    const contents = await this.#contentsOf(block);
    if (contents === null) {
      const says = `the block of ${log.name} that begins with entry ${block.first} cannot be read`;
      findings.add('block-damaged', { log: log.name, index: chain.size }, says);
      if (stored === null) return false;
    }
    for (let at = chain.size - block.first; at < Math.min(block.count, end - block.first); at++) {
      const content = contents?.[at] ?? null;
      const receivedAt = timeAt(block, at);
      const leaf = content === null ? leafAt(stored, at) : this.#checkLeaf(block, at, contents ?? [], stored);
      if (leaf === null) return false;
      if (content !== null) this.#checkContent(block, at, content);
      chain.checkTime(chain.size, receivedAt);
      chain.append(leaf, receivedAt);
      this.#leaf = leaf;
    }
    return true;
  }

  async #contentsOf(block: PageBlock): Promise<StoredContent[] | null> {
    const bytes = await this.#options.contentOf(block);
    if (bytes === null) return null;
    try {
      return unpackContents(bytes, block.count);
    } catch (error) {
      if (error instanceof AntequemError) return null;
      throw error;
    }
  }

  #checkContent({ first, erased: flags }: PageBlock, at: number, content: StoredContent): void {
    const { log, findings, erased, onPayload } = this.#options;
    const index = first + at;
    const record = erased.at(index);
    const place = { log: log.name, index };
    const name = `entry ${index} of ${log.name}`;
    const isErased = content.kind === 'erased';
    if (isErased !== flags.includes(at)) {
      const says = isErased
        ? `${name} has no content, and its block does not call it erased`
        : `the block of ${name} calls it erased, and it is there`;
      findings.add('erased-in-part', place, says);
    } else if (isErased && record === null) {
      const says = `payload, digest and nonce of ${name} are gone, and _system tells of no erasure`;
      findings.add('erased-unrecorded', place, says);
    } else if (!isErased && record === 'open') {
      this.counts.open++;
    } else if (!isErased && record !== null) {
      findings.add('erased-still-there', place, `${name} was erased by _system, and is there`);
    }
    if (isErased) {
      this.counts.erased++;
      if (record === 'retention' || record === 'open') this.counts.byRetention++;
    } else if (content.kind === 'digest') {
      this.counts.digests++;
      this.counts.firstDigest ??= index;
    } else {
      const { payload } = content;
      onPayload?.(index, Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength));
    }
  }

  /**
   * Compares the leaf hash that an entry makes with the one that is stored. Where they differ, the entry behind, which
   * names it, tells which of them was altered: what fits goes on, so that one altered entry is one finding.
   */
  #checkLeaf(block: PageBlock, at: number, contents: readonly StoredContent[], stored: Uint8Array | null): Uint8Array {
    const { log, findings, chain, onDigest } = this.#options;
    const made = this.#make(block, at, contents, this.#leaf);
    if (contents[at]?.kind !== 'erased') onDigest(block.first + at, this.#secret);
    const kept = leafAt(stored, at);
    if (kept === null || equalBytes(made, kept)) return made;
    const next = leafAt(stored, at + 1);
    const fits = (leaf: Uint8Array): boolean =>
      at + 1 < block.count && next !== null && equalBytes(this.#make(block, at + 1, contents, leaf), next);
    const index = block.first + at;
    if (!fits(made)) {
      chain.altered(index, 'has another leaf hash than its content, its time and the entry before make');
      return kept;
    }
    if (block.leaves !== null) {
      const says = `the open tile of ${log.name} has another leaf hash of entry ${index} than the entry makes`;
      findings.add('tile-differs', { log: log.name, index }, says);
    }
    // Else the tile is not the one that the entries make, as its own check tells.
    return made;
  }

  /** The leaf hash that an entry makes. */
  #make(block: PageBlock, at: number, contents: readonly StoredContent[], previous: Uint8Array): Uint8Array {
    const input = this.#input;
    writeU64(input, 2, Math.max(0, timeAt(block, at)));
    input.set(previous, 10);
    this.#commit(contents[at], input, 42);
    const leaf = new Uint8Array(HASH_SIZE);
    sha256Into(input, leaf, 0);
    return leaf;
  }

  #commit(content: StoredContent | undefined, out: Buffer, offset: number): void {
    if (content === undefined) return;
    if (content.kind === 'erased') {
      out.set(content.commitment, offset);
      return;
    }
    if (content.kind === 'payload') sha256Into(content.payload, this.#secret, 0);
    else this.#secret.set(content.digest);
    this.#secret.set(content.nonce, HASH_SIZE);
    sha256Into(this.#secret.subarray(0, HASH_SIZE + content.nonce.length), out, offset);
  }
}

/** The leaf hashes that are stored of a block; null: there are none. */
function storedLeaves({ first, count, leaves }: PageBlock, tile: Uint8Array | null): Uint8Array | null {
  const from = HASH_SIZE * (first % TILE_WIDTH);
  return leaves ?? tile?.subarray(from, from + HASH_SIZE * count) ?? null;
}

function leafAt(leaves: Uint8Array | null, at: number): Uint8Array | null {
  const leaf = leaves?.slice(HASH_SIZE * at, HASH_SIZE * (at + 1));
  return leaf?.length === HASH_SIZE ? leaf : null;
}
