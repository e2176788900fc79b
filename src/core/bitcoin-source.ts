/** A block of the chain that a source follows. */
export interface BitcoinBlock {
  /** 80 bytes, whose double SHA-256 is `hash`: a source checks that. */
  readonly header: Uint8Array;
  /** Hex in RPC order. */
  readonly hash: string;
}

/**
 * A view of one Bitcoin chain that the verifier trusts. A method that cannot answer throws. Null: this source has no such
 * block now.
 */
export interface HeaderSource {
  readonly grounds: 'bitcoin-node' | 'esplora';
  /** CAIP-2, such as `bip122:000000000019d6689c085ae165831e93`: the only chain it answers for. */
  readonly chain: string;
  /** Names the source to a reader, without secrets that its URL may hold. */
  describe(): string;
  /** The block at this height; a reorganization may replace it. */
  header(height: number): Promise<BitcoinBlock | null>;
  /** Of the newest block. */
  height(): Promise<number>;
}

/** Blocks, the block itself included, after which a block counts as final. */
const CONFIRMATION_BLOCKS = 6;

/** Whether enough blocks follow the one at this height. */
export async function isDeep(source: HeaderSource, height: number): Promise<boolean> {
  return (await source.height()) - height + 1 >= CONFIRMATION_BLOCKS;
}

/** The source as of one verdict: it asks each question once, so that the verdict does not contradict itself. */
export function remembering(source: HeaderSource): HeaderSource {
  const headers = new Map<number, Promise<BitcoinBlock | null>>();
  let newest: Promise<number> | null = null;
  return {
    grounds: source.grounds,
    chain: source.chain,
    describe: () => source.describe(),
    header(height) {
      const known = headers.get(height) ?? source.header(height);
      headers.set(height, known);
      return known;
    },
    height() {
      newest ??= source.height();
      return newest;
    },
  };
}
