import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AntequemError } from '../../src/core/errors.ts';
import { startBitcoin } from './bitcoin.ts';
import { startChain } from './chain.ts';
import { removeEndpoints, writeEndpoints } from './endpoints.ts';
import { holdData } from './holder.ts';
import { listenNear } from './ports.ts';
import { startPostgres } from './postgres.ts';
import { watchAncestors } from './process-table.ts';
import { startService } from './service.ts';
import { startStamping } from './stamping.ts';

export interface LocalMode {
  /** Absolute; made if missing. */
  readonly dataDir: string;
  /** A PostgreSQL that is there already; without it one is started. */
  readonly databaseUrl: string | undefined;
  /** Of the API. This and the other ports are replaced by free ones where they are in use. */
  readonly port: number;
  readonly print: (line: string) => void;
}

const CHAIN_ID = 31337;
const CHAIN_PORT = 8545;
const BITCOIN_PORT = 18443;
const CALENDAR_PORT = 14788;
const BLOCK_INTERVAL_MS = 2_000;
const BURIED_BLOCKS = 6;

interface End {
  readonly says: string;
  readonly code: number;
}

/** Stopping takes less than 10 s in all, whatever hangs. */
const SERVICE_PATIENCE = 2_500;
const CHAIN_PATIENCE = 1_000;
const BITCOIN_PATIENCE = 1_500;
const TOTAL_PATIENCE = 9_500;

function readPort(file: string): number | null {
  try {
    const port = Number(readFileSync(file, 'utf8'));
    return Number.isSafeInteger(port) && port > 0 && port < 65_536 ? port : null;
  } catch {
    return null;
  }
}

