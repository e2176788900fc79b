// JSON-RPC in front of a chain in memory, for `--rpc`.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { MemoryChain } from '../support/receipts.ts';

const ZERO = `0x${'00'.repeat(32)}`;
const ADDRESS = `0x${'00'.repeat(20)}`;
const quantity = (value: number): string => `0x${value.toString(16)}`;

interface ServedChain {
  /** Default true. */
  readonly namesFinal?: boolean;
}

export async function serveChain(
  chain: MemoryChain,
  { namesFinal = true }: ServedChain = {},
): Promise<{ url: string; stop: () => Promise<void> }> {
  const server: Server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const { id, method, params } = JSON.parse(text);
    const untold = !namesFinal && params[0] === 'finalized';
    const result = untold ? null : await answer(chain, method, params);
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id, result }));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening');
  return {
    url: `http://127.0.0.1:${address.port}`,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(chain: MemoryChain, method: string, params: readonly string[]): Promise<unknown> {
  const [what = ''] = params;
  if (method === 'eth_chainId') return quantity(Number(chain.chain.split(':')[1]));
  if (method === 'eth_getTransactionReceipt') return transactionReceipt(chain, what);
  if (method === 'eth_getBlockByNumber') {
    const tags: Record<string, number> = { finalized: await chain.finalized(), latest: chain.blocks.length - 1 };
    return block(chain, tags[what] ?? Number(what));
  }
  throw new Error(`no answer to ${method}`);
}

async function block(chain: MemoryChain, number: number): Promise<unknown> {
  const found = await chain.block(number);
  if (found === null) return null;
  return {
    number: quantity(number),
    hash: found.hash,
    parentHash: ZERO,
    timestamp: quantity(found.time / 1000),
    nonce: '0x0000000000000000',
    difficulty: '0x0',
    gasLimit: '0x1',
    gasUsed: '0x0',
    miner: ADDRESS,
    extraData: '0x',
    transactions: found.transactions,
  };
}

async function transactionReceipt(chain: MemoryChain, hash: string): Promise<unknown> {
  const found = await chain.transaction(hash);
  if (found === null) return null;
  const place = {
    transactionHash: hash,
    transactionIndex: '0x0',
    blockHash: found.blockHash,
    blockNumber: quantity(found.blockNumber),
  };
  return {
    ...place,
    from: ADDRESS,
    to: ADDRESS,
    contractAddress: null,
    cumulativeGasUsed: '0x1',
    gasUsed: '0x1',
    effectiveGasPrice: '0x1',
    logsBloom: `0x${'00'.repeat(256)}`,
    type: '0x2',
    status: quantity(found.status),
    logs: found.logs.map((log, i) => ({ ...place, ...log, logIndex: quantity(i), removed: false })),
  };
}
