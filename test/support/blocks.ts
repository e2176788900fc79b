// Blocks of EVM chains made up here, with headers and tries as real ones have, for what no node would mine.

import { ANCHORED_TOPIC, ANCHORING_SELECTORS } from '../../src/core/anchored-event.ts';
import { concat, fromHex, toHex, u64 } from '../../src/core/bytes.ts';
import { keccak256 } from '../../src/core/keccak.ts';
import type { IncludedEvmAnchor } from '../../src/core/receipt-schema.ts';
import { encodeRlp, type Rlp } from '../../src/core/rlp.ts';
import { formatTime } from '../../src/core/time.ts';
import { ListTrie } from '../../src/evm/list-trie.ts';
import { CONTRACT, EPOCH, seeded } from './receipts.ts';

export const hex = (bytes: Uint8Array): string => `0x${toHex(bytes)}`;
export const bytes = (text: string): Uint8Array => fromHex(text.slice(2));

/** A whole number in RLP. */
export const integer = (value: number): Uint8Array => {
  const all = u64(value);
  return all.slice(all.findIndex((byte) => byte !== 0) >= 0 ? all.findIndex((byte) => byte !== 0) : all.length);
};

export interface SealedBlock {
  readonly number: number;
  readonly time: number;
  readonly header: Uint8Array;
  /** 0x-hex. */
  readonly hash: string;
  readonly transactions: ListTrie;
  readonly receipts: ListTrie;
}

export function sealBlock(
  transactions: readonly Uint8Array[],
  receipts: readonly Uint8Array[],
  { number = 9, time = EPOCH + 12_000 } = {},
): SealedBlock {
  const tries = { transactions: new ListTrie(transactions), receipts: new ListTrie(receipts) };
  const word = (label: string): Uint8Array => seeded(label);
  const header = encodeRlp([
    word('parent'),
    word('uncles'),
    word('miner').slice(0, 20),
    word('state'),
    tries.transactions.root,
    tries.receipts.root,
    new Uint8Array(256),
    integer(0),
    integer(number),
    integer(30_000_000),
    integer(21_000),
    integer(time / 1_000),
    new Uint8Array(0),
    word('mix'),
    new Uint8Array(8),
    integer(7),
    word('withdrawals'),
    integer(0),
    integer(0),
    word('beacon'),
    word('requests'),
  ]);
  return { number, time, header, hash: hex(keccak256(header)), ...tries };
}

export interface CallOptions {
  readonly type?: number;
  readonly chainId?: number;
  readonly to?: string;
  readonly data?: string;
}

/** A transaction that anchors a root, whose signature nobody made. */
export function transactionOf(root: Uint8Array, options: CallOptions = {}): Uint8Array {
  const { type = 2, chainId = 31337, to = CONTRACT, data = `${ANCHORING_SELECTORS[0]}${toHex(root)}` } = options;
  const call: Rlp[] = [integer(60_000), bytes(to), integer(0), bytes(data)];
  const [r, s] = [seeded('r'), seeded('s')];
  const chain = integer(chainId);
  const fields: Record<number, Rlp[]> = {
    0: [integer(5), integer(1_000), ...call, integer(chainId === 0 ? 27 : 2 * chainId + 35), r, s],
    1: [chain, integer(5), integer(1_000), ...call, [], integer(1), r, s],
    2: [chain, integer(5), integer(1), integer(1_000), ...call, [], integer(1), r, s],
    3: [chain, integer(5), integer(1), integer(1_000), ...call, [], integer(1), [seeded('blob')], integer(1), r, s],
    4: [chain, integer(5), integer(1), integer(1_000), ...call, [], [], integer(1), r, s],
  };
  const rlp = encodeRlp(fields[type] ?? [seeded('opaque'), ...call]);
  return type === 0 ? rlp : concat(Uint8Array.of(type), rlp);
}

export interface OutcomeOptions {
  readonly type?: number;
  readonly status?: number;
  readonly emitter?: string;
  readonly topics?: readonly string[];
  readonly data?: string;
  /** Logs of others before it. */
  readonly logsBefore?: number;
}

/** What a receipt says of such a transaction. */
export function outcomeOf(root: Uint8Array, options: OutcomeOptions = {}): Uint8Array {
  const { type = 2, status = 1, emitter = CONTRACT, data = '0x', logsBefore = 0 } = options;
  const topics = options.topics ?? [ANCHORED_TOPIC, `0x${'00'.repeat(12)}${'ab'.repeat(20)}`, hex(root)];
  const logs: Rlp[] = Array.from({ length: logsBefore }, () => [bytes(CONTRACT), [seeded('topic')], seeded('data')]);
  logs.push([bytes(emitter), topics.map(bytes), bytes(data)]);
  const rlp = encodeRlp([integer(status), integer(46_000), new Uint8Array(256), logs]);
  return type === 0 ? rlp : concat(Uint8Array.of(type), rlp);
}

/** The anchor at an index of a block, with its proof. */
export function anchorIn(block: SealedBlock, index: number, options: { logIndex?: number } = {}): IncludedEvmAnchor {
  const { number, hash, time, header, transactions, receipts } = block;
  return {
    type: 'evm',
    chain: 'eip155:31337',
    contract: CONTRACT,
    transaction: hex(keccak256(transactions.value(index) ?? new Uint8Array(0))),
    status: 'finalized',
    block: { number, hash, time: formatTime(time) },
    proof: {
      header: hex(header),
      index,
      transaction: transactions.prove(index).map(hex),
      receipt: receipts.prove(index).map(hex),
      logIndex: options.logIndex ?? 0,
    },
  };
}

/** An anchor of the root among `count` transactions of mixed types, of which the one at `index` is of type 2. */
export function anchorAmong(
  root: Uint8Array,
  count = 6,
  index = 2,
  block: Parameters<typeof sealBlock>[2] = {},
): IncludedEvmAnchor {
  const types = Array.from({ length: count }, (_, i) => (i === index ? 2 : i % 5));
  const roots = types.map((_, i) => (i === index ? root : seeded(`root ${i}`)));
  return anchorIn(
    sealBlock(
      types.map((type, i) => transactionOf(roots[i] ?? root, { type })),
      types.map((type, i) => outcomeOf(roots[i] ?? root, { type })),
      block,
    ),
    index,
  );
}
