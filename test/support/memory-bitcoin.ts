// A Bitcoin chain in memory, whose blocks hold whatever merkle roots they are told to; and timestamps that lead there.

import { BITCOIN, parseHeader } from '../../src/core/bitcoin-header.ts';
import type { BitcoinBlock, HeaderSource } from '../../src/core/bitcoin-source.ts';
import { concat, fromHex, toBase64, toHex, utf8 } from '../../src/core/bytes.ts';
import type { OpenTimestampsAnchor } from '../../src/core/receipt.ts';
import { formatTime } from '../../src/core/time.ts';
import type { Op } from '../../src/ots/operation.ts';
import { serializeTimestamp } from '../../src/ots/serialization.ts';
import { type Timestamp, TimestampBuilder } from '../../src/ots/timestamp.ts';
import { EPOCH, seeded } from './receipts.ts';

export const TESTNET = 'bip122:000000000933ea01ad0ee984209779ba';

export class MemoryBitcoin implements HeaderSource {
  grounds: HeaderSource['grounds'] = 'bitcoin-node';
  readonly chain: string;
  readonly headers: Uint8Array[] = [];
  /** Questions it was asked. */
  asked = 0;
  readonly #instance: string;
  readonly #first: number;

  /** @param first the height of the first block that it has */
  constructor(chain = BITCOIN, instance = 'first', first = 0) {
    this.chain = chain;
    this.#instance = instance;
    this.#first = first;
    this.mine(20);
  }

  /** Adds blocks, ten minutes after each other. */
  mine(count: number): void {
    for (let i = 0; i < count; i++) this.stamp(seeded(`${this.#instance} ${this.headers.length}`));
  }

  /** Adds a block with this merkle root. @returns its height */
  stamp(merkleRoot: Uint8Array): number {
    const height = this.headers.length;
    const before = this.headers.at(-1);
    const previous = before === undefined ? new Uint8Array(32) : fromHex(parseHeader(before).hash).reverse();
    const rest = new Uint8Array(12);
    new DataView(rest.buffer).setUint32(0, (EPOCH + height * 600_000) / 1_000, true);
    this.headers.push(concat(fromHex('00000020'), previous, merkleRoot, rest));
    return this.#first + height;
  }

  header(height: number): Promise<BitcoinBlock | null> {
    this.asked++;
    const header = this.headers[height - this.#first];
    return Promise.resolve(header === undefined ? null : { header, hash: parseHeader(header).hash });
  }

  height(): Promise<number> {
    this.asked++;
    return Promise.resolve(this.#first + this.headers.length - 1);
  }

  describe(): string {
    return `the ${this.#instance} node of ${this.chain}`;
  }

  /** A timestamp of `message` to a new block of this chain, with five blocks upon it unless told otherwise. */
  timestamp(message: Uint8Array, { depth = 6, label = '' } = {}): { timestamp: Timestamp; height: number } {
    const builder = new TimestampBuilder(message);
    const end = builder.follow(way(`${this.#instance} ${label}`));
    const height = this.stamp(end.message);
    end.attest({ kind: 'bitcoin', height });
    this.mine(depth - 1);
    return { timestamp: builder.finish(), height };
  }

  /** The block as a receipt carries it. */
  carried(height: number): Extract<OpenTimestampsAnchor, { status: 'confirmed' }>['blocks'][number] {
    const header = this.headers[height - this.#first];
    if (header === undefined) throw new Error(`no block ${height}`);
    return { chain: this.chain, height, header: toHex(header), time: formatTime(parseHeader(header).time) };
  }

  /** The anchor of a receipt, confirmed in a new block. */
  anchor(root: Uint8Array, options: { depth?: number } = {}): Extract<OpenTimestampsAnchor, { status: 'confirmed' }> {
    const { timestamp, height } = this.timestamp(root, options);
    return {
      type: 'opentimestamps',
      status: 'confirmed',
      timestamp: toBase64(serializeTimestamp(timestamp)),
      blocks: [this.carried(height)],
    };
  }
}

/** Operations to where nobody was before. */
export function way(label: string): Op[] {
  const [first, second] = [`before ${label}`, `after ${label}`].map((each) => utf8(each));
  return [
    { kind: 'prepend', argument: first ?? new Uint8Array(1) },
    { kind: 'sha256' },
    { kind: 'append', argument: second ?? new Uint8Array(1) },
    { kind: 'sha256' },
    { kind: 'sha256' },
  ];
}
