import { randomBytes } from 'node:crypto';
import type { TX } from 'bcoin';
import { RegtestNode, type RegtestOptions } from '../../scripts/local/bitcoin-node.ts';
import { type CalendarOptions, LocalCalendar } from '../../scripts/local/calendar.ts';

/** The node of local mode, with what only tests do to a chain. */
export class TestBitcoin extends RegtestNode {
  /** Transactions that wait for a block. */
  get waiting(): number {
    return this.node.mempool.map.size;
  }

  /** The header of the block at this height: 80 bytes. */
  async header(height: number): Promise<Uint8Array> {
    const entry = await this.node.chain.getEntry((await this.node.chain.getHash(height)) ?? '');
    if (entry === null) throw new Error(`the chain ends at ${this.height}, before ${height}`);
    return new Uint8Array(entry.toRaw().subarray(0, 80));
  }

  /**
   * Replaces the newest `depth` blocks by one more than these, as a stronger miner would: transactions that stood in
   * them wait again.
   */
  reorganize(depth: number): Promise<void> {
    return this.inTurn(async () => {
      const { chain, mempool } = this.node;
      const replaced: TX[] = [];
      for (let height = chain.height - depth + 1; height <= chain.height; height++) {
        replaced.push(...((await chain.getBlock((await chain.getHash(height)) ?? ''))?.txs ?? []));
      }
      let before = (await chain.getHash(chain.height - depth)) ?? '';
      for (let i = 0; i <= depth; i++) {
        const entry = await chain.add(await this.block(before));
        before = entry?.hash ?? '';
      }
      // What else puts them back into the mempool does so only when that is not empty.
      for (const tx of replaced.filter((each) => !each.isCoinbase())) await mempool.addTX(tx).catch(() => {});
    });
  }

  /** Forgets the newest `depth` blocks with all that was in them, as if they had never been. */
  invalidate(depth: number): Promise<void> {
    return this.inTurn(async () => {
      const { chain } = this.node;
      await chain.invalidate((await chain.getHash(chain.height - depth + 1)) ?? '');
    });
  }
}

/**
 * A Bitcoin node of its own regtest chain, with coins; `await using` ends it. `rpcUrl` is what BITCOIN_RPC_URL takes,
 * `mine`, `reorganize` and `invalidate` move the chain, `inscribe` and `submit` put bytes into it.
 */
export function testBitcoin(options: Partial<RegtestOptions> = {}): Promise<TestBitcoin> {
  return TestBitcoin.open({ dataDir: null, password: randomBytes(8).toString('hex'), ...options });
}

/** A calendar that stamps into the node's chain at each `turn`, and by itself where an interval is given. */
export function testCalendar(node: RegtestNode, options: Partial<CalendarOptions> = {}): Promise<LocalCalendar> {
  const random = (length: number): Uint8Array => new Uint8Array(randomBytes(length));
  return LocalCalendar.open({ node, book: null, interval: null, depth: 1, random, now: Date.now, ...options });
}
