// A Bitcoin node of its own private chain (regtest): real blocks and transactions, worth nothing, made whenever asked.

import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Block, FullNode, TX } from 'bcoin';
import { isPortTaken } from './ports.ts';

// Its native parts want a compiler; read when it is loaded.
process.env.NODE_BACKEND = 'js';
const { default: bcoin } = await import('bcoin');

// Its coins are worth nothing, and nobody is kept from them.
const purse = bcoin.KeyRing.fromPrivate(Buffer.alloc(32, 0x61), true);
const ADDRESS = purse.getAddress('string', 'regtest');
/** Blocks until what was mined can be spent. */
const MATURITY = 100;
/** Satoshis for a transaction of some 235 bytes; a regtest node relays from 1 satoshi a byte on. */
const FEE = 1_000;

const USER = 'antequem';
const LOCK_PATIENCE_MS = 5_000;

export interface RegtestOptions {
  /** Where its blocks are kept; null: in memory. */
  readonly dataDir: string | null;
  /** For JSON-RPC, which it offers on loopback alone. Default: any free one, which also replaces one in use. */
  readonly port?: number;
  /** For JSON-RPC: letters and digits. */
  readonly password: string;
  /** The name others reach it by, where that is beyond loopback (in a network of containers). */
  readonly host?: string | undefined;
}

/** Where a transaction stands. */
export interface Place {
  readonly height: number;
  /** Of that block's transactions, in their order, 32 bytes each as blocks hold them. */
  readonly ids: readonly Uint8Array[];
  readonly index: number;
}

/** The node, in this process. What is asked of it is done one after the other. */
export class RegtestNode {
  protected readonly node: FullNode;
  /** Core-style JSON-RPC, with user and password. */
  readonly rpcUrl: string;
  #last: Promise<unknown> = Promise.resolve();

  constructor(node: FullNode, password: string, host: string) {
    this.node = node;
    this.rpcUrl = `http://${USER}:${password}@${host}:${node.http.http.address().port}`;
  }

  /** Opens it with the blocks it had, or with as many new ones as it takes to have coins. */
  static async open<T extends RegtestNode>(
    this: new (
      ...parts: ConstructorParameters<typeof RegtestNode>
    ) => T,
    { dataDir, port, password, host }: RegtestOptions,
  ): Promise<T> {
    if (dataDir !== null) mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const node = await openNode({
      network: 'regtest',
      memory: dataDir === null,
      prefix: dataDir ?? '/',
      logFile: false,
      logConsole: false,
      workers: false,
      listen: false,
      indexTX: true,
      httpHost: host === undefined ? '127.0.0.1' : '0.0.0.0',
      httpPort: port ?? 0,
      apiKey: password,
      coinbaseAddress: [ADDRESS],
    });
    const opened = new this(node, password, host ?? '127.0.0.1');
    await opened.#endow();
    return opened;
  }

  /** Of the newest block. */
  get height(): number {
    return this.node.chain.height;
  }

  /** Mines blocks of whatever waits. */
  mine(count = 1): Promise<void> {
    return this.inTurn(async () => {
      for (let i = 0; i < count; i++) await this.node.chain.add(await this.block(null));
    });
  }

  /**
   * Makes a transaction whose OP_RETURN output bears these bytes; nobody has it yet.
   * @returns what is hashed twice for its id
   */
  inscribe(data: Uint8Array): Promise<Uint8Array> {
    return this.inTurn(async () => {
      const coin = await this.#coin();
      const transaction = new bcoin.MTX();
      transaction.addCoin(coin);
      transaction.addOutput(bcoin.Script.fromNulldata(Buffer.from(data)), 0);
      transaction.addOutput(ADDRESS, coin.value - FEE);
      transaction.sign(purse);
      return new Uint8Array(transaction.toTX().toNormal());
    });
  }

