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
 * A view of one EVM chain that the verifier trusts. A method that cannot answer throws. Null: this source has no such
 * thing now.
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

/** The trusted sources by the chain that each of them says it serves. */
export interface EvmSources {
  readonly byChain: ReadonlyMap<string, readonly EvmSource[]>;
  /** One sentence for each source that did not tell its chain. */
  readonly failures: readonly string[];
}

/** Chains that anyone can start again under the same id (Hardhat, Anvil, Ganache, geth --dev). */
const DEVELOPMENT_CHAINS = new Set(['eip155:31337', 'eip155:1337']);

/** Whether several chains can have this id. */
export function isDevelopmentChain(chain: string): boolean {
  return DEVELOPMENT_CHAINS.has(chain);
}
