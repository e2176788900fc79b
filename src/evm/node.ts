// What anchoring asks of a node, one method an effect: tests make each of them fail.

import { FetchRequest, hexlify, isError, JsonRpcProvider, Network } from 'ethers';
import * as z from 'zod/mini';
import { AntequemError } from '../core/errors.ts';
import { boundedFetch } from './bounded-fetch.ts';
import { costForms, receiptCost } from './receipt-cost.ts';

/** A full block of Ethereum with all its receipts stays below half of it. */
const MAX_ANSWER = 32 * 1_048_576;

export type BlockTag = number | 'latest' | 'finalized';

export interface NodeBlock {
  readonly number: number;
  readonly hash: string;
  /** Milliseconds since the Unix epoch, of whole seconds. */
  readonly time: number;
  /** Wei per gas; null on a chain without EIP-1559. */
  readonly baseFee: bigint | null;
}

export interface NodeReceipt {
  readonly blockHash: string;
  readonly blockNumber: number;
  readonly succeeded: boolean;
  /** Wei for its gas, and what a rollup takes beside it; null where the node does not tell. */
  readonly cost: bigint | null;
  readonly logs: readonly { readonly address: string; readonly topics: readonly string[]; readonly data: string }[];
}

/**
 * One endpoint of one chain. Hex is lower case with 0x. Every method answers within the timeout or throws AntequemError
 * `rpc-failed` (no answer, or not of the form expected) or `rpc-refused` (the node said no).
 */
export interface EvmNode {
  /** Names the endpoint without the secrets that its URL may hold. */
  readonly name: string;
  chainId(): Promise<number>;
  /** The canonical block there; null where the node has none. */
  block(at: BlockTag): Promise<NodeBlock | null>;
  /**
   * Transactions of the account that are mined up to that block; `pending` counts those waiting too. Where several
   * endpoints count differently, `pick` says which of them counts; default: who counts least.
   */
  transactionCount(address: string, at: BlockTag | 'pending', pick?: 'least' | 'most'): Promise<number>;
  /** Wei that the account holds in the newest block. */
  balance(address: string): Promise<bigint>;
  /** Null while no canonical block holds the transaction. */
  receipt(hash: string): Promise<NodeReceipt | null>;
  /** Whether the node has the transaction, mined or waiting. */
  knows(hash: string): Promise<boolean>;
  code(address: string): Promise<string>;
  estimateGas(call: { readonly from: string; readonly to: string; readonly data: string }): Promise<bigint>;
  /** The tip the node proposes, wei per gas. */
  priorityFee(): Promise<bigint>;
  /** Hands over a signed transaction. That it throws does not mean that the node did not take it. */
  send(raw: Uint8Array): Promise<void>;
  /** The endpoints behind it, for what proves itself whoever tells it. */
  readonly sources: readonly RawSource[];
  close(): void;
}

/** An endpoint's own answers, of whatever form. */
export interface RawSource {
  readonly name: string;
  /** @throws AntequemError `rpc-failed`, `rpc-refused` */
  ask(method: string, params: readonly unknown[]): Promise<unknown>;
}

export interface RpcNodeOptions {
  readonly url: string;
  /** What the node should be on; it is asked all the same. */
  readonly chainId: number;
  /** Milliseconds for one question. Default 10,000. */
  readonly timeout?: number;
}

