// The part of bcoin 1.0.2 that is used here. It is CommonJS without types; hashes are 32 bytes in the order in which
// blocks hold them, or hex of that.

declare module 'bcoin' {
  interface Output {
    readonly value: number;
  }

  interface TX {
    readonly outputs: readonly Output[];
    hash(): Buffer;
    hash(encoding: 'hex'): string;
    isCoinbase(): boolean;
    /** Without witnesses: what is hashed. */
    toNormal(): Buffer;
  }

  interface Coin {
    readonly value: number;
  }

  interface Block {
    readonly txs: readonly TX[];
  }

  interface ChainEntry {
    readonly height: number;
    readonly hash: string;
    /** 80 bytes of header and more. */
    toRaw(): Buffer;
  }

  interface Chain {
    readonly height: number;
    readonly tip: ChainEntry;
    add(block: Block): Promise<ChainEntry | null>;
    getHash(height: number): Promise<string | null>;
    getEntry(hash: string): Promise<ChainEntry | null>;
    getBlock(hash: string): Promise<Block | null>;
    invalidate(hash: string): Promise<void>;
  }

  interface MiningJob {
    readonly attempt: { time: number; readonly mtp: number };
    refresh(): void;
    mineAsync(): Promise<Block>;
  }

  class FullNode {
    constructor(options: {
      readonly network: 'regtest';
      readonly memory: boolean;
      readonly prefix: string;
      readonly logFile: false;
      readonly logConsole: false;
      readonly workers: false;
      readonly listen: false;
      readonly indexTX: true;
      readonly httpHost: string;
      readonly httpPort: number;
      /** Password of the JSON-RPC server, under any user name. */
      readonly apiKey: string;
      readonly coinbaseAddress: readonly string[];
    });
    readonly chain: Chain;
    readonly mempool: {
      readonly map: ReadonlyMap<string, unknown>;
      /** @returns hashes of transactions that are missing before it; null where it was taken */
      addTX(tx: TX): Promise<readonly string[] | null>;
    };
    readonly pool: { forceSync: () => void };
    readonly miner: { createJob(tip?: ChainEntry): Promise<MiningJob> };
    readonly http: {
      readonly http: { address(): { readonly port: number }; close(): void };
      open: () => Promise<unknown>;
    };
    ensure(): Promise<void>;
    open(): Promise<void>;
    close(): Promise<void>;
    /** Not those that are spent in the mempool. */
    getCoin(hash: string, index: number): Promise<Coin | null>;
    /** A transaction of the mempool (height -1) or of a block. */
    getMeta(hash: string): Promise<{ readonly height: number; readonly block: string | null } | null>;
  }

  class KeyRing {
    static fromPrivate(key: Buffer, compress: true): KeyRing;
    getAddress(encoding: 'string', network: 'regtest'): string;
  }

  interface Script {
    readonly raw: Buffer;
  }

  class MTX {
    addCoin(coin: Coin): void;
    addOutput(to: Script | string, value: number): void;
    sign(ring: KeyRing): number;
    toTX(): TX;
  }

  const bcoin: {
    readonly FullNode: typeof FullNode;
    readonly KeyRing: typeof KeyRing;
    readonly Script: { fromNulldata(data: Buffer): Script };
    readonly MTX: typeof MTX;
    readonly TX: { fromRaw(raw: Buffer): TX };
  };

  export type { Block, Coin, FullNode, TX };
  export default bcoin;
}