  /** Has it wait for a block, unless it has one. False where what it spends is gone. */
  submit(transaction: Uint8Array): Promise<boolean> {
    return this.inTurn(async () => {
      const tx = bcoin.TX.fromRaw(Buffer.from(transaction));
      if ((await this.node.getMeta(tx.hash('hex'))) !== null) return true;
      try {
        return (await this.node.mempool.addTX(tx)) === null;
      } catch {
        return false;
      }
    });
  }

  /** Where it stands in the chain as it is now; null where it does not. */
  async find(transaction: Uint8Array): Promise<Place | null> {
    const id = bcoin.TX.fromRaw(Buffer.from(transaction)).hash();
    const meta = await this.node.getMeta(id.toString('hex'));
    if (meta === null || meta.block === null) return null;
    const block = await this.node.chain.getBlock(meta.block);
    const ids = block?.txs.map((tx) => new Uint8Array(tx.hash())) ?? [];
    const index = ids.findIndex((each) => id.equals(each));
    return index < 0 ? null : { height: meta.height, ids, index };
  }

  async close(): Promise<void> {
    await this.inTurn(() => this.node.close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The first blocks lie in the past, so that those to come need not be in the future. */
  async #endow(): Promise<void> {
    const missing = MATURITY + 1 - this.height;
    const now = Math.floor(Date.now() / 1000);
    for (let left = missing; left > 0; left--) {
      await this.node.chain.add(await this.block(null, now - 30 * left));
    }
  }

  protected async block(before: string | null, time?: number): Promise<Block> {
    const { chain, miner } = this.node;
    const job = await miner.createJob((before === null ? null : await chain.getEntry(before)) ?? chain.tip);
    if (time !== undefined) {
      job.attempt.time = Math.max(time, job.attempt.mtp + 1);
      job.refresh();
    }
    return job.mineAsync();
  }

  /** The change of the newest transaction, which is enough for millions; at first what the first block brought. */
  async #coin(): Promise<NonNullable<Awaited<ReturnType<FullNode['getCoin']>>>> {
    const { mempool, chain } = this.node;
    for (const hash of [...mempool.map.keys()].reverse()) {
      const coin = await this.node.getCoin(hash, 1);
      if (coin !== null) return coin;
    }
    for (let height = this.height; height > 0; height--) {
      const block = await chain.getBlock((await chain.getHash(height)) ?? '');
      const coin = block === null ? null : await this.#changeOf(block.txs, height);
      if (coin !== null) return coin;
    }
    throw new Error('the regtest node has no coins');
  }

  async #changeOf(txs: readonly TX[], height: number): ReturnType<FullNode['getCoin']> {
    for (const tx of txs.toReversed()) {
      if (tx.isCoinbase() && height > 1) continue;
      const coin = await this.node.getCoin(tx.hash('hex'), tx.isCoinbase() ? 0 : 1);
      if (coin !== null) return coin;
    }
    return null;
  }

  protected inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }
}

type NodeOptions = ConstructorParameters<typeof FullNode>[0];

/** Takes a free port where the one wanted is in use, and waits for a process that was killed to let go of the blocks. */
async function openNode(wanted: NodeOptions): Promise<FullNode> {
  const until = performance.now() + LOCK_PATIENCE_MS;
  let options = wanted;
  for (;;) {
    const node = new bcoin.FullNode(options);
    // Without peers it would throw when blocks are forgotten, before the mempool hears of that.
    node.pool.forceSync = () => {};
    try {
      await node.ensure();
      // First, since a node that failed while opening keeps the blocks locked.
      await node.http.open();
      node.http.open = async () => {};
    } catch (error) {
      if (!isPortTaken(error) || options.httpPort === 0) throw error;
      options = { ...options, httpPort: 0 };
      continue;
    }
    try {
      await node.open();
      return node;
    } catch (error) {
      node.http.http.close();
      if (!(error instanceof Error && /lock/i.test(error.message)) || performance.now() > until) throw error;
      await sleep(100);
    }
  }
}
