// Calendars over HTTP that do as a test tells them, on a chain of headers that a test makes.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { sha256 } from '#sha256';
import { addMissingAnchors } from '../../src/anchor/jobs.ts';
import { nodeSource } from '../../src/bitcoin/header-sources.ts';
import { BITCOIN } from '../../src/core/bitcoin-header.ts';
import { concat, fromHex, toHex } from '../../src/core/bytes.ts';
import type { Op } from '../../src/ots/operation.ts';
import { serializeTimestamp } from '../../src/ots/serialization.ts';
import { OtsTarget, type OtsTargetOptions } from '../../src/ots/target.ts';
import { TimestampBuilder } from '../../src/ots/timestamp.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { type ChainServer, GENESIS, nextHeader, serveChain } from '../bitcoin/chain-server.ts';
import { closeRounds, silent } from './anchoring.ts';
import { FAST } from './ots-pace.ts';
import { testDatabase } from './postgres.ts';

export type Behaviour = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

export interface TestCalendar extends AsyncDisposable {
  readonly url: string;
  /** What its answers name; its own URL at first. */
  uri: string;
  /** Requests it got: `POST <digest>`, `GET <commitment>`. */
  readonly asked: string[];
  /** Instead of what calendars do; null: as they do. */
  behaviour: Behaviour | null;
  /** Waited for before a submission is answered. */
  onSubmit: ((digest: Uint8Array) => Promise<void>) | null;
  /** What it has promised and not yet in a block. */
  waiting(): Uint8Array[];
  /** Names another block, which must have this merkle root, for all that it has ever promised. */
  stamped(height: number): Uint8Array;
}

const SHA256: Op = { kind: 'sha256' };

/** A calendar at any free port. */
export async function serveCalendar(): Promise<TestCalendar> {
  const asked: string[] = [];
  const promised: Uint8Array[] = [];
  let block: { height: number; members: Uint8Array[] } | null = null;
  const take = (digest: Uint8Array): Uint8Array => {
    const builder = new TimestampBuilder(digest);
    const end = builder
      .apply({ kind: 'append', argument: sha256(concat(digest, Uint8Array.of(promised.length))).subarray(0, 8) })
      .apply(SHA256);
    end.attest({ kind: 'pending', uri: calendar.uri });
    promised.push(end.message);
    return serializeTimestamp(builder.finish());
  };
  const tell = (commitment: Uint8Array): Uint8Array | null => {
    const at = block?.members.findIndex((each) => Buffer.compare(each, commitment) === 0) ?? -1;
    if (block === null || at < 0) return null;
    const builder = new TimestampBuilder(commitment);
    const sides = [concat(...block.members.slice(0, at)), concat(...block.members.slice(at + 1))];
    const ops = [
      { kind: 'prepend' as const, argument: sides[0] ?? new Uint8Array() },
      { kind: 'append' as const, argument: sides[1] ?? new Uint8Array() },
    ].filter(({ argument }) => argument.length > 0);
    builder.follow([...ops, SHA256]).attest({ kind: 'bitcoin', height: block.height });
    return serializeTimestamp(builder.finish());
  };
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(Buffer.from(chunk));
    const body = new Uint8Array(Buffer.concat(chunks));
    const [, hex] = /^\/timestamp\/([0-9a-f]*)$/.exec(request.url ?? '') ?? [];
    asked.push(request.method === 'POST' ? `POST ${toHex(body)}` : `GET ${hex}`);
    if (request.method === 'POST') await calendar.onSubmit?.(body);
    if (calendar.behaviour !== null) return void calendar.behaviour(request, response);
    if (request.method === 'POST' && request.url === '/digest') return void response.end(take(body));
    const answer = hex === undefined ? null : tell(fromHex(hex));
    if (answer === null) response.writeHead(404).end('Pending confirmation in Bitcoin blockchain');
    else response.end(answer);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const url = `http://127.0.0.1:${address.port}`;
  const calendar: TestCalendar = {
    url,
    uri: url,
    asked,
    behaviour: null,
    onSubmit: null,
    waiting: () => promised.filter((each) => !(block?.members.includes(each) ?? false)),
    stamped: (height) => {
      block = { height, members: [...promised] };
      return sha256(concat(...promised));
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return calendar;
}

export interface OtsGround extends AsyncDisposable {
  readonly database: Database;
  readonly databaseUrl: string;
  readonly calendars: readonly TestCalendar[];
  /** From block 0 on; a test may replace what it likes. */
  readonly headers: Uint8Array[];
  readonly node: ChainServer;
  /** A target such as one process has. */
  target(options?: Partial<OtsTargetOptions>): OtsTarget;
  /** Rounds that the target is to anchor. */
  close(count: number, target?: string): Promise<number[]>;
  /** Adds blocks: the first with this merkle root. */
  mine(count: number, merkleRoot?: Uint8Array): void;
  /** Has each calendar stamp into a block of its own. */
  stamp(): void;
}

/** A database, a node and so many calendars. */
export async function otsGround(count = 3): Promise<OtsGround> {
  const headers: Uint8Array[] = [GENESIS];
  const [{ url: databaseUrl, drop }, node, ...calendars] = await Promise.all([
    testDatabase(),
    serveChain(headers),
    ...Array.from({ length: count }, serveCalendar),
  ]);
  const database = openDatabase(databaseUrl, { connections: 12 });
  const targets: OtsTarget[] = [];
  const mine = (blocks: number, merkleRoot = sha256(Uint8Array.of(headers.length))): void => {
    for (let i = 0; i < blocks; i++) {
      const root = i === 0 ? merkleRoot : sha256(Uint8Array.of(headers.length, 1));
      headers.push(nextHeader(headers.at(-1) ?? GENESIS, root));
    }
  };
  return {
    database,
    databaseUrl,
    calendars,
    headers,
    node,
    target: (options = {}) => {
      const target = new OtsTarget({
        name: 'opentimestamps',
        chain: BITCOIN,
        calendars: calendars.map(({ url }) => ({ url, uris: [] })),
        minCalendars: Math.min(2, count),
        source: nodeSource(node.url, BITCOIN, { timeout: 2_000 }),
        ephemeral: false,
        firstRound: 1,
        pace: FAST,
        database,
        now: Date.now,
        logger: silent,
        ...options,
      });
      targets.push(target);
      return target;
    },
    close: async (rounds, target = 'opentimestamps') => {
      const closed = await closeRounds(database, rounds);
      await addMissingAnchors(database, target, Date.now());
      return closed;
    },
    mine,
    stamp: () => {
      for (const calendar of calendars) mine(1, calendar.stamped(headers.length));
    },
    async [Symbol.asyncDispose]() {
      for (const target of targets) target.close();
      await database.end();
      await Promise.all([drop(), node[Symbol.asyncDispose](), ...calendars.map((each) => each[Symbol.asyncDispose]())]);
    },
  };
}

/** Looks again and again until it is so. */
export async function until(target: OtsTarget, rounds: readonly number[], so: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 45_000; ; ) {
    await target.advance(rounds);
    await target.inspect();
    if (await so()) return;
    if (performance.now() > end) throw new Error('it did not come to that');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