function explain(error: unknown): string {
  if (error instanceof AntequemError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/** Settles once when anything calls for the end of this process: a signal, a lost ancestor, an error nobody caught. */
function whenToEnd(print: (line: string) => void): { ended: Promise<End>; end: (reason: End) => void } {
  const { promise: ended, resolve } = Promise.withResolvers<End>();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    // Once: npm and npx pass on a signal that the terminal has sent to us as well.
    process.on(signal, () => resolve({ says: `${signal}: stopping.`, code: 0 }));
  }
  const onError = (error: unknown): void => {
    print(`Unexpected error: ${explain(error)}`);
    resolve({ says: 'Stopping.', code: 1 });
  };
  process.on('uncaughtException', onError);
  process.on('unhandledRejection', onError);
  // A terminal that was closed takes no more lines; nothing depends on them.
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
  watchAncestors((gone) => resolve({ says: `${basename(gone.command[0] ?? '')} has ended: stopping.`, code: 0 }));
  return { ended, end: resolve };
}

/**
 * Runs local mode until something ends it, then stops what was started in reverse order and ends this process:
 * the database, on which all else depends, last.
 */
export async function launch(mode: LocalMode): Promise<never> {
  const { ended, end } = whenToEnd(mode.print);
  const abort = new AbortController();
  const aborted = ended.then((): never => {
    abort.abort();
    throw new AntequemError('stopped', 'stopped while starting');
  });
  aborted.catch(() => {});
  const stops: (() => unknown)[] = [];

  /** What is still starting when the end comes is stopped as well, once it has started. */
  function keep<T>(starting: Promise<T>, stop: (started: T) => unknown, patience: number): Promise<T> {
    const settled = starting.then(
      (started) => () => stop(started),
      () => () => {},
    );
    stops.push(() => Promise.race([settled.then((run) => run()), sleep(patience)]));
    return Promise.race([starting, aborted]);
  }

  async function start(): Promise<void> {
    const startedAt = new Date().toISOString();
    mkdirSync(mode.dataDir, { recursive: true, mode: 0o700 });
    const holder = await keep(
      holdData(mode.dataDir, () => new Date()),
      (held) => held.release(),
      TOTAL_PATIENCE,
    );
    const postgres =
      mode.databaseUrl === undefined
        ? keep(
            startPostgres({ dataDir: mode.dataDir, signal: abort.signal }),
            (server) => server.stop(),
            TOTAL_PATIENCE,
          )
        : null;
    const chain = keep(
      startChain({ port: CHAIN_PORT, chainId: CHAIN_ID }),
      (started) => started.stop(),
      CHAIN_PATIENCE,
    );
    // The calendar has promised to be found where it was.
    const calendarPortFile = join(mode.dataDir, 'calendar-port');
    const calendarPort = readPort(calendarPortFile) ?? CALENDAR_PORT;
    const startingBitcoin = startBitcoin({
      dataDir: join(mode.dataDir, 'bitcoin'),
      rpcPort: BITCOIN_PORT,
      calendarPort,
      interval: BLOCK_INTERVAL_MS,
      depth: BURIED_BLOCKS,
    });
    const keptBitcoin = keep(startingBitcoin, (started) => started.stop(), BITCOIN_PATIENCE).catch((error: unknown) => {
      if (abort.signal.aborted) throw error;
      // All else works without it, and some machine may lack what its database needs.
      mode.print(`${explain(error)}\nGoing on without Bitcoin.`);
      return null;
    });
    const [server, { url: evmRpcUrl, ended: chainEnded }, bitcoin] = await Promise.all([postgres, chain, keptBitcoin]);
    server?.ended.then(() => end({ says: 'PostgreSQL has ended unexpectedly: stopping.', code: 1 }));
    chainEnded.then(() => end({ says: 'The local chain has ended unexpectedly: stopping.', code: 1 }));
    bitcoin?.ended.then(() => end({ says: 'The local Bitcoin node has ended unexpectedly: stopping.', code: 1 }));
    const databaseUrl = server?.url ?? mode.databaseUrl ?? '';
    if (bitcoin !== null) writeFileSync(calendarPortFile, `${new URL(bitcoin.calendarUrl).port}\n`, { mode: 0o600 });
    // Whoever comes before the service is there finds nobody.
    const socket = createServer((connection) => connection.destroy());
    const port = await listenNear(socket, mode.port);
    const stamping = process.env.TSA_FILE
      ? null
      : await keep(startStamping(mode.dataDir), (started) => started.close(), CHAIN_PATIENCE);
    const on = { databaseUrl, evmRpcUrl, chainId: CHAIN_ID, bitcoin, stamping: stamping?.config ?? null, socket, port };
    const ground = { dataDir: mode.dataDir, ...on };
    const service = await keep(startService(ground), (started) => started.stop(), SERVICE_PATIENCE);

    const { url, contract } = service;
    holder.announce(url);
    stops.push(() => removeEndpoints(mode.dataDir));
    writeEndpoints(mode.dataDir, {
      pid: process.pid,
      startedAt,
      url,
      evmRpcUrl,
      chainId: CHAIN_ID,
      contract,
      bitcoinRpcUrl: bitcoin?.rpcUrl ?? null,
      bitcoinChain: bitcoin?.chain ?? null,
      calendarUrl: bitcoin?.calendarUrl ?? null,
      databaseUrl,
    });
    mode.print(`API         ${url}${port === mode.port || mode.port === 0 ? '' : ` (port ${mode.port} is in use)`}`);
    mode.print(`EVM chain   ${evmRpcUrl} (chain ${CHAIN_ID}, local and new at each start)`);
    if (bitcoin !== null) {
      mode.print(`Bitcoin     ${bitcoin.rpcUrl} (regtest: blocks are mined as they are needed, and kept)`);
      mode.print(`Calendar    ${bitcoin.calendarUrl} (OpenTimestamps, stamps into that chain)`);
    }
    if (stamping !== null) {
      mode.print(`Stamps      ${stamping.config.url} (RFC 3161, stamps every round; its CA: ${stamping.caFile})`);
    }
    mode.print(`Authority   ${url}/tsa (RFC 3161; its CA: ${join(mode.dataDir, 'tsa-ca.pem')})`);
    mode.print(`PostgreSQL  ${databaseUrl}`);
    mode.print(`Ctrl-C stops it. Data is kept in ${mode.dataDir}`);
  }

  try {
    await start();
  } catch (error) {
    if (!abort.signal.aborted) {
      mode.print(explain(error));
      end({ says: 'Not started.', code: 1 });
    }
  }
  const { says, code } = await ended;
  mode.print(says);
  setTimeout(() => process.exit(1), TOTAL_PATIENCE);
  for (const stop of stops.reverse()) {
    try {
      await stop();
    } catch (error) {
      mode.print(explain(error));
    }
  }
  process.exit(code);
}
