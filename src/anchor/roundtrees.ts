import { AntequemError } from '../core/errors.ts';
import { LruCache, type SharedLimit } from '../core/lru.ts';
import { hashLeaves, MerkleTree } from '../core/merkle.ts';
import type { Queryable } from '../store/database.ts';
import { type Round, roundWithLeaves } from './rounds.ts';

/** Bytes of remembered rounds: 64 of tree for each leaf, and what a round has of objects. */
const CACHED_BYTES = 16 << 20;
const LEAF_BYTES = 64;
const ROUND_BYTES = 3_000;

/** A round and the tree of its leaves. */
export interface RoundTree {
  readonly round: Round;
  readonly tree: MerkleTree;
}

/** The trees of rounds. Those used last are remembered, because rounds never change. */
export class RoundTrees {
  readonly #database: Queryable;
  readonly #cache: LruCache<number, RoundTree>;
  /** Reads under way, so that the leaves of a round are read once for all callers. */
  readonly #reads = new Map<number, Promise<RoundTree>>();

  /** @param bytes that may be remembered, alone or with others */
  constructor(database: Queryable, bytes: number | SharedLimit = CACHED_BYTES) {
    this.#database = database;
    this.#cache = new LruCache(bytes);
  }

  /** @throws AntequemError `round-damaged` where its leaves do not make its root */
  async read(number: number): Promise<RoundTree> {
    const cached = this.#cache.get(number);
    if (cached !== undefined) return cached;
    const underWay = this.#reads.get(number);
    if (underWay !== undefined) return underWay;
    const read = this.#read(number).finally(() => this.#reads.delete(number));
    this.#reads.set(number, read);
    return read;
  }

  async #read(number: number): Promise<RoundTree> {
    const found = await roundWithLeaves(this.#database, number);
    if (found === null) throw new AntequemError('round-damaged', `round ${number} is gone: run an audit`);
    const { round, leaves } = found;
    const tree = new MerkleTree(hashLeaves(leaves));
    if (Buffer.compare(tree.root(), round.root) !== 0) {
      throw new AntequemError('round-damaged', `the leaves of round ${number} do not make its root: run an audit`);
    }
    this.#cache.set(number, { round, tree }, tree.size * LEAF_BYTES + ROUND_BYTES);
    return { round, tree };
  }
}
