// A service in memory: real logs, keys, rounds and receipts by the core's own code, and chains to anchor in.

import { ed25519 } from '@noble/curves/ed25519.js';
import { sha256 } from '#sha256';
import { ANCHORED_TOPIC } from '../../src/core/anchored-event.ts';
import { concat, toHex, u64, utf8 } from '../../src/core/bytes.ts';
import { formatCheckpoint } from '../../src/core/checkpoint.ts';
import { commitTo, entryLeafHash } from '../../src/core/entry.ts';
import type { EvmBlock, EvmSource, EvmTransaction } from '../../src/core/evm-source.ts';
import { hashLeaf, MerkleTree } from '../../src/core/merkle.ts';
import { formatNote, formatVerifierKey, noteKeyId } from '../../src/core/note.ts';
import { logId } from '../../src/core/origin.ts';
import { formatBlockHash, type PendingReceipt, type RoundReceipt } from '../../src/core/receipt.ts';
import type { IncludedEvmAnchor } from '../../src/core/receipt-schema.ts';
import { type Beacon, encodeCheckpointLeaf, encodeLink, firstPreviousRoot, type Link } from '../../src/core/round.ts';
import { formatTime } from '../../src/core/time.ts';

export const SERVICE = 'log.example.org';
export const EPOCH = Date.UTC(2026, 6, 1);
export const CONTRACT = `0x${'5a'.repeat(20)}`;

/** Bytes that a label stands for: tests need no randomness. */
export const seeded = (label: string): Uint8Array => sha256(utf8(label));

interface StoredEntry {
  readonly payload: Uint8Array;
  readonly digest: Uint8Array;
  readonly nonce: Uint8Array;
  readonly receivedAt: number;
  readonly previous: Uint8Array;
  readonly leafHash: Uint8Array;
}

export class MemoryLog {
  readonly origin: string;
  readonly verifierKey: string;
  readonly entries: StoredEntry[] = [];
  readonly #secret: Uint8Array;

  constructor(name: string, { secret = seeded(`key of ${name}`) }: { secret?: Uint8Array } = {}) {
    this.origin = `${SERVICE}/logs/${name}`;
    this.#secret = secret;
    this.verifierKey = formatVerifierKey(this.origin, ed25519.getPublicKey(secret));
  }

  append(text: string, options: { receivedAt?: number; nonce?: Uint8Array; previous?: Uint8Array } = {}): number {
    const index = this.entries.length;
    const payload = utf8(text);
    const digest = sha256(payload);
    const nonce = options.nonce ?? seeded(`nonce ${index} of ${this.origin}`).slice(0, 16);
    const receivedAt = options.receivedAt ?? EPOCH + index;
    const previous = options.previous ?? this.entries.at(-1)?.leafHash ?? logId(this.origin);
    const leafHash = entryLeafHash({ receivedAt, previous, commitment: commitTo(digest, nonce) });
    this.entries.push({ payload, digest, nonce, receivedAt, previous, leafHash });
    return index;
  }

  get tree(): MerkleTree {
    return new MerkleTree(concat(...this.entries.map(({ leafHash }) => leafHash)));
  }

