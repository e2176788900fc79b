// Whether our account anchored rounds that the database does not have. Then the database was set back, or another
// service uses the account: which of the two, the chain cannot tell.

import type { Logger } from 'pino';
import * as z from 'zod/mini';
import { ANCHORED_TOPIC, decodeAnchoredLog } from '../core/anchored-event.ts';
import { toHex } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { within } from '../core/time-limit.ts';
import { type RollbackState, SET_BACK, setBack } from '../log/rollback.ts';
import type { Database } from '../store/database.ts';
import { RpcClient } from './json-rpc.ts';

interface UnknownRound {
  /** Who anchored it: an account of the target. */
  readonly sender: string;
  /** 32 bytes. */
  readonly root: Uint8Array;
  readonly transaction: string;
  readonly block: number;
}

export interface RoundSearch {
  /** Registered, with its account. */
  readonly target: string;
  readonly contract: string;
  readonly chainId: number;
  /** Asked one after the other until one answers. */
  readonly rpcUrls: readonly string[];
  /** Ends what is under way. */
  readonly signal?: AbortSignal;
}

/** Blocks of one question where a node refuses all at once: first the wider ones. And how many questions of each. */
const STEPS_BLOCKS = [2_000, 100];
const STEPS = 100;
/** For all that one endpoint is asked. */
const LIMIT_MS = 20_000;

const hexNumber = z.pipe(z.string().check(z.regex(/^0x[0-9a-fA-F]{1,13}$/)), z.transform(Number));
const eventLogs = z.array(
  z.looseObject({
    topics: z.array(z.string()),
    data: z.string(),
    transactionHash: z.string(),
    blockNumber: hexNumber,
  }),
);

/** Answers in the form asked for, or throws. */
type Ask = <T>(method: string, params: readonly unknown[], form: z.ZodMiniType<T>) => Promise<T>;

/**
 * The newest round that our account anchored and that the database lacks; null: there is none, or none in the newest
 * blocks. Nothing but the transaction count is asked for unless the chain counts more than the database gave out.
 * @throws whatever the last endpoint fails with
 */
async function findUnknownRound(database: Database, search: RoundSearch): Promise<UnknownRound | null> {
  const known = await readKnown(database, search);
  return withEndpoint(search, async (ask) => {
    for (const account of known) {
      const unknown = await searchOn(database, ask, search, account);
      if (unknown !== null) return unknown;
    }
    return null;
  });
}

/**
 * Has the accounts of a target go on behind all that the chain counts, whoever sent it.
 * @throws whatever the last endpoint fails with
 */
export async function skipNonces(database: Database, search: Omit<RoundSearch, 'contract'>): Promise<void> {
  for (const { address } of await readKnown(database, search)) {
    const count = await withEndpoint(search, (ask) => ask('eth_getTransactionCount', [address, 'pending'], hexNumber));
    await database.query(
      'UPDATE evm_accounts SET next_nonce = greatest(next_nonce, $3) WHERE target = $1 AND address = $2',
      [search.target, address, count],
    );
  }
}

interface Known {
  /** An account that pays for the target. */
  readonly address: string;
  readonly nextNonce: number;
  /** The block of the newest round that is in one. */
  readonly block: number;
}

async function readKnown(database: Database, { target }: Pick<RoundSearch, 'target'>): Promise<Known[]> {
  const { rows } = await database.query<{ address: string; next_nonce: number | null; block: number | null }>(
    `SELECT address, next_nonce, (SELECT block_number FROM anchors WHERE target = $1 AND block_number IS NOT NULL ORDER BY round DESC LIMIT 1) AS block
     FROM evm_accounts WHERE target = $1`,
    [target],
  );
  return rows.map(({ address, next_nonce, block }) => ({ address, nextNonce: next_nonce ?? 0, block: block ?? 0 }));
}

async function withEndpoint<T>(
  { rpcUrls, chainId, signal }: Omit<RoundSearch, 'contract'>,
  work: (ask: Ask) => Promise<T>,
): Promise<T> {
  let failure: unknown = new AntequemError('rpc-failed', 'there is no endpoint');
  for (const url of rpcUrls) {
    const client = new RpcClient({ url });
    const end = (): void => client.close();
    signal?.addEventListener('abort', end);
    try {
      signal?.throwIfAborted();
      const ask: Ask = async (method, params, form) => form.parse(await client.ask(method, params));
      return await within(LIMIT_MS, workOn(ask, chainId, work), () => {
        throw new AntequemError('rpc-failed', `${client.host} took too long`);
      });
    } catch (error) {
      failure = error;
    } finally {
      signal?.removeEventListener('abort', end);
      client.close();
    }
  }
  throw failure;
}

