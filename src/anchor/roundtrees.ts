import { concat } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { hashLeaf, MerkleTree } from '../core/merkle.ts';
import type { Queryable } from '../store/database.ts';
import { type Round, readLeaves, readRound } from './rounds.ts';

/** Leaves of remembered rounds: 64 bytes of tree each. */
const CACHED_LEAVES = 500_000;

/** The trees of rounds, the ones last used remembered: rounds never change. */
export class RoundTrees {
  readonly #database: Queryable;
  readonly #cache = new Map<number, { round: Round; tree: MerkleTree }>();
  #leaves = 0;

  constructor(database: Queryable) {
    this.#database = database;
  }

  /** @throws AntequemError `round-damaged` where its leaves do not make its root */
  async read(number: number): Promise<{ round: Round; tree: MerkleTree }> {
    const cached = this.#cache.get(number);
    if (cached !== undefined) {
      this.#cache.delete(number);
      this.#cache.set(number, cached);
      return cached;
    }
    const round = await readRound(this.#database, number);
    if (round === null) throw new AntequemError('round-damaged', `round ${number} is gone: run an audit`);
    const leaves = await readLeaves(this.#database, round);
    const tree = new MerkleTree(concat(...leaves.map(hashLeaf)));
    if (Buffer.compare(tree.root(), round.root) !== 0) {
      throw new AntequemError('round-damaged', `the leaves of round ${number} do not make its root: run an audit`);
    }
    this.#remember({ round, tree });
    return { round, tree };
  }

  #remember(entry: { round: Round; tree: MerkleTree }): void {
    // Two that read it at the same time count it once.
    if (this.#cache.has(entry.round.number)) return;
    this.#cache.set(entry.round.number, entry);
    this.#leaves += entry.tree.size;
    for (const [number, oldest] of this.#cache) {
      if (this.#leaves <= CACHED_LEAVES || oldest === entry) break;
      this.#cache.delete(number);
      this.#leaves -= oldest.tree.size;
    }
  }
}
