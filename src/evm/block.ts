// A block rebuilt from what a node tells of it, until it hashes to the hash by which it was asked for.

import * as z from 'zod/mini';
import { concat, equalBytes, fromHex, prefixedHex, u64, utf8 } from '../core/bytes.ts';
import { AntequemError, type ErrorCode } from '../core/errors.ts';
import { type EvmHeader, readHeader } from '../core/evm-bytes.ts';
import { keccak256 } from '../core/keccak.ts';
import { encodeHeader, unknownMembers } from './header-json.ts';
import { memberOf } from './json-fields.ts';
import { ListTrie } from './list-trie.ts';
import type { RawSource } from './node.ts';
import { inParallel } from './parallel.ts';
import { encodeReceipt } from './receipt-json.ts';
import { encodeTransaction, typeOfJson } from './transaction-json.ts';

/**
 * Higher with each release that rebuilds blocks which the one before could not: evidence that was given up is then tried
 * again. 1 knew Prague and types 0 to 4; 2 knows Amsterdam, the OP stack, Arbitrum, Polygon, Celo and Hyperliquid.
 */
export const ENCODER_VERSION = 2;

/** Codes of errors for blocks that this release cannot rebuild, by the part that stays closed. */
export const OPAQUE_CODES = ['header-opaque', 'transactions-opaque', 'receipts-opaque'] as const;
export type OpaqueCode = (typeof OPAQUE_CODES)[number];

export function isOpaque(code: ErrorCode): code is OpaqueCode {
  return OPAQUE_CODES.some((each) => each === code);
}

export interface RebuiltBlock {
  /** RLP; hashes to the block's hash. */
  readonly header: Uint8Array;
  /** Hashes of the transactions in the tries, in their order, 0x-hex. */
  readonly hashes: readonly string[];
  /** Tries whose roots are those of the header. */
  readonly transactions: ListTrie;
  readonly receipts: ListTrie;
}

const AT_ONCE = 8;
const options = { jitless: true } as const;

const hashForm = z.pipe(
  z.string().check(z.regex(/^0x[0-9a-fA-F]{64}$/)),
  z.transform((text) => text.toLowerCase()),
);
const blockForm = z.nullable(
  z.looseObject({ hash: hashForm, transactions: z.array(z.looseObject({ hash: hashForm })) }),
);
type BlockJson = NonNullable<z.infer<typeof blockForm>>;
type TransactionJson = BlockJson['transactions'][number];
const receiptForm = z.looseObject({ transactionHash: hashForm, blockHash: hashForm });

/**
 * Nothing in it rests on the node's word: all of it hangs on `hash`.
 * @param hash of the block, 0x-hex
 * @throws AntequemError `rpc-failed` where the node did not answer; `block-unknown` where it has no such block;
 *   `header-opaque`, `transactions-opaque`, `receipts-opaque` where its answers do not lead back to the hash
 */
export async function rebuildBlock(source: RawSource, hash: string): Promise<RebuiltBlock> {
  const json = blockForm.safeParse(await source.ask('eth_getBlockByHash', [hash, true]), options);
  if (!json.success) throw new AntequemError('rpc-failed', `${source.name} told block ${hash} in another form`);
  if (json.data === null) throw new AntequemError('block-unknown', `${source.name} does not have block ${hash}`);
  if (memberOf(json.data, 'settledHeight') !== undefined) {
    // Avalanche since avalanchego 1.15: blocks are executed after they are decided.
    throw new AntequemError('header-opaque', `the header of block ${hash} names the receipts of earlier blocks`);
  }
  const raw = new RawMethods(source);
  const header = await rebuildHeader(raw, hash, json.data);
  const { number, transactionsRoot, receiptsRoot } = readRebuilt(header, hash);
  const told = json.data.transactions.filter((each) => each.hash !== stateSyncHash(number, hash));
  const { hashes, trie } = await rebuildTransactions(raw, told, { hash, root: transactionsRoot });
  const receipts = await rebuildReceipts(source, raw, { hash, hashes, root: receiptsRoot });
  return { header, hashes, transactions: trie, receipts };
}

/** Few nodes give headers as bytes, so the JSON comes first. */
async function rebuildHeader(raw: RawMethods, hash: string, json: BlockJson): Promise<Uint8Array> {
  const wanted = bytesOf(hash);
  const encoded = encodeHeader(json, wanted);
  if (encoded !== null) return encoded;
  const bytes = await raw.bytes('debug_getRawHeader', hash);
  if (bytes !== null && equalBytes(keccak256(bytes), wanted)) return bytes;
  const unknown = unknownMembers(json).slice(0, 4);
  throw new AntequemError(
    'header-opaque',
    unknown.length > 0
      ? `the header of block ${hash} has fields that are not known here (${unknown.join(', ')})`
      : `the fields of block ${hash} do not hash to its hash: this chain hashes its headers in another way`,
  );
}

function readRebuilt(header: Uint8Array, hash: string): EvmHeader {
  try {
    return readHeader(header);
  } catch (cause) {
    throw new AntequemError('header-opaque', `the header of block ${hash} is not of the form known here`, { cause });
  }
}

/**
 * The hash under which Polygon's nodes show what a block took over from Ethereum. It is not a transaction of the block:
 * it stands in neither trie. (Since PIP-74 it is one, of type 0x7f, with a hash as others have.)
 */
function stateSyncHash(number: number, hash: string): string {
  return prefixedHex(keccak256(concat(utf8('matic-bor-receipt-'), u64(number), bytesOf(hash))));
}

