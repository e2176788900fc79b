import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { Logger } from 'pino';
import { ApiKeys } from './access/keys.ts';
import { Receipts } from './anchor/receipts.ts';
import { RoundTrees } from './anchor/roundtrees.ts';
import { createApp } from './api/app.ts';
import { type Config, isLoopback } from './config.ts';
import { AntequemError } from './core/errors.ts';
import { Appender } from './log/appender.ts';
import { EntryReader } from './log/entries.ts';
import type { Effects } from './log/log.ts';
import { Publisher } from './log/publish.ts';
import { Registry } from './log/registry.ts';
import { LogSeed } from './log/seed.ts';
import { TileStore } from './log/tilestore.ts';
import { type Database, openDatabase } from './store/database.ts';
import { migrate } from './store/migrate.ts';
import { Progress } from './store/progress.ts';

/** Time and randomness as they really are. */
export const realEffects: Effects = { now: Date.now, random: (length) => new Uint8Array(randomBytes(length)) };

/** The parts that every role needs. */
export interface Foundation {
  readonly database: Database;
  readonly registry: Registry;
  readonly appender: Appender;
  readonly publisher: Publisher;
  readonly keys: ApiKeys;
}

/** Brings the database up to date and opens the logs on it. */
export async function openFoundation(
  config: Pick<Config, 'databaseUrl' | 'origin' | 'logSeedFile'>,
  effects: Effects,
): Promise<Foundation> {
  const seed = await readSeed(config.logSeedFile);
  await migrate(config.databaseUrl);
  const database = openDatabase(config.databaseUrl);
  try {
    const appender = new Appender(database, effects);
    const registry = await Registry.open(database, config.origin, seed, appender.sequencing);
    const publisher = new Publisher(database, registry, effects.now);
    const keys = new ApiKeys(database, registry.system, appender.sequencing);
    return { database, registry, appender, publisher, keys };
  } catch (error) {
    await database.end();
    throw error;
  }
}

async function readSeed(file: string): Promise<LogSeed> {
  try {
    return LogSeed.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    if (cause instanceof AntequemError) throw cause;
    throw new AntequemError(
      'seed-missing',
      `LOG_SEED_FILE ${file} cannot be read: make one with \`openssl rand -hex 32\``,
      {
        cause,
      },
    );
  }
}

/** A running service. */
export interface Running {
  /** Where the API answers; null where this process has no API. */
  readonly url: string | null;
  /** Drains: what is under way is finished, nothing new is taken. */
  stop(): Promise<void>;
}

/**
 * Runs the roles of the configuration in this process.
 * @throws AntequemError `keys-missing` beyond loopback without an API key, and what its parts throw
 */
export async function serve(config: Config, logger: Logger, effects: Effects = realEffects): Promise<Running> {
  const foundation = await openFoundation(config, effects);
  const { database, registry, appender, publisher, keys } = foundation;
  const stops: (() => Promise<void>)[] = [() => database.end()];
  const stop = async (): Promise<void> => {
    for (let next = stops.pop(); next !== undefined; next = stops.pop()) await next();
  };
  try {
    if (config.roles.includes('api')) await demandKeys(config, keys);
    const progress = Progress.listen(config.databaseUrl);
    stops.push(() => progress.close());
    const trees = new RoundTrees(database);
    const entries = new EntryReader(database, appender.sequencing.stretches);
    const tiles = new TileStore(database, appender.sequencing.stretches);
    const anchors = async (): Promise<[]> => [];
    const receipts = new Receipts({ database, entries, tiles, publisher, trees, anchors });
    if (!config.roles.includes('api')) return { url: null, stop };
    const app = createApp(
      {
        database,
        registry,
        appender,
        entries,
        tiles,
        publisher,
        receipts,
        trees,
        keys,
        progress,
        anchors,
        anchorStates: anchors,
        now: effects.now,
        open: config.open,
        roundInterval: config.roundInterval,
        finalityDelay: 0,
        notices: [],
        logger,
      },
      [],
    );
    const server = createServer(app);
    const url = await listen(server, config);
    stops.push(() => closeServer(server));
    return { url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Fail closed: what can be reached from elsewhere asks for a key, so there must be one. */
async function demandKeys(config: Config, keys: ApiKeys): Promise<void> {
  if (config.open && !isLoopback(config.host)) {
    throw new AntequemError(
      'open-beyond-loopback',
      `without API keys the service listens on loopback alone, not on ${config.host}`,
    );
  }
  if (!isLoopback(config.host) && !(await keys.any())) {
    throw new AntequemError(
      'keys-missing',
      `no API key exists, so nothing starts on ${config.host}: make one with \`antequem keys create --name ops --scope admin\``,
    );
  }
}

async function listen(server: Server, config: Config): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(config.port, config.host, () => resolve());
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new AntequemError('internal', 'the server has no port');
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `http://${host}:${address.port}`;
}

/** Takes no new connection, lets requests under way end, and closes what idles. */
async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const cut = setTimeout(() => server.closeAllConnections(), 10_000);
  await closed;
  clearTimeout(cut);
}
