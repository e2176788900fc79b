// A small OpenTimestamps calendar for one machine: stamps what it is given into a regtest chain, which proves nothing
// to anybody else. It speaks as stock calendars do.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { collectAtMost } from '../../src/core/bounded.ts';
import { concat, fromHex } from '../../src/core/bytes.ts';
import type { Op } from '../../src/ots/operation.ts';
import { serializeTimestamp } from '../../src/ots/serialization.ts';
import { TimestampBuilder } from '../../src/ots/timestamp.ts';
import type { Place, RegtestNode } from './bitcoin-node.ts';
import { type Batch, CalendarBook } from './calendar-book.ts';
import { listenNear, refusalOf } from './ports.ts';

const MAX_DIGEST = 64;
const MAX_COMMITMENT = 256;
const SHA256: Op = { kind: 'sha256' };

export interface CalendarOptions {
  readonly node: RegtestNode;
  /** The file of what it has promised and done; null: in memory. */
  readonly book: string | null;
  /** Default: any free one, which also replaces one in use. */
  readonly port?: number;
  /** The name others reach it by, where that is beyond loopback. */
  readonly host?: string | undefined;
  /** Milliseconds between blocks, which are mined while there is something to confirm; null: by `turn` alone. */
  readonly interval: number | null;
  /** How many blocks it mines from the one with a stamp on. */
  readonly depth: number;
  readonly random: (length: number) => Uint8Array;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
}

export class LocalCalendar {
  readonly #options: CalendarOptions;
  readonly #book: CalendarBook;
  readonly #server: Server;
  readonly #timer: NodeJS.Timeout | null;
  #turns: Promise<void> = Promise.resolve();
  readonly url: string;

  private constructor(options: CalendarOptions, server: Server, url: string) {
    this.#options = options;
    this.#server = server;
    this.url = url;
    this.#book = new CalendarBook(options.book);
    const { interval } = options;
    this.#timer = interval === null ? null : setInterval(() => void this.turn().catch(() => {}), interval);
  }

  static async open(options: CalendarOptions): Promise<LocalCalendar> {
    const server = createServer();
    const port = await listenNear(server, options.port ?? 0, options.host === undefined ? '127.0.0.1' : '0.0.0.0');
    const calendar = new LocalCalendar(options, server, `http://${options.host ?? '127.0.0.1'}:${port}`);
    server.on('request', (request, response) => {
      calendar.#answer(request, response).catch(() => response.destroy());
    });
    return calendar;
  }

  /** Stamps what waits, and mines a block unless all that was ever stamped is deep enough. */
  turn(): Promise<void> {
    const turn = this.#turns.then(() => this.#turn());
    this.#turns = turn.catch(() => {});
    return turn;
  }

  async close(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await this.#turns;
    this.#book.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #turn(): Promise<void> {
    const { node, depth } = this.#options;
    const pending = this.#book.pending();
    if (pending !== null) this.#book.stamp(pending.count, await node.inscribe(pending.root));
    let shallow = false;
    // From the newest on, until one is deep enough: those before it are deeper.
    for (const [index, batch] of [...this.#book.batches.entries()].reverse()) {
      const place = await node.find(batch.transaction);
      if (place !== null && node.height - place.height + 1 >= depth) break;
      shallow = true;
      if (place === null) await this.#submit(index, batch);
    }
    if (shallow) await node.mine();
  }

  /** What it spends may be gone, with blocks that were forgotten. */
  async #submit(index: number, batch: Batch): Promise<void> {
    const { node } = this.#options;
    const root = batch.layers.at(-1)?.[0];
    if (root === undefined || (await node.submit(batch.transaction))) return;
    const another = await node.inscribe(root);
    this.#book.replace(index, another);
    await node.submit(another);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refusal = this.#options.host === undefined ? refusalOf(request.headers) : null;
    if (refusal !== null) return say(response, 403, refusal);
    const [, hex] = /^\/timestamp\/([0-9a-fA-F]*)$/.exec(request.url ?? '') ?? [];
    if (request.method === 'POST' && request.url === '/digest') {
      const digest = await bodyOf(request);
      if (digest === null) say(response, 400, `a digest has 1 to ${MAX_DIGEST} bytes`);
      else send(response, this.#take(digest));
    } else if (request.method === 'GET' && hex !== undefined) {
      await this.#tell(hex.toLowerCase(), response);
    } else if (request.method === 'GET' && request.url === '/') {
      say(response, 200, 'A calendar of a regtest chain: its stamps are worth nothing elsewhere.');
    } else say(response, 404, 'Not found');
  }

  #take(digest: Uint8Array): Uint8Array {
    const { random, now } = this.#options;
    const time = new Uint8Array(4);
    new DataView(time.buffer).setUint32(0, Math.floor(now() / 1000));
    const timestamp = new TimestampBuilder(digest);
    const commitment = timestamp
      .apply({ kind: 'append', argument: random(16) })
      .apply(SHA256)
      .apply({ kind: 'prepend', argument: time })
      .apply({ kind: 'append', argument: random(8) });
    commitment.attest({ kind: 'pending', uri: this.url });
    this.#book.take(commitment.message);
    return serializeTimestamp(timestamp.finish());
  }

