/** A block of the chain that a source follows. */
export interface BitcoinBlock {
  /** 80 bytes, whose double SHA-256 is `hash`: a source checks that. */
  readonly header: Uint8Array;
  /** Hex in RPC order. */
  readonly hash: string;
}

/**
 * A view of one Bitcoin chain that whoever asks trusts. A method that cannot answer throws; null says that the chain,
 * as this source sees it now, has no such block.
 */
export interface HeaderSource {
  readonly grounds: 'bitcoin-node' | 'esplora';
  /** CAIP-2, such as `bip122:000000000019d6689c085ae165831e93`: it answers for no other chain. */
  readonly chain: string;
  /** Names the source to a reader, without secrets that its URL may hold. */
  describe(): string;
  /** The block at this height; a reorganisation may replace it. */
  header(height: number): Promise<BitcoinBlock | null>;
  /** Of the newest block. */
  height(): Promise<number>;
}