interface HeldTransactions {
  readonly hashes: readonly string[];
  readonly trie: ListTrie;
}

async function rebuildTransactions(
  raw: RawMethods,
  told: readonly TransactionJson[],
  { hash, root }: { readonly hash: string; readonly root: Uint8Array },
): Promise<HeldTransactions> {
  const values = await inParallel(told, AT_ONCE, (json) => rebuildTransaction(raw, json));
  const held = (
    kept: (json: TransactionJson) => boolean,
    bytes: readonly (Uint8Array | null)[],
  ): HeldTransactions | null => {
    const chosen = told.flatMap((json, i) => (kept(json) ? [{ hash: json.hash, value: bytes[i] ?? null }] : []));
    const known = chosen.flatMap(({ value }) => value ?? []);
    if (known.length < chosen.length) return null;
    const trie = new ListTrie(known);
    return equalBytes(trie.root, root) ? { hashes: chosen.map((each) => each.hash), trie } : null;
  };
  const all = held(() => true, values);
  if (all !== null) return all;
  // Hyperliquid's nodes show transactions of the system among the others. They cost nothing and stand in neither trie.
  const paid = held((json) => json.gasPrice !== '0x0', values);
  if (paid !== null) return paid;
  // Anvil's tries hold blob transactions the way they were sent, with their blobs.
  const asSent = await inParallel(told, AT_ONCE, async (json, i) => {
    const bytes = typeOfJson(json) === 3 ? await raw.bytes('eth_getRawTransactionByHash', json.hash) : null;
    return bytes ?? values[i] ?? null;
  });
  const sent = held(() => true, asSent);
  if (sent !== null) return sent;
  const odd = told[values.indexOf(null)];
  throw new AntequemError(
    'transactions-opaque',
    odd === undefined
      ? `the transactions of block ${hash} do not lead to the root in its header`
      : `transaction ${odd.hash} is of a type that is not known here (${nameType(odd)})`,
  );
}

function nameType(json: TransactionJson): string {
  const type = typeOfJson(json);
  return type === null ? 'none that can be read' : `0x${type.toString(16)}`;
}

/** Null where neither JSON nor bytes lead to its hash. */
async function rebuildTransaction(raw: RawMethods, json: TransactionJson): Promise<Uint8Array | null> {
  const wanted = bytesOf(json.hash);
  const encoded = encodeTransaction(json);
  if (encoded !== null && equalBytes(keccak256(encoded), wanted)) return encoded;
  const bytes = await raw.bytes('eth_getRawTransactionByHash', json.hash);
  return bytes !== null && equalBytes(keccak256(bytes), wanted) ? bytes : null;
}

async function rebuildReceipts(
  source: RawSource,
  raw: RawMethods,
  { hash, hashes, root }: { readonly hash: string; readonly hashes: readonly string[]; readonly root: Uint8Array },
): Promise<ListTrie> {
  const encoded = (await receiptsOf(source, hash, hashes)).flatMap((json) => encodeReceipt(json) ?? []);
  const trie = new ListTrie(encoded);
  if (equalBytes(trie.root, root)) return trie;
  const bytes = await raw.list('debug_getRawReceipts', hash);
  const opaque = bytes === null ? null : new ListTrie(bytes);
  if (opaque !== null && equalBytes(opaque.root, root)) return opaque;
  throw new AntequemError('receipts-opaque', `the receipts of block ${hash} do not lead to the root in its header`);
}

/** A question for each receipt costs less than one for all that the node may refuse. */
const FEW = 4;

/** In the order of `hashes`. One question where the node knows it, else one for each transaction. */
async function receiptsOf(source: RawSource, hash: string, hashes: readonly string[]): Promise<unknown[]> {
  const all = hashes.length <= FEW ? null : await refusable(source.ask('eth_getBlockReceipts', [hash]));
  const list = z.array(receiptForm).safeParse(all, options);
  const receipts = list.success
    ? list.data
    : await inParallel(hashes, AT_ONCE, async (each) => {
        const receipt = receiptForm.safeParse(await source.ask('eth_getTransactionReceipt', [each]), options);
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

const bytesForm = z.pipe(
  z.string().check(z.regex(/^0x(?:[0-9a-fA-F]{2})+$/)),
  z.transform((text) => bytesOf(text)),
);

/** What nodes may tell in bytes. A method that was refused once is not asked for again. */
class RawMethods {
  readonly #source: RawSource;
  readonly #refused = new Set<string>();

  constructor(source: RawSource) {
    this.#source = source;
  }

  /** Null where the node does not tell. */
  async bytes(method: string, hash: string): Promise<Uint8Array | null> {
    return bytesForm.safeParse(await this.#ask(method, hash), options).data ?? null;
  }

  async list(method: string, hash: string): Promise<Uint8Array[] | null> {
    return z.array(bytesForm).safeParse(await this.#ask(method, hash), options).data ?? null;
  }

  async #ask(method: string, hash: string): Promise<unknown> {
    if (this.#refused.has(method)) return null;
    return refusable(this.#source.ask(method, [hash]), () => this.#refused.add(method));
  }
}

/** Null where the node answered that it does not do that. */
async function refusable(answer: Promise<unknown>, refused?: () => void): Promise<unknown> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof AntequemError && error.code === 'rpc-refused')) throw error;
    refused?.();
    return null;
  }
}

function bytesOf(hex: string): Uint8Array {
  return fromHex(hex.slice(2).toLowerCase());
}
