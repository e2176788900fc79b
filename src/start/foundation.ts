import { randomBytes, randomFillSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Logger, pino } from 'pino';
import { ApiKeys } from '../access/keys.ts';
import { Sessions } from '../access/sessions.ts';
import { packLeaves } from '../anchor/unpacked.ts';
import type { Config } from '../config.ts';
import { AntequemError } from '../core/errors.ts';
import { SharedLimit } from '../core/lru.ts';
import { Appender } from '../log/appender.ts';
import type { Archives } from '../log/archived-tile.ts';
import { Guard } from '../log/guard.ts';
import { Holds } from '../log/holds.ts';
import type { Effects } from '../log/log.ts';
import { AnsweredHeads } from '../log/outside/answered.ts';
import { AnsweredFile } from '../log/outside/answered-file.ts';
import { AnsweredRedis } from '../log/outside/answered-redis.ts';
import type { HoldStore } from '../log/outside/hold.ts';
import { HoldFiles } from '../log/outside/hold-files.ts';
import { HoldRedis } from '../log/outside/hold-redis.ts';
import { journalMemory } from '../log/outside/journal-memory.ts';
import type { PublishedStore } from '../log/outside/published.ts';
import { PublishedFile } from '../log/outside/published-file.ts';
import { PublishedRedis } from '../log/outside/published-redis.ts';
import { Publisher } from '../log/publish.ts';
import { Registry } from '../log/registry.ts';
import { LogSeed } from '../log/seed.ts';
import { TileStore } from '../log/tilestore.ts';
import { type MovingProgress, moveEntries } from '../log/unmoved.ts';
import { Sealing } from '../sources/sealing.ts';
import { Sources } from '../sources/sources.ts';
import { type Database, openDatabase } from '../store/database.ts';
import { migrate } from '../store/migrate.ts';
import { serviceName } from '../store/service-name.ts';
import { Webhooks } from '../webhooks/webhooks.ts';
import { openArchives } from './archives.ts';

/** Bytes that are remembered of tiles, entries, bundles and rounds together. */
const REMEMBERED_BYTES = 48 << 20;
/** Bytes that are drawn at a time: for single nonces, drawing costs more than the bytes. */
const POOL_BYTES = 16_384;

/** Time and randomness as they really are. */
export const realEffects: Effects = { now: Date.now, random: pooledRandom() };

/** Random bytes out of a pool that is filled anew when it is spent; each byte is given once and not kept. */
function pooledRandom(): Effects['random'] {
  const pool = new Uint8Array(POOL_BYTES);
  let spent = POOL_BYTES;
  return (length) => {
    if (length > POOL_BYTES / 16) return new Uint8Array(randomBytes(length));
    if (spent + length > POOL_BYTES) {
      randomFillSync(pool);
      spent = 0;
    }
    const drawn = pool.slice(spent, spent + length);
    pool.fill(0, spent, spent + length);
    spent += length;
    return drawn;
  };
}

/** The parts that every role needs. */
export interface Foundation {
  readonly database: Database;
  readonly registry: Registry;
  readonly appender: Appender;
  readonly publisher: Publisher;
  /** One for all that reads them, so that they are remembered once. */
  readonly tiles: TileStore;
  /** Bounds what all that reads remembers. */
  readonly memory: SharedLimit;
  readonly keys: ApiKeys;
  readonly sessions: Sessions;
  readonly sources: Sources;
  readonly webhooks: Webhooks;
  /** The secret that a webhook's messages are signed with, by its id. */
  readonly webhookSecret: (id: string) => Uint8Array;
  /** The same of every seed: a receiver may have been told an older one. */
  readonly webhookSecrets: (id: string) => readonly Uint8Array[];
  readonly guard: Guard;
  /** Where what left the database is read from. */
  readonly archives: Archives;
  readonly holds: Holds;
  close(): Promise<void>;
}

export interface FoundationOptions {
  readonly logger?: Logger;
  /** Whether the database is compared with what was published before anything else. Default: it is. */
  readonly compare?: boolean;
  /** Told how far the entries of an older release are moved into blocks. */
  readonly onMoving?: (progress: MovingProgress) => void;
}

