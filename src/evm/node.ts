// What anchoring asks of a node, one method an effect: tests make each of them fail.

import * as z from 'zod/mini';
import { prefixedHex } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { RpcClient } from './json-rpc.ts';
import { costForms, receiptCost } from './receipt-cost.ts';

export type BlockTag = number | 'latest' | 'finalized';

export interface NodeBlock {
  readonly number: number;
  readonly hash: string;
  /** Milliseconds since the Unix epoch. */
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

/** A transaction as the node has it. */
export interface NodeTransaction {
  /** The block that holds it, by the node's word; null: it waits. */
  readonly block: { readonly number: number; readonly hash: string } | null;
}

/** The transactions of a canonical block. */
export interface NodeTransactions {
  readonly number: number;
  /** Of the block. */
  readonly hash: string;
  readonly transactions: readonly { readonly hash: string; readonly from: string; readonly nonce: number }[];
}

/**
 * One endpoint of one chain. Hex is lower case with 0x. Every method answers within the timeout or throws AntequemError
 * `rpc-failed` (no answer, or not of the form expected), `rpc-throttled` (too many requests) or `rpc-refused` (the node
 * said no).
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
  /** Null where the node does not have it, neither mined nor waiting. */
  transaction(hash: string): Promise<NodeTransaction | null>;
  /** Those of the canonical block at that height; null where the node has none. */
  transactionsAt(number: number): Promise<NodeTransactions | null>;
  code(address: string): Promise<string>;
  estimateGas(call: { readonly from: string; readonly to: string; readonly data: string }): Promise<bigint>;
  /** The tip the node proposes, wei per gas. */
  priorityFee(): Promise<bigint>;
  /** The price the node proposes, tip included, wei per gas. */
  gasPrice(): Promise<bigint>;
  /** Hands over a signed transaction. That it throws does not mean that the node did not take it. */
  send(raw: Uint8Array): Promise<void>;
  /** The endpoints behind it, for what proves itself whoever tells it. */
  readonly sources: readonly RawSource[];
  close(): void;
}

/** An endpoint's own answers, of whatever form. */
export interface RawSource {
  readonly name: string;
  /** @throws AntequemError `rpc-failed`, `rpc-throttled`, `rpc-refused` */
  ask(method: string, params: readonly unknown[]): Promise<unknown>;
}

export interface RpcNodeOptions {
  readonly url: string;
  /** Milliseconds for one question. Default 10,000. */
  readonly timeout?: number;
}

export function rpcNode({ url, timeout }: RpcNodeOptions): EvmNode {
  const client = new RpcClient({ url, ...(timeout === undefined ? {} : { timeoutMs: timeout }) });
  const { host } = client;
  const ask = async <T>(method: string, params: readonly unknown[], form: z.ZodMiniType<T>): Promise<T> => {
    const parsed = form.safeParse(await client.ask(method, params), { jitless: true });
    if (parsed.success) return parsed.data;
    throw new AntequemError('rpc-failed', `${host}, ${method}: the answer is not of the form expected`);
  };
  return {
    name: host,
    chainId: () => ask('eth_chainId', [], count),
    block: (at) => ask('eth_getBlockByNumber', [tag(at), false], z.nullable(block)),
    transactionCount: (address, at) => ask('eth_getTransactionCount', [address, tag(at)], count),
    balance: (address) => ask('eth_getBalance', [address, 'latest'], quantity),
    receipt: (hash) => ask('eth_getTransactionReceipt', [hash], z.nullable(receipt)),
    transaction: (hash) => ask('eth_getTransactionByHash', [hash], z.nullable(transaction)),
    transactionsAt: (number) => ask('eth_getBlockByNumber', [tag(number), true], z.nullable(blockTransactions)),
    code: (address) => ask('eth_getCode', [address, 'latest'], hex),
    estimateGas: (call) => ask('eth_estimateGas', [call], quantity),
    priorityFee: () => ask('eth_maxPriorityFeePerGas', [], quantity),
    gasPrice: () => ask('eth_gasPrice', [], quantity),
    send: async (raw) => void (await ask('eth_sendRawTransaction', [prefixedHex(raw)], hex)),
    sources: [{ name: host, ask: (method, params) => client.ask(method, params) }],
    close: () => client.close(),
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
      // A few chains count milliseconds.
      time: timestamp > 100_000_000_000 ? timestamp : timestamp * 1_000,
      baseFee: baseFeePerGas ?? null,
    }),
  ),
);
const transaction = z.pipe(
  z.looseObject({ blockNumber: z.optional(z.nullable(count)), blockHash: z.optional(z.nullable(hex)) }),
  z.transform(
    ({ blockNumber, blockHash }): NodeTransaction => ({
      block:
        typeof blockNumber === 'number' && typeof blockHash === 'string'
          ? { number: blockNumber, hash: blockHash }
          : null,
    }),
  ),
);
const blockTransactions = z.looseObject({
  number: count,
  hash: hex,
  transactions: z.array(z.looseObject({ hash: hex, from: hex, nonce: count })),
});
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
