// A block rebuilt from what a node tells of it, until it hashes to the hash by which it was asked for.

import * as z from 'zod/mini';
import { equalBytes, fromHex } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { type EvmHeader, readHeader } from '../core/evm-bytes.ts';
import { keccak256 } from '../core/keccak.ts';
import { blockJson, encodeHeader, encodeReceipt, encodeTransaction, receiptOwnerJson } from './block-json.ts';
import { ListTrie } from './list-trie.ts';
import type { RawSource } from './node.ts';
import { inParallel } from './parallel.ts';

export interface RebuiltBlock {
  /** RLP; hashes to the block's hash. */
  readonly header: Uint8Array;
  /** Hashes of the transactions in their order, 0x-hex. */
  readonly hashes: readonly string[];
  /** Tries whose roots are those of the header. */
  readonly transactions: ListTrie;
  readonly receipts: ListTrie;
}

const AT_ONCE = 8;
const options = { jitless: true } as const;

/**
 * Nothing in it rests on the node's word: all of it hangs on `hash`.
 * @param hash of the block, 0x-hex
 * @throws AntequemError `rpc-failed` where the node did not answer; `block-unknown` where it has no such block;
 *   `block-opaque` where its answers do not lead back to the hash
 */
export async function rebuildBlock(source: RawSource, hash: string): Promise<RebuiltBlock> {
  const json = z.nullable(blockJson).safeParse(await source.ask('eth_getBlockByHash', [hash, true]), options);
  if (!json.success) throw new AntequemError('rpc-failed', `${source.name} told block ${hash} in another form`);
  if (json.data === null) throw new AntequemError('block-unknown', `${source.name} does not have block ${hash}`);
  const header = await rebuildHeader(source, hash, json.data);
  const { transactionsRoot, receiptsRoot } = readRebuilt(header, hash);
  const told = json.data.transactions;
  const hashes = told.map((each) => each.hash);
  const transactions = await rebuildTransactions(source, told, transactionsRoot);
  if (transactions === null) {
    throw new AntequemError('block-opaque', `the transactions of block ${hash} do not lead to the root in its header`);
  }
  return { header, hashes, transactions, receipts: await rebuildReceipts(source, hash, hashes, receiptsRoot) };
}

/** Few nodes give headers as bytes, so the JSON comes first. */
async function rebuildHeader(source: RawSource, hash: string, json: unknown): Promise<Uint8Array> {
  const wanted = bytesOf(hash);
  const encoded = encodeHeader(json);
  if (encoded !== null && equalBytes(keccak256(encoded), wanted)) return encoded;
  const raw = await rawBytes(source, 'debug_getRawHeader', hash);
  if (raw !== null && equalBytes(keccak256(raw), wanted)) return raw;
  throw new AntequemError('block-opaque', `the header of block ${hash} has fields that are not known here`);
}

function readRebuilt(header: Uint8Array, hash: string): EvmHeader {
  try {
    return readHeader(header);
  } catch (cause) {
    throw new AntequemError('block-opaque', `the header of block ${hash} is not of the form known here`, { cause });
  }
}

type Told = z.infer<typeof blockJson>['transactions'];

async function rebuildTransactions(source: RawSource, told: Told, root: Uint8Array): Promise<ListTrie | null> {
  const values = await inParallel(told, AT_ONCE, (json) => rebuildTransaction(source, json));
  const trie = new ListTrie(values);
  if (equalBytes(trie.root, root)) return trie;
  // Anvil's tries hold blob transactions the way they were sent, with their blobs.
  const asSent = await inParallel(told, AT_ONCE, async ({ type, hash }, i) => {
    const raw = type === '0x3' ? await rawBytes(source, 'eth_getRawTransactionByHash', hash) : null;
    return raw ?? values[i] ?? new Uint8Array(0);
  });
  const other = new ListTrie(asSent);
  return equalBytes(other.root, root) ? other : null;
}

async function rebuildTransaction(source: RawSource, json: Told[number]): Promise<Uint8Array> {
  const wanted = bytesOf(json.hash);
  const encoded = encodeTransaction(json);
  if (encoded !== null && equalBytes(keccak256(encoded), wanted)) return encoded;
  const raw = await rawBytes(source, 'eth_getRawTransactionByHash', json.hash);
  if (raw !== null && equalBytes(keccak256(raw), wanted)) return raw;
  throw new AntequemError('block-opaque', `transaction ${json.hash} is of a type that is not known here`);
}

async function rebuildReceipts(
  source: RawSource,
  hash: string,
  hashes: readonly string[],
  root: Uint8Array,
): Promise<ListTrie> {
  const encoded = (await receiptsOf(source, hash, hashes)).flatMap((json) => encodeReceipt(json) ?? []);
  const trie = new ListTrie(encoded);
  if (equalBytes(trie.root, root)) return trie;
  const raw = await rawList(source, hash);
  const opaque = raw === null ? null : new ListTrie(raw);
  if (opaque !== null && equalBytes(opaque.root, root)) return opaque;
  throw new AntequemError('block-opaque', `the receipts of block ${hash} do not lead to the root in its header`);
}

/** A question for each receipt costs less than one for all that the node may refuse. */
const FEW = 4;

/** In the order of `hashes`. One question where the node knows it, else one for each transaction. */
async function receiptsOf(source: RawSource, hash: string, hashes: readonly string[]): Promise<unknown[]> {
  const all = hashes.length <= FEW ? null : await refusable(source.ask('eth_getBlockReceipts', [hash]));
  const list = z.array(receiptOwnerJson).safeParse(all, options);
  const receipts = list.success
    ? list.data
    : await inParallel(hashes, AT_ONCE, async (each) => {
        const receipt = receiptOwnerJson.safeParse(await source.ask('eth_getTransactionReceipt', [each]), options);
        if (!receipt.success) throw new AntequemError('block-unknown', `${source.name} has no receipt of ${each}`);
        return receipt.data;
      });
  const own = receipts.filter(({ blockHash }) => blockHash === hash);
  const byHash = new Map(own.map((receipt) => [receipt.transactionHash, receipt]));
  return hashes.map((each) => {
    const receipt = byHash.get(each);
    if (receipt !== undefined) return receipt;
    throw new AntequemError('block-unknown', `${source.name} has no receipt of ${each} in block ${hash}`);
  });
}

const bytesJson = z.pipe(
  z.string().check(z.regex(/^0x(?:[0-9a-fA-F]{2})+$/)),
  z.transform((text) => bytesOf(text)),
);

async function rawBytes(source: RawSource, method: string, hash: string): Promise<Uint8Array | null> {
  const answer = bytesJson.safeParse(await refusable(source.ask(method, [hash])), options);
  return answer.success ? answer.data : null;
}

async function rawList(source: RawSource, hash: string): Promise<Uint8Array[] | null> {
  const answer = z.array(bytesJson).safeParse(await refusable(source.ask('debug_getRawReceipts', [hash])), options);
  return answer.success ? answer.data : null;
}

/** Null where the node answered that it does not do that. */
async function refusable(answer: Promise<unknown>): Promise<unknown> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof AntequemError && error.code === 'rpc-refused') return null;
    throw error;
  }
}

function bytesOf(hex: string): Uint8Array {
  return fromHex(hex.slice(2).toLowerCase());
}
