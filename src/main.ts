import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { parseUnits } from 'ethers';
import type { Logger } from 'pino';
import { ApiKeys } from './access/keys.ts';
import { anchorStates, readAnchors } from './anchor/anchors.ts';
import { requestRound } from './anchor/jobs.ts';
import { Receipts } from './anchor/receipts.ts';
import { closeRound, type RoundClosing } from './anchor/rounds.ts';
import { RoundTrees } from './anchor/roundtrees.ts';
import { startWorker } from './anchor/worker.ts';
import { createApp } from './api/app.ts';
import { listen } from './api/server.ts';
import type { Service } from './api/service.ts';
import { type Config, type EvmConfig, isLoopback } from './config.ts';
import { AntequemError } from './core/errors.ts';
import type { Anchor } from './core/receipt.ts';
import { claimDeclaration } from './evm/account.ts';
import { ANCHOR_ADDRESS } from './evm/anchor-contract.ts';
import { rpcSource } from './evm/rpc-source.ts';
import { keySigner } from './evm/signer.ts';
import { EvmTarget } from './evm/target.ts';
import { Appender } from './log/appender.ts';
import { EntryReader } from './log/entries.ts';
import type { Effects } from './log/log.ts';
import { Publisher } from './log/publish.ts';
import { Registry } from './log/registry.ts';
import { purgeKeys } from './log/replay.ts';
import { LogSeed } from './log/seed.ts';
import { recordedTransaction } from './log/system.ts';
import { TileStore } from './log/tilestore.ts';
import { openQueue, type Queue } from './queue/queue.ts';
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
  const seed = LogSeed.parse(
    await readSecret(
      config.logSeedFile,
      'LOG_SEED_FILE',
      'a file with 64 hex digits: `openssl rand -hex 32` makes them',
    ),
  );
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

/** A secret out of a file, white space around it aside. */
async function readSecret(file: string, setting: string, how: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (cause) {
    throw new AntequemError('secret-missing', `${setting} ${file} cannot be read; it must name ${how}`, { cause });
  }
}

/** A running service. */
export interface Running {
  /** Where the API answers; null where this process has no API. */
  readonly url: string | null;
  /** Drains: what is under way is finished, nothing new is taken. */
  stop(): Promise<void>;
}

export interface ServeOptions {
  readonly effects?: Effects;
  /** Puts the contract on a development chain that lacks it. */
  readonly ensureContract?: () => Promise<void>;
}

/**
 * Runs the roles of the configuration in this process.
 * @throws AntequemError `keys-missing` beyond loopback without an API key, and what its parts throw
 */