  async #tell(hex: string, response: ServerResponse): Promise<void> {
    if (hex === '' || hex.length % 2 === 1 || hex.length > 2 * MAX_COMMITMENT) {
      say(response, 400, 'commitment invalid');
      return;
    }
    const commitment = fromHex(hex);
    const found = this.#book.find(commitment);
    const place = typeof found === 'string' ? null : await this.#options.node.find(found.batch.transaction);
    if (found === 'unknown') say(response, 404, 'Commitment not found in calendar');
    else if (found === 'waiting' || place === null) say(response, 404, 'Pending confirmation in Bitcoin blockchain');
    else send(response, complete(commitment, found.batch, found.index, place));
  }
}

/** The way from a commitment to the merkle root of the block. */
function complete(commitment: Uint8Array, batch: Batch, index: number, place: Place): Uint8Array {
  const timestamp = new TimestampBuilder(commitment);
  const leaf = timestamp.apply(SHA256);
  let at = leaf;
  let position = index;
  for (const layer of batch.layers.slice(0, -1)) {
    const sibling = layer[position ^ 1];
    if (sibling !== undefined) at = at.apply(join(position, sibling));
    at = at.apply(SHA256);
    position >>= 1;
  }
  const { transaction } = batch;
  const start = Buffer.from(transaction).indexOf(at.message);
  at = at
    .apply({ kind: 'prepend', argument: transaction.subarray(0, start) })
    .apply({ kind: 'append', argument: transaction.subarray(start + at.message.length) });
  at = at.apply(SHA256).apply(SHA256);
  position = place.index;
  for (let ids = place.ids; ids.length > 1; ids = above(ids)) {
    at = at
      .apply(join(position, ids[position ^ 1] ?? at.message))
      .apply(SHA256)
      .apply(SHA256);
    position >>= 1;
  }
  at.attest({ kind: 'bitcoin', height: place.height });
  return serializeTimestamp(timestamp.finish());
}

function join(position: number, sibling: Uint8Array): Op {
  return { kind: position % 2 === 0 ? 'append' : 'prepend', argument: sibling };
}

/** The next layer of a block's tree: one without a neighbour is its own. */
function above(ids: readonly Uint8Array[]): Uint8Array[] {
  const next: Uint8Array[] = [];
  for (let i = 0; i < ids.length; i += 2) {
    const [left, right] = ids.slice(i, i + 2);
    if (left === undefined) break;
    next.push(new TimestampBuilder(concat(left, right ?? left)).apply(SHA256).apply(SHA256).message);
  }
  return next;
}

/** Null where it is empty or longer than a digest can be. */
async function bodyOf(request: IncomingMessage): Promise<Uint8Array | null> {
  const body = await collectAtMost(request, MAX_DIGEST);
  return body?.length === 0 ? null : body;
}

function say(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain' }).end(text);
}

function send(response: ServerResponse, timestamp: Uint8Array): void {
  response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(timestamp);
}