export function rpcNode({ url, chainId, timeout = 10_000 }: RpcNodeOptions): EvmNode {
  const { host } = new URL(url);
  const request = new FetchRequest(url);
  request.timeout = timeout;
  // Whoever asks decides when to ask again: waiting in here would hide a node that is down.
  request.setThrottleParams({ maxAttempts: 1 });
  request.getUrlFunc = boundedFetch(MAX_ANSWER);
  const network = Network.from(chainId);
  const options = { staticNetwork: network, cacheTimeout: -1, batchMaxCount: 1 };
  const provider = new JsonRpcProvider(request, network, options);
  const ask = async <T>(method: string, params: unknown[], form: z.ZodMiniType<T>): Promise<T> => {
    try {
      return form.parse(await provider.send(method, params), { jitless: true });
    } catch (error) {
      throw new AntequemError(isRefusal(error) ? 'rpc-refused' : 'rpc-failed', `${host}, ${method}: ${why(error)}`);
    }
  };
  return {
    name: host,
    chainId: () => ask('eth_chainId', [], count),
    block: (at) => ask('eth_getBlockByNumber', [tag(at), false], z.nullable(block)),
    transactionCount: (address, at) => ask('eth_getTransactionCount', [address, tag(at)], count),
    balance: (address) => ask('eth_getBalance', [address, 'latest'], quantity),
    receipt: (hash) => ask('eth_getTransactionReceipt', [hash], z.nullable(receipt)),
    knows: async (hash) => (await ask('eth_getTransactionByHash', [hash], z.nullable(z.looseObject({})))) !== null,
    code: (address) => ask('eth_getCode', [address, 'latest'], hex),
    estimateGas: (call) => ask('eth_estimateGas', [call], quantity),
    priorityFee: () => ask('eth_maxPriorityFeePerGas', [], quantity),
    send: async (raw) => void (await ask('eth_sendRawTransaction', [hexlify(raw)], hex)),
    sources: [{ name: host, ask: (method, params) => ask(method, [...params], z.unknown()) }],
    close: () => provider.destroy(),
  };
}

function tag(at: BlockTag | 'pending'): string {
  return typeof at === 'number' ? `0x${at.toString(16)}` : at;
}

const hex = z.pipe(
  z.string().check(z.regex(/^0x[0-9a-fA-F]*$/)),
  z.transform((text) => text.toLowerCase()),
);
const quantity = z.pipe(
  z.string().check(z.regex(/^0x[0-9a-fA-F]{1,64}$/)),
  z.transform((text) => BigInt(text)),
);
const count = z.pipe(
  z.string().check(z.regex(/^0x[0-9a-fA-F]{1,13}$/)),
  z.transform((text) => Number(text)),
);
const block = z.pipe(
  z.looseObject({ number: count, hash: hex, timestamp: count, baseFeePerGas: z.optional(z.nullable(quantity)) }),
  z.transform(
    ({ number, hash, timestamp, baseFeePerGas }): NodeBlock => ({
      number,
      hash,
      time: timestamp * 1_000,
      baseFee: baseFeePerGas ?? null,
    }),
  ),
);
const receipt = z.pipe(
  z.looseObject({
    blockHash: hex,
    blockNumber: count,
    status: z.nullish(count),
    ...costForms,
    logs: z.array(z.looseObject({ address: hex, topics: z.array(hex), data: hex })),
  }),
  z.transform(
    ({ blockHash, blockNumber, status, logs, ...told }): NodeReceipt => ({
      blockHash,
      blockNumber,
      // Receipts of before Byzantium have no status. Only a transaction that succeeded has logs.
      succeeded: status == null ? logs.length > 0 : status === 1,
      cost: receiptCost(told),
      logs,
    }),
  ),
);

/** Whether the node itself answered with an error. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return false;
  // Some gateways refuse a method by the status of HTTP. 408 and 429 pass.
  if (isError(error, 'SERVER_ERROR')) return /^4(?!08|29)\d\d/.test(String(error.info?.responseStatus ?? ''));
  return 'shortMessage' in error && !['SERVER_ERROR', 'TIMEOUT', 'NETWORK_ERROR', 'BAD_DATA'].includes(error.code);
}

function why(error: unknown): string {
  if (error instanceof z.core.$ZodError) return 'the answer is not of the form expected';
  if (isError(error, 'SERVER_ERROR')) return error.shortMessage;
  if (error instanceof Error && error.name === 'TimeoutError') return 'no answer in time';
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : null;
  return cause === null ? rejectionReason(error) : 'code' in cause ? String(cause.code) : cause.message;
}

/** What the node said when it rejected a request, without ethers' dump of the whole request around it. */
export function rejectionReason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if ('info' in error && isObject(error.info) && isObject(error.info.error)) {
    const message = error.info.error.message;
    if (typeof message === 'string') return message;
  }
  if ('error' in error && isObject(error.error) && typeof error.error.message === 'string') {
    return error.error.message;
  }
  return 'shortMessage' in error && typeof error.shortMessage === 'string' ? error.shortMessage : error.message;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