export async function serve(config: Config, logger: Logger, options: ServeOptions = {}): Promise<Running> {
  const effects = options.effects ?? realEffects;
  const foundation = await openFoundation(config, effects);
  const stops: (() => Promise<void>)[] = [() => foundation.database.end()];
  const stopping = new AbortController();
  const stop = async (): Promise<void> => {
    stopping.abort();
    for (let next = stops.pop(); next !== undefined; next = stops.pop()) await next();
  };
  try {
    if (config.roles.includes('api')) await demandKeys(config, foundation.keys);
    const queue = await openQueue({
      databaseUrl: config.databaseUrl,
      ...(config.redisUrl === null ? {} : { redisUrl: config.redisUrl }),
      logger,
    });
    stops.push(() => queue.close());
    if (config.roles.includes('worker')) stops.push(await startAnchoring(config, foundation, queue, logger, options));
    if (!config.roles.includes('api')) return { url: null, stop };

    closeRoundsByCount(foundation.appender, queue, config.roundEntries);
    const progress = Progress.listen(config.databaseUrl);
    stops.push(() => progress.close());
    const service = composeApi(config, foundation, { progress, stopping: stopping.signal, logger, effects });
    const server = await listen(createApp(service, (config.evm?.rpcUrls ?? []).map(rpcSource)), config);
    stops.push(() => server.close());
    return { url: server.url, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function composeApi(
  config: Config,
  foundation: Foundation,
  outside: { progress: Progress; stopping: AbortSignal; logger: Logger; effects: Effects },
): Service {
  const { database, appender } = foundation;
  const { effects, ...rest } = outside;
  const entries = new EntryReader(database, appender.sequencing.stretches);
  const tiles = new TileStore(database, appender.sequencing.stretches);
  const trees = new RoundTrees(database);
  const anchors = (round: number): Promise<Anchor[]> => readAnchors(database, round);
  return {
    ...foundation,
    ...rest,
    entries,
    tiles,
    trees,
    receipts: new Receipts({ database, entries, tiles, publisher: foundation.publisher, trees, anchors }),
    anchors,
    anchorStates: (round) => anchorStates(database, round),
    now: effects.now,
    open: config.open,
    roundInterval: config.roundInterval,
    finalityDelay: finalityDelay(config.evm),
    notices: config.evm === null ? ['no chain is configured: rounds are closed and not anchored'] : [],
  };
}

/** Milliseconds from the close of a round to its anchor being final, as people may expect it. */
function finalityDelay(evm: EvmConfig | null): number | null {
  if (evm === null) return null;
  if (evm.ephemeral) return 2_000;
  // Ethereum makes final in two epochs of 6.4 minutes; blocks of other chains come faster than every 12 s.
  return evm.confirmations === null ? 15 * 60_000 : evm.confirmations * 12_000;
}

/** Asks for a round ahead of its time whenever so many entries were appended. */
function closeRoundsByCount(appender: Appender, queue: Queue, entries: number): void {
  let since = 0;
  appender.onCommitted = (count) => {
    since += count;
    if (since < entries) return;
    since = 0;
    void requestRound(queue);
  };
}

/** Closes rounds and anchors them. Returns how to stop that. */
async function startAnchoring(
  config: Config,
  foundation: Foundation,
  queue: Queue,
  logger: Logger,
  options: ServeOptions,
): Promise<() => Promise<void>> {
  const { database, registry, appender, publisher } = foundation;
  const { now } = options.effects ?? realEffects;
  const targets = config.evm === null ? [] : [await openTarget(config.evm, foundation, logger, options)];
  const closing: RoundClosing = {
    database,
    registry,
    publisher,
    sequencing: appender.sequencing,
    beacons: async () => {
      const blocks = await Promise.all(targets.map((target) => target.newestFinalBlock()));
      return blocks.filter((block) => block !== null);
    },
    heartbeat: config.roundHeartbeat,
  };
  const { roundInterval, reconcileInterval } = config;
  const worker = await startWorker({
    database,
    queue,
    targets,
    closeRound: () => closeRound(closing),
    roundInterval,
    reconcileInterval,
    now,
    logger,
  });
  const purging = setInterval(() => {
    purgeKeys(database, now()).catch((error: unknown) => logger.warn({ err: error }, 'old idempotency keys stay'));
  }, 3_600_000);
  return async () => {
    clearInterval(purging);
    await worker.stop();
    for (const target of targets) target.close();
  };
}

async function openTarget(
  evm: EvmConfig,
  { database, registry, appender }: Foundation,
  logger: Logger,
  { effects = realEffects, ensureContract }: ServeOptions,
): Promise<EvmTarget> {
  const { now } = effects;
  return new EvmTarget({
    name: `evm-${evm.chainId}`,
    chainId: evm.chainId,
    rpcUrls: evm.rpcUrls,
    contract: evm.contract ?? ANCHOR_ADDRESS,
    mode: evm.mode,
    signer: keySigner(await readSecret(evm.keyFile, 'EVM_PRIVATE_KEY_FILE', 'a file with 0x and 64 hex digits')),
    ...(evm.confirmations === null ? {} : { finality: { by: 'depth', blocks: evm.confirmations } }),
    ephemeral: evm.ephemeral,
    caps: { maxFee: parseUnits(String(evm.maxFeeGwei), 'gwei'), priorityFee: parseUnits('3', 'gwei') },
    database,
    now,
    logger,
    declareSender: ({ chain, address }) =>
      recordedTransaction(database, registry.system, appender.sequencing, async (tx) => {
        const claimed = await claimDeclaration(tx, { chain, address }, now());
        return { result: undefined, acts: claimed ? [{ act: 'sender-declared', chain, address }] : [] };
      }),
    ...(ensureContract === undefined ? {} : { ensureContract }),
  });
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
