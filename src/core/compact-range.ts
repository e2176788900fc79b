import { AntequemError } from './errors.ts';
import { foldRight, HASH_SIZE, hashNode, perfectNodes, perfectRoot } from './merkle.ts';
import { TILE_HEIGHT, TILE_WIDTH } from './tiles.ts';

/** A tile that has its 256 hashes. */
export interface CompleteTile {
  readonly level: number;
  readonly index: number;
  /** 256 × 32 bytes. */
  readonly hashes: Uint8Array;
  /** 32 bytes: the root over them. */
  readonly root: Uint8Array;
}

/**
 * The state of a tree of `size` leaves that is needed to append the next leaf and to complete tiles: the partial tile of each
 * level, and the roots of the perfect subtrees that make up the tree.
 */
export class CompactRange {
  #size = 0;
  /** Per tile level the bytes of its partial tile. */
  readonly #partial: Uint8Array[] = [];
  /** Per height the root of the perfect subtree on the edge, where the size has that bit. */
  readonly #roots: (Uint8Array | undefined)[] = [];

  /**
   * @param size leaves in the tree
   * @param partials the partial tile of each level from 0 on, as many hashes as the size leaves it
   * @throws AntequemError `tree-shape` when a partial tile has another length
   */
  static restore(size: number, partials: readonly Uint8Array[]): CompactRange {
    const range = new CompactRange();
    range.#size = size;
    let nodes = size;
    for (let level = 0; nodes > 0; level++) {
      const tile = range.#tile(level);
      const count = nodes % TILE_WIDTH;
      const partial = partials[level] ?? new Uint8Array(0);
      if (partial.length !== count * HASH_SIZE) {
        throw new AntequemError(
          'tree-shape',
          `the partial tile of level ${level} at size ${size} needs ${count} hashes`,
        );
      }
      tile.set(partial);
      for (const node of perfectNodes({ begin: 0, end: count })) {
        const first = node.index * 2 ** node.level;
        const hashes = partial.subarray(first * HASH_SIZE, (first + 2 ** node.level) * HASH_SIZE);
        range.#roots[level * TILE_HEIGHT + node.level] = perfectRoot(hashes);
      }
      nodes = Math.floor(nodes / TILE_WIDTH);
    }
    return range;
  }

  get size(): number {
    return this.#size;
  }

  /** Appends one leaf hash; tiles that it completes are handed to `onTile`, lowest first. */
  append(leafHash: Uint8Array, onTile: (tile: CompleteTile) => void): void {
    this.#place(0, this.#size, leafHash);
    this.#join(leafHash, 0, this.#size, onTile);
    this.#size++;
  }

  /**
   * Appends 256 leaf hashes at once, where the size is a multiple of 256; `onTile` is handed them first.
   * @param hashes 256 × 32 bytes
   * @throws AntequemError `tree-shape`
   */
  appendTile(hashes: Uint8Array, onTile: (tile: CompleteTile) => void): void {
    if (this.#size % TILE_WIDTH !== 0 || hashes.length !== TILE_WIDTH * HASH_SIZE) {
      throw new AntequemError('tree-shape', `a tile cannot be appended to a tree of ${this.#size} leaves`);
    }
    const index = this.#size / TILE_WIDTH;
    const root = perfectRoot(hashes);
    onTile({ level: 0, index, hashes: new Uint8Array(hashes), root });
    this.#place(1, index, root);
    this.#join(root, TILE_HEIGHT, index, onTile);
    this.#size += TILE_WIDTH;
  }

  /** The hashes of the partial tile of each level, from 0 on: what {@link restore} takes. */
  partials(): Uint8Array[] {
    const partials: Uint8Array[] = [];
    for (let nodes = this.#size; nodes > 0; nodes = Math.floor(nodes / TILE_WIDTH)) {
      partials.push(this.#tile(partials.length).slice(0, (nodes % TILE_WIDTH) * HASH_SIZE));
    }
    return partials;
  }

  /** The root of all leaves so far. */
  root(): Uint8Array {
    const roots = this.#roots.filter((root) => root !== undefined);
    return foldRight(roots.reverse());
  }

  /** Adds the root of a perfect subtree, the `position`-th of its height, and those that it completes. */
  #join(root: Uint8Array, from: number, index: number, onTile: (tile: CompleteTile) => void): void {
    let hash = root;
    let height = from;
    let position = index;
    for (let existing = this.#roots[height]; position % 2 === 1; existing = this.#roots[height]) {
      if (existing === undefined) throw new AntequemError('tree-shape', 'the edge of the tree is incomplete');
      hash = hashNode(existing, hash);
      this.#roots[height] = undefined;
      position = (position - 1) / 2;
      height++;
      if (height % TILE_HEIGHT === 0) {
        const level = height / TILE_HEIGHT;
        onTile({ level: level - 1, index: position, hashes: this.#tile(level - 1).slice(), root: hash });
        this.#place(level, position, hash);
      }
    }
    this.#roots[height] = hash;
  }

  #place(level: number, position: number, hash: Uint8Array): void {
    this.#tile(level).set(hash, (position % TILE_WIDTH) * HASH_SIZE);
  }

  #tile(level: number): Uint8Array {
    this.#partial[level] ??= new Uint8Array(TILE_WIDTH * HASH_SIZE);
    return this.#partial[level];
  }
}