  sign(size: number = this.entries.length): string {
    const text = formatCheckpoint({ origin: this.origin, size, root: this.tree.root(size) });
    const keyId = noteKeyId(this.origin, ed25519.getPublicKey(this.#secret));
    return formatNote({
      text,
      signatures: [{ name: this.origin, keyId, signature: ed25519.sign(utf8(text), this.#secret) }],
    });
  }

  entry(index: number): StoredEntry {
    const entry = this.entries[index];
    if (entry === undefined) throw new Error(`no entry ${index}`);
    return entry;
  }

  receipt(index: number, size: number = this.entries.length): PendingReceipt {
    const { receivedAt, digest, nonce, previous } = this.entry(index);
    return {
      format: 'antequem-receipt/v1',
      entry: {
        log: this.origin,
        index,
        receivedAt: formatTime(receivedAt),
        digest: toHex(digest),
        nonce: toHex(nonce),
        previous: toHex(previous),
      },
      inclusion: { treeSize: size, path: this.tree.inclusionPath(index, size).map(toHex) },
      checkpoint: this.sign(size),
    };
  }
}

/** A closed round over the heads of `logs`. */
export class MemoryRound {
  readonly link: Link;
  readonly root: Uint8Array;
  readonly #tree: MerkleTree;
  readonly #heads: { readonly log: MemoryLog; readonly size: number }[];

  constructor(logs: readonly MemoryLog[], options: Partial<Link> = {}) {
    this.link = {
      number: options.number ?? 1,
      closedAt: options.closedAt ?? EPOCH + 1_000,
      previousRoot: options.previousRoot ?? firstPreviousRoot(SERVICE),
      beacons: options.beacons ?? [],
    };
    this.#heads = logs
      .map((log) => ({ log, size: log.entries.length }))
      .sort((a, b) => (toHex(logId(a.log.origin)) < toHex(logId(b.log.origin)) ? -1 : 1));
    const leaves = this.#heads.map(({ log, size }) =>
      encodeCheckpointLeaf({ logId: logId(log.origin), size, root: log.tree.root(size) }),
    );
    this.#tree = new MerkleTree(concat(...[encodeLink(this.link), ...leaves].map(hashLeaf)));
    this.root = this.#tree.root();
  }

  receipt(log: MemoryLog, index: number, anchors: RoundReceipt['anchors'] = []): RoundReceipt {
    const position = this.#heads.findIndex((head) => head.log === log);
    const { number, closedAt, previousRoot, beacons } = this.link;
    return {
      ...log.receipt(index, this.#heads[position]?.size),
      round: {
        number,
        closedAt: formatTime(closedAt),
        root: toHex(this.root),
        size: this.#tree.size,
        index: position + 1,
        path: this.#tree.inclusionPath(position + 1).map(toHex),
        link: {
          previousRoot: toHex(previousRoot),
          beacons: beacons.map(({ chain, height, hash }) => ({ chain, height, hash: formatBlockHash(chain, hash) })),
          path: this.#tree.inclusionPath(0).map(toHex),
        },
      },
      anchors,
    };
  }
}

interface MinedBlock extends EvmBlock {
  readonly mined: ReadonlyMap<string, EvmTransaction>;
}

/** A chain in memory. Its blocks hang together by their hashes, so two instances differ from the start. */
export class MemoryChain implements EvmSource {
  readonly grounds = 'rpc';
  readonly chain: string;
  readonly blocks: MinedBlock[] = [];
  /** How many blocks below the newest the finalized one is. */
  finalityDepth = 0;
  /** Whether it says which transactions its blocks hold, and whether it can still find them. */
  tellsTransactions = true;
  findsTransactions = true;
  readonly #instance: string;

  constructor(chain = 'eip155:31337', instance = 'first') {
    this.chain = chain;
    this.#instance = instance;
    this.mine();
  }

  /** Adds a block, one second after the one before, with the given events of the one transaction in it. */
  mine(logs: EvmTransaction['logs'] = [], { status = 1 }: { status?: number } = {}): MinedBlock {
    const number = this.blocks.length;
    const label = JSON.stringify([this.#instance, this.blocks.at(-1)?.hash, logs, status]);
    const hash = `0x${toHex(sha256(concat(u64(number), utf8(label))))}`;
    const transaction = `0x${toHex(seeded(`transaction in ${hash}`))}`;
    const mined = new Map(
      logs.length === 0 ? [] : [[transaction, { blockHash: hash, blockNumber: number, status, logs }]],
    );
    const block = { number, hash, time: EPOCH + 2_000 + number * 1_000, transactions: [...mined.keys()], mined };
    this.blocks.push(block);
    return block;
  }

  anchor(root: Uint8Array, { contract = CONTRACT, status = 1 } = {}): IncludedEvmAnchor {
    const topics = [ANCHORED_TOPIC, `0x${'00'.repeat(12)}${'ab'.repeat(20)}`, `0x${toHex(root)}`];
    const block = this.mine([{ address: contract, topics, data: '0x' }], { status });
    const [transaction = ''] = block.transactions ?? [];
    return {
      type: 'evm',
      chain: this.chain,
      contract: CONTRACT,
      transaction,
      status: 'finalized',
      block: { number: block.number, hash: block.hash, time: formatTime(block.time) },
    };
  }

  /** The newest block as a beacon. */
  beacon(): Beacon {
    const { number, hash } = this.blocks.at(-1) ?? { number: 0, hash: '' };
    return { chain: this.chain, height: number, hash: Uint8Array.from(Buffer.from(hash.slice(2), 'hex')) };
  }

  describe(): string {
    return `the ${this.#instance} node of ${this.chain}`;
  }

  async chainId(): Promise<string> {
    return this.chain;
  }

  async transaction(hash: string): Promise<EvmTransaction | null> {
    if (!this.findsTransactions) return null;
    return this.blocks.flatMap(({ mined }) => mined.get(hash) ?? [])[0] ?? null;
  }

  async block(number: number): Promise<EvmBlock | null> {
    const block = this.blocks[number];
    if (block === undefined) return null;
    const { hash, time, transactions = [] } = block;
    return { number, hash, time, ...(this.tellsTransactions ? { transactions } : {}) };
  }

  async finalized(): Promise<number> {
    return Math.max(0, this.blocks.length - 1 - this.finalityDepth);
  }
}

/** One receipt with all there is: three logs in a round of two beacons, anchored in a final block. */
export function provenReceipt(): {
  receipt: RoundReceipt;
  anchor: IncludedEvmAnchor;
  payload: Uint8Array;
  log: MemoryLog;
  round: MemoryRound;
  local: MemoryChain;
  main: MemoryChain;
} {
  const names = ['payments', 'audit', '_system'] as const;
  const logs = names.map((name) => new MemoryLog(name));
  for (const [i, log] of logs.entries()) for (let n = 0; n < 13 + i; n++) log.append(`line ${n} of ${log.origin}`);
  const [log] = logs;
  if (log === undefined) throw new Error('no log');
  const local = new MemoryChain();
  const main = new MemoryChain('eip155:1');
  for (let n = 0; n < 4; n++) for (const chain of [local, main]) chain.mine();
  const round = new MemoryRound(logs, { number: 7, beacons: [main.beacon(), local.beacon()] });
  const anchor = local.anchor(round.root);
  local.mine();
  const index = 5;
  return {
    receipt: round.receipt(log, index, [anchor]),
    anchor,
    payload: log.entry(index).payload,
    log,
    round,
    local,
    main,
  };
}
