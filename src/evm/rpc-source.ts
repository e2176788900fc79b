// A trusted node's view of its chain, over JSON-RPC.

import { FetchRequest, isError, JsonRpcProvider, Network } from 'ethers';
import * as z from 'zod/mini';
import { excerpt } from '../core/bytes.ts';
import { AntequemError, FormatError } from '../core/errors.ts';
import type { EvmBlock, EvmSource, EvmTransaction } from '../core/evm-source.ts';
import { boundedFetch } from './bounded-fetch.ts';

const TIMEOUT_MS = 10_000;
/** A block's list of transaction hashes and a receipt of ours have some hundred kilobytes at most. */
const MAX_ANSWER = 8 * 1_048_576;

const chainIdAnswer = z.object({ result: z.string().check(z.regex(/^0x(?:0|[1-9a-f][0-9a-f]{0,12})$/)) });

/**
 * A source that asks a node. The node's chain is asked for once, at the first question.
 * Every method throws AntequemError `rpc-failed` when the node does not answer, in time and in form.
 * @param url http or https; what it holds beside the host, such as an API key, is never shown
 * @throws FormatError `rpc-url`
 */
export function rpcSource(url: string): EvmSource {
  const { protocol, host } = parseUrl(url);
  const name = `the node at ${host}`;
  let connection: Promise<Connection> | null = null;
  const connect = (): Promise<Connection> => {
    connection ??= openConnection(url).catch((error: unknown) => {
      connection = null;
      throw error;
    });
    return connection;
  };
  const ask = async <T>(method: string, question: (connection: Connection) => Promise<T>): Promise<T> => {
    try {
      return await question(await connect());
    } catch (error) {
      throw new AntequemError('rpc-failed', `${protocol}//${host} did not answer ${method}: ${reasonOf(error)}`);
    }
  };
  return {
    grounds: 'rpc',
    describe: () => name,
    chainId: () => ask('eth_chainId', async ({ chainId }) => `eip155:${chainId}`),
    transaction: (hash) => ask('eth_getTransactionReceipt', ({ provider }) => readTransaction(provider, hash)),
    block: (number) => ask('eth_getBlockByNumber', ({ provider }) => readBlock(provider, number)),
    finalized: () =>
      ask('eth_getBlockByNumber finalized', async ({ provider }) => {
        const block = await provider.getBlock('finalized');
        if (block === null) throw new AntequemError('rpc-failed', 'it names no finalized block');
        return block.number;
      }),
  };
}

interface Connection {
  readonly chainId: bigint;
  readonly provider: JsonRpcProvider;
}

async function openConnection(url: string): Promise<Connection> {
  const request = new FetchRequest(url);
  request.timeout = TIMEOUT_MS;
  request.setThrottleParams({ maxAttempts: 2 });
  request.getUrlFunc = boundedFetch(MAX_ANSWER);
  const question = request.clone();
  question.body = { jsonrpc: '2.0', id: 1, method: 'eth_chainId', params: [] };
  const response = await question.send();
  response.assertOk();
  const chainId = BigInt(chainIdAnswer.parse(response.bodyJson).result);
  const network = Network.from(chainId);
  // Left to find out the network itself, the provider asks a dead node for ever, once a second.
  const provider = new JsonRpcProvider(request, network, {
    staticNetwork: network,
    cacheTimeout: -1,
    batchMaxCount: 1,
  });
  return { chainId, provider };
}

async function readTransaction(provider: JsonRpcProvider, hash: string): Promise<EvmTransaction | null> {
  const receipt = await provider.getTransactionReceipt(hash);
  if (receipt === null) return null;
  return {
    blockHash: receipt.blockHash.toLowerCase(),
    blockNumber: receipt.blockNumber,
    status: receipt.status ?? 0,
    logs: receipt.logs.map(({ address, topics, data }) => ({
      address: address.toLowerCase(),
      topics: topics.map((topic) => topic.toLowerCase()),
      data: data.toLowerCase(),
    })),
  };
}

async function readBlock(provider: JsonRpcProvider, number: number): Promise<EvmBlock | null> {
  const block = await provider.getBlock(number);
  if (block === null) return null;
  if (block.hash === null || block.number !== number) throw new AntequemError('rpc-failed', 'it sent another block');
  return {
    number,
    hash: block.hash.toLowerCase(),
    time: block.timestamp * 1000,
    transactions: block.transactions.map((hash) => hash.toLowerCase()),
  };
}

function parseUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    // The text may hold an API key: no more of it than says what kind of thing it is.
    throw new FormatError('rpc-url', `not the URL of a node (http or https): ${excerpt(text.slice(0, 12))}`);
  }
  return url;
}

/** Why a question failed, without the URL. */
function reasonOf(error: unknown): string {
  if (error instanceof z.core.$ZodError) return 'its answer is not of the form expected';
  if (isError(error, 'SERVER_ERROR')) return error.shortMessage;
  if (isError(error, 'TIMEOUT')) return 'it took too long';
  if (!(error instanceof Error)) return 'for a reason unknown';
  if (error.name === 'TimeoutError') return 'it took too long';
  const cause = error.cause instanceof Error && 'code' in error.cause ? String(error.cause.code) : undefined;
  if (cause !== undefined) return cause;
  if ('error' in error && typeof error.error === 'object' && error.error !== null && 'message' in error.error) {
    return `it said ${excerpt(String(error.error.message))}`;
  }
  return 'shortMessage' in error ? String(error.shortMessage) : error.message;
}
