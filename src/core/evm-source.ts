/** A transaction that a block holds, with what its receipt says. */
export interface EvmTransaction {
  /** 0x-hex, 32 bytes. */
  readonly blockHash: string;
  readonly blockNumber: number;
  /** 1: it succeeded. */
  readonly status: number;
  readonly logs: readonly EvmLog[];
}

/** 0x-hex throughout. */
export interface EvmLog {
  readonly address: string;
  readonly topics: readonly string[];
  readonly data: string;
}

export interface EvmBlock {
  readonly number: number;
  /** 0x-hex, 32 bytes. */
  readonly hash: string;
  /** Milliseconds since the Unix epoch, of whole seconds. */
  readonly time: number;
  /** Hashes of its transactions, 0x-hex, where the source tells them. */
  readonly transactions?: readonly string[];
}

/**
 * A view of one EVM chain that whoever verifies trusts. A method that cannot answer throws; null says that the chain,
 * as this source sees it now, has no such thing.
 */
export interface EvmSource {
  readonly grounds: 'rpc';
  /** Names the source to a reader, without secrets that its URL may hold. */
  describe(): string;
  /** CAIP-2, such as `eip155:1`. */
  chainId(): Promise<string>;
  /** The transaction in its block; null also while it is in none. */
  transaction(hash: string): Promise<EvmTransaction | null>;
  /** The canonical block of this height. */
  block(number: number): Promise<EvmBlock | null>;
  /** Height of the newest final block: it and those below are never replaced. */
  finalized(): Promise<number>;
}