/** Brings the database up to date, opens the logs on it and compares it with what was published. */
export async function openFoundation(
  config: Pick<
    Config,
    | 'databaseUrl'
    | 'databaseConnections'
    | 'appendConnections'
    | 'origin'
    | 'logSeedFile'
    | 'guardFile'
    | 'redisUrl'
    | 'operation'
    | 'archive'
  >,
  effects: Effects,
  { logger = pino({ level: 'silent' }), compare = true, onMoving = () => {} }: FoundationOptions = {},
): Promise<Foundation> {
  const seed = LogSeed.parse(
    await readSecret(
      config.logSeedFile,
      'LOG_SEED_FILE',
      'a file with 64 hex digits: `openssl rand -hex 32` makes them',
    ),
  );
  await migrate(config.databaseUrl);
  const database = openDatabase(config.databaseUrl, { connections: config.databaseConnections });
  await moveOldEntries(database, logger, onMoving);
  await packOldLeaves(database, logger);
  // However many reads are under way, an append finds a connection.
  const appending = openDatabase(config.databaseUrl, {
    connections: config.appendConnections,
    name: 'antequem appending',
  });
  const answered = openAnswered(config, effects.now);
  for (const pool of [database, appending]) pool.on('connect', () => answered?.noteConnection());
  // What is declared lost is recorded in a log that lacks answered entries itself.
  const appender = new Appender(appending, effects, { answered: compare ? answered : null });
  const { sequencing } = appender;
  const { rollback } = sequencing;
  const store = openPublished(config, database);
  const archives = openArchives(config.archive);
  const guard = new Guard({ database, serviceOrigin: config.origin, store, answered, rollback, archives, logger });
  const heldIn = openHoldStore(config);
  const close = async (): Promise<void> => {
    await heldIn?.close();
    await guard.close();
    await Promise.all([database.end(), appending.end()]);
  };
  const memory = new SharedLimit(REMEMBERED_BYTES);
  const tiles = new TileStore(database, archives, memory);
  try {
    if (compare) await guard.compare();
    const registry = await Registry.open(database, config.origin, seed, sequencing);
    const publisher = new Publisher(database, registry, effects.now, { guard, tiles });
    const keys = new ApiKeys(database, registry.system, sequencing);
    const sessions = new Sessions(database, keys, effects, seed.secret('sessions'));
    const sealing = new Sealing(seed.secrets('sources'), effects.random);
    const sources = new Sources({ database, registry, sequencing, sealing });
    await resealSecrets(sources, logger);
    const allowPrivate = config.operation.webhookAllowPrivate;
    const webhooks = new Webhooks({ database, ...effects, allowPrivate });
    const webhookSecret = (id: string): Uint8Array => seed.secret(`webhook ${id}`);
    const webhookSecrets = (id: string): readonly Uint8Array[] => seed.secrets(`webhook ${id}`);
    const holds = new Holds({ database, registry, sequencing, store: heldIn, serviceOrigin: config.origin });
    const parts = { database, registry, appender, publisher, tiles, memory, keys, sessions, sources, guard, holds };
    return { ...parts, archives, webhooks, webhookSecret, webhookSecrets, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function resealSecrets(sources: Sources, logger: Logger): Promise<void> {
  const { resealed, lost } = await sources.reseal();
  if (resealed > 0) logger.info({ resealed }, 'secrets of sources were sealed anew under the newest seed');
  if (lost > 0)
    logger.warn({ lost }, 'secrets of sources were sealed under a seed that is not there any more: rotate them');
}

/** Milliseconds between two lines of the log. */
const MOVING_LOG_MS = 5_000;

async function moveOldEntries(
  database: Database,
  logger: Logger,
  onMoving: (progress: MovingProgress) => void,
): Promise<void> {
  let toldAt = Number.NEGATIVE_INFINITY;
  try {
    await moveEntries(database, {
      onProgress: (progress) => {
        onMoving(progress);
        if (performance.now() - toldAt < MOVING_LOG_MS && progress.moved < progress.total) return;
        toldAt = performance.now();
        logger.info(progress, 'entries of an older release are moved into blocks');
      },
      onDamage: (says) => logger.warn(`${says}: run an audit`),
    });
  } catch (error) {
    await database.end();
    throw error;
  }
}

async function packOldLeaves(database: Database, logger: Logger): Promise<void> {
  let toldAt = Number.NEGATIVE_INFINITY;
  try {
    await packLeaves(database, (progress) => {
      if (performance.now() - toldAt < MOVING_LOG_MS && progress.packed < progress.total) return;
      toldAt = performance.now();
      logger.info(progress, 'leaves of rounds of an older release are packed');
    });
  } catch (error) {
    await database.end();
    throw error;
  }
}

/** Where it is recorded what was published: the file, else Redis, else nowhere. */
function openPublished(
  { guardFile, redisUrl }: Pick<Config, 'guardFile' | 'redisUrl'>,
  database: Database,
): PublishedStore | null {
  if (guardFile !== null) return new PublishedFile(guardFile, journalMemory(database, guardFile));
  return redisUrl === null ? null : new PublishedRedis(redisUrl);
}

/** The same of what was answered, beside it. */
function openAnswered(
  { guardFile, redisUrl, origin }: Pick<Config, 'guardFile' | 'redisUrl' | 'origin'>,
  now: () => number,
): AnsweredHeads | null {
  if (guardFile !== null) return new AnsweredHeads(new AnsweredFile(guardFile), now);
  return redisUrl === null ? null : new AnsweredHeads(new AnsweredRedis(redisUrl, serviceName(origin)), now);
}

/** The same of holds. */
function openHoldStore({
  guardFile,
  redisUrl,
  origin,
}: Pick<Config, 'guardFile' | 'redisUrl' | 'origin'>): HoldStore | null {
  if (guardFile !== null) return new HoldFiles(guardFile);
  return redisUrl === null ? null : new HoldRedis(redisUrl, serviceName(origin));
}

/** A secret out of a file, white space around it aside. */
export async function readSecret(file: string, setting: string, how: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (cause) {
    throw new AntequemError('secret-missing', `${setting} ${file} cannot be read; it must name ${how}`, { cause });
  }
}
