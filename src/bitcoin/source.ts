import { bitcoinChain, HEADER_SIZE, parseHeader } from '../core/bitcoin-header.ts';
import type { BitcoinBlock, HeaderSource } from '../core/bitcoin-source.ts';
import { fromHex } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';

/** Nodes have no larger heights. */
const MAX_HEIGHT = 2 ** 31 - 1;

/** The requests that each kind of server answers. Answers have the right form; they are not yet checked against each other. */
export interface HeaderClient {
  readonly grounds: HeaderSource['grounds'];
  describe(): string;
  /** Hex in RPC order; null above the newest block. */
  hashAt(height: number): Promise<string | null>;
  /** Hex of the header of the block with this hash. */
  headerOf(hash: string): Promise<string>;
  height(): Promise<number>;
}

/**
 * A source for one chain. Before its first answer the client is asked which chain it follows.
 * Every method throws AntequemError: `bitcoin-failed` (no valid answer in time), `bitcoin-login` (user or password refused),
 * `bitcoin-chain` (it follows another chain), `bitcoin-answer` (a header with another hash than it should have).
 */
export function sourceOf(client: HeaderClient, chain: string): HeaderSource {
  let checked: Promise<void> | null = null;
  const onChain = (): Promise<void> => {
    checked ??= chainOf(client)
      .then((found) => {
        if (found === chain) return;
        throw new AntequemError('bitcoin-chain', `${client.describe()} follows ${found}, not ${chain}`);
      })
      .catch((error: unknown) => {
        checked = null;
        throw error;
      });
    return checked;
  };
  return {
    grounds: client.grounds,
    chain,
    describe: () => client.describe(),
    async header(height) {
      if (!Number.isSafeInteger(height) || height < 0 || height > MAX_HEIGHT) return null;
      await onChain();
      const hash = await client.hashAt(height);
      return hash === null ? null : block(client, hash);
    },
    async height() {
      await onChain();
      return client.height();
    },
  };
}

/** CAIP-2 id of the chain a client follows. @throws AntequemError `bitcoin-failed`, `bitcoin-login`, `bitcoin-answer` */
export async function chainOf(client: HeaderClient): Promise<string> {
  const genesis = await client.hashAt(0);
  if (genesis === null) throw new AntequemError('bitcoin-answer', `${client.describe()} names no first block`);
  return bitcoinChain(genesis);
}

async function block(client: HeaderClient, hash: string): Promise<BitcoinBlock> {
  const text = await client.headerOf(hash);
  const header = text.length === 2 * HEADER_SIZE && /^[0-9a-f]+$/.test(text) ? fromHex(text) : null;
  if (header === null || parseHeader(header).hash !== hash) {
    throw new AntequemError('bitcoin-answer', `${client.describe()} sent a header that is not that of block ${hash}`);
  }
  return { header, hash };
}