async function workOn<T>(ask: Ask, chainId: number, work: (ask: Ask) => Promise<T>): Promise<T> {
  const found = await ask('eth_chainId', [], hexNumber);
  if (found !== chainId) throw new AntequemError('rpc-failed', `an endpoint is on chain ${found}, not ${chainId}`);
  return work(ask);
}

async function searchOn(database: Database, ask: Ask, search: RoundSearch, known: Known): Promise<UnknownRound | null> {
  if ((await ask('eth_getTransactionCount', [known.address, 'latest'], hexNumber)) <= known.nextNonce) {
    return null;
  }
  const latest = await ask('eth_blockNumber', [], hexNumber);
  const since = Math.min(known.block, latest);
  for (const [from, to] of spans(since, latest)) {
    const found = await anchoredIn(ask, search.contract, known.address, from, to).catch((error: unknown) => {
      // Too wide for this node, perhaps: narrower spans follow.
      if (to - from < Math.min(...STEPS_BLOCKS)) throw error;
      return null;
    });
    if (found === null) continue;
    const unknown = await newestUnknown(database, found);
    if (unknown !== null || from === since) return unknown;
  }
  return null;
}

async function newestUnknown(database: Database, found: readonly UnknownRound[]): Promise<UnknownRound | null> {
  const { rows } = await database.query<{ root: Buffer }>('SELECT root FROM rounds WHERE root = ANY ($1)', [
    found.map(({ root }) => Buffer.from(root)),
  ]);
  const roots = new Set(rows.map(({ root }) => root.toString('hex')));
  return found.findLast(({ root }) => !roots.has(Buffer.from(root).toString('hex'))) ?? null;
}

/** All of it; then, for nodes that refuse that, piece by piece from the newest. */
function* spans(since: number, latest: number): Generator<[number, number]> {
  yield [since, latest];
  for (const blocks of STEPS_BLOCKS) {
    for (let step = 0, to = latest; step < STEPS && to >= since; step++, to -= blocks) {
      yield [Math.max(since, to - blocks + 1), to];
    }
  }
}

async function anchoredIn(
  ask: Ask,
  contract: string,
  sender: string,
  from: number,
  to: number,
): Promise<UnknownRound[]> {
  const filter = {
    address: contract,
    topics: [ANCHORED_TOPIC, `0x${sender.slice(2).padStart(64, '0')}`],
    fromBlock: `0x${from.toString(16)}`,
    toBlock: `0x${to.toString(16)}`,
  };
  return (await ask('eth_getLogs', [filter], eventLogs)).flatMap((log) => {
    const event = decodeAnchoredLog(log);
    if (event === null) return [];
    return [{ sender, root: event.root, transaction: log.transactionHash.toLowerCase(), block: log.blockNumber }];
  });
}

interface ChainComparison {
  readonly database: Database;
  readonly search: RoundSearch;
  readonly rollback: RollbackState;
  readonly now: () => number;
  readonly logger: Logger;
}

/**
 * Stops the target, and with it every process of the service, if the chain has a round of ours that the database lacks.
 * Nothing follows from a chain that does not answer.
 */
export async function compareWithChain(comparison: ChainComparison): Promise<void> {
  const { database, search, rollback, now, logger } = comparison;
  if (rollback.finding !== null) return;
  const { target } = search;
  const unknown = await findUnknownRound(database, search).catch((error: unknown) => {
    // The message is left out: it may contain the URL of the endpoint, which may contain an access key.
    const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
    logger.warn({ target, code }, 'the rounds on the chain could not be compared with those of the database');
    return null;
  });
  if (unknown === null) return;
  const error = setBack(
    `${unknown.sender} anchored the root ${toHex(unknown.root)} on eip155:${search.chainId} (transaction ${unknown.transaction} ` +
      `in block ${unknown.block}), which is of no round that the database has`,
    'the database was set back, or another service anchors with this account (each needs an account of its own)',
  );
  // If it was stopped for its nonce already, this is the cause.
  await database.query(
    'UPDATE targets SET stopped_at = coalesce(stopped_at, $2), stop_code = $3, stop_reason = $4 WHERE name = $1',
    [target, now(), SET_BACK, error.message],
  );
  logger.error({ target, code: error.code }, error.message);
  rollback.note();
}
