import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { sha256 } from '#sha256';
import { ApiKeys } from '../../src/access/keys.ts';
import { Receipts } from '../../src/anchor/receipts.ts';
import { closeRound as close, type Round, type RoundClosing } from '../../src/anchor/rounds.ts';
import { RoundTrees } from '../../src/anchor/roundtrees.ts';
import { utf8 } from '../../src/core/bytes.ts';
import { Appender } from '../../src/log/appender.ts';
import { EntryReader } from '../../src/log/entries.ts';
import { Guard } from '../../src/log/guard.ts';
import { Holds } from '../../src/log/holds.ts';
import type { Appended, Draft, Log } from '../../src/log/log.ts';
import type { AnsweredHeads } from '../../src/log/outside/answered.ts';
import type { HoldStore } from '../../src/log/outside/hold.ts';
import type { PublishedStore } from '../../src/log/outside/published.ts';
import { Publisher } from '../../src/log/publish.ts';
import { Registry } from '../../src/log/registry.ts';
import { type KeyRing, LogSeed } from '../../src/log/seed.ts';
import { TileStore } from '../../src/log/tilestore.ts';
import { openDatabase } from '../../src/store/database.ts';

export const ORIGIN = 'log.example.org';
export const SEED = new LogSeed(new Uint8Array(32).fill(7));

/** A clock that can be moved against the real one. */
export class Clock {
  /** Milliseconds. */
  shift = 0;
  readonly now = (): number => Date.now() + this.shift;
}

export interface InstanceOptions {
  readonly clock?: Clock;
  readonly origin?: string;
  readonly seed?: KeyRing;
  /** Where what is published is recorded. Default: nowhere. */
  readonly published?: PublishedStore;
  /** Where what is answered is recorded. Default: nowhere. */
  readonly answered?: AnsweredHeads;
  /** Where holds are kept beside the database. Default: nowhere. */
  readonly holdStore?: HoldStore;
  /** Milliseconds. */
  readonly commitDeadline?: number;
  readonly signPatience?: number;
  readonly storePatience?: number;
  /** Of any one statement. */
  readonly patience?: number;
  readonly connections?: number;
  readonly name?: string;
  readonly maxQueuedBytes?: number;
}

export type Instance = Awaited<ReturnType<typeof openInstance>>;

/** What one process of the service has of logs and rounds, on a database of its own or one shared with others. */
export async function openInstance(url: string, options: InstanceOptions = {}) {
  const clock = options.clock ?? new Clock();
  const effects = { now: clock.now, random: (length: number) => new Uint8Array(randomBytes(length)) };
  const database = openDatabase(url, {
    connections: options.connections ?? 10,
    ...(options.name === undefined ? {} : { name: options.name }),
    ...(options.patience === undefined ? {} : { patience: options.patience }),
  });
  try {
    const { maxQueuedBytes, commitDeadline, signPatience, storePatience } = options;
    const appender = new Appender(database, effects, {
      ...(maxQueuedBytes === undefined ? {} : { maxQueuedBytes }),
      ...(commitDeadline === undefined ? {} : { commitDeadline }),
      answered: options.answered ?? null,
    });
    database.on('connect', () => options.answered?.noteConnection());
    const { sequencing } = appender;
    const { rollback } = sequencing;
    const serviceOrigin = options.origin ?? ORIGIN;
    const store = options.published ?? null;
    const logger = pino({ level: 'silent' });
    const guard = new Guard({
      database,
      serviceOrigin,
      store,
      answered: options.answered ?? null,
      rollback,
      logger,
      ...(storePatience === undefined ? {} : { storePatience }),
    });
    await guard.compare();
    const registry = await Registry.open(database, serviceOrigin, options.seed ?? SEED, sequencing);
    const publisher = new Publisher(database, registry, clock.now, {
      guard,
      ...(signPatience === undefined ? {} : { signPatience }),
    });
    const holds = new Holds({ database, registry, sequencing, store: options.holdStore ?? null, serviceOrigin });
    const keys = new ApiKeys(database, registry.system, sequencing);
    const entries = new EntryReader(database);
    const tiles = new TileStore(database);
    const trees = new RoundTrees(database);
    const receipts = new Receipts({ database, entries, tiles, publisher, trees, anchors: async () => [] });
    const closeRound = (closing: Partial<RoundClosing> = {}): Promise<Round | null> =>
      close({ database, registry, sequencing, beacons: async () => [], heartbeat: null, guard, ...closing });
    const makeLog = async (name: string, blinded = true): Promise<Log> =>
      (await registry.create(name, { blinded })).log;
    const append = (log: Log, ...texts: string[]): Promise<Appended> =>
      appender.append(log, { drafts: texts.map(draft), idempotency: null });
    return {
      clock,
      effects,
      database,
      appender,
      sequencing,
      registry,
      publisher,
      guard,
      holds,
      keys,
      entries,
      tiles,
      trees,
      receipts,
      closeRound,
      makeLog,
      append,
      end: () => database.end(),
    };
  } catch (error) {
    await database.end();
    throw error;
  }
}

export function draft(payload: string | Uint8Array): Draft {
  const bytes = typeof payload === 'string' ? utf8(payload) : payload;
  return { digest: sha256(bytes), payload: bytes };
}

/** `count` small drafts, each of its own. */
export function drafts(count: number, label = 'entry'): Draft[] {
  return Array.from({ length: count }, (_, i) => draft(`${label} ${i}`));
}
