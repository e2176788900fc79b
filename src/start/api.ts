import type { Logger } from 'pino';
import { Quota } from '../access/quota.ts';
import { QuotaRedis } from '../access/quota-redis.ts';
import { RememberedByRound, receiptAnchors, roundsAnchors } from '../anchor/anchors.ts';
import { DigestIntake } from '../anchor/digests.ts';
import { Receipts } from '../anchor/receipts.ts';
import { auditedChains } from '../anchor/report.ts';
import { RoundTrees } from '../anchor/roundtrees.ts';
import type { CalendarService } from '../api/calendar.ts';
import type { LineHashing } from '../api/line-hashing.ts';
import type { Readings } from '../api/readings.ts';
import type { Service } from '../api/service.ts';
import type { Config } from '../config.ts';
import { AntequemError } from '../core/errors.ts';
import type { Anchor, OpenTimestampsAnchor } from '../core/receipt.ts';
import { findStored, receiptStoredPath } from '../evm/stored-rounds.ts';
import { KINDS } from '../kinds.ts';
import type { Archives } from '../log/archived-tile.ts';
import { EntryReader } from '../log/entries.ts';
import type { Guard } from '../log/guard.ts';
import type { Effects } from '../log/log.ts';
import { ReadReplica } from '../log/read-replica.ts';
import { ReceiptKeys } from '../log/receipt-keys.ts';
import { RootSigning } from '../log/root-signing.ts';
import type { Operation } from '../metrics/operation.ts';
import { Calendar } from '../ots/own-calendar.ts';
import { readOtsAnchors } from '../ots/receipt-anchor.ts';
import type { Outside } from '../sources/scheme.ts';
import { openDatabase } from '../store/database.ts';
import type { Notifications } from '../store/notifications.ts';
import { serviceName } from '../store/service-name.ts';
import { Witnesses } from '../witness/witnesses.ts';
import { type Foundation, readSecret } from './foundation.ts';
import { openOwnAuthority } from './own-authority.ts';
import { confirmationDelay, finalityDelay } from './targets.ts';

/** Puts together what the API serves. */
export function composeApi(
  config: Config,
  foundation: Foundation,
  outside: {
    notifications: Notifications;
    witnesses: Witnesses | null;
    quota: Quota | null;
    operation: Operation;
    replica: ReadReplica | null;
    readings: Readings;
    hashing: LineHashing;
    metricsToken: string | null;
    stopping: AbortSignal;
    logger: Logger;
    effects: Effects;
    outside: Outside;
  },
): Service {
  const { database, registry, publisher, tiles, memory, archives } = foundation;
  const { rollback } = foundation.guard;
  const { effects, witnesses, ...rest } = outside;
  const checkpoints = witnesses ?? foundation.publisher;
  const entries = new EntryReader(database, archives.blocks, tiles, memory);
  const trees = new RoundTrees(database, memory);
  const monotonic = (): number => performance.now();
  const remembered = new RememberedByRound((round) => receiptAnchors(KINDS, database, round), monotonic, memory);
  const stored = new RememberedByRound((round) => findStored(database, trees, null, round), monotonic, memory);
  outside.notifications.onNews(() => {
    remembered.forget();
    stored.forget();
  });
  const anchors = (round: number): Promise<Anchor[]> => remembered.get(round);
  const storedPath = async (round: number) => receiptStoredPath(await stored.get(round), round);
  return {
    ...foundation,
    ...rest,
    checkpoints,
    entries,
    trees,
    receipts: new Receipts({ database, entries, tiles, publisher: checkpoints, trees, anchors, storedPath }),
    roots: new RootSigning({ registry, publisher, tiles, rollback }),
    receiptKeys: new ReceiptKeys(database, registry, () => performance.now()),
    anchors,
    storedRound: (round, chain) => (chain === null ? stored.get(round) : findStored(database, trees, chain, round)),
    anchorStates: (rounds) => roundsAnchors(KINDS, database, rounds),
    auditedChains: () => auditedChains(KINDS, database),
    calendars: config.ots === null ? null : { chain: config.bitcoin.chain },
    ownCalendar: config.calendar?.uri ?? null,
    calendar: openOwnCalendar(config, foundation, trees, effects),
    authority: openOwnAuthority(config, foundation, effects),
    trustedProxies: config.trustedProxies,
    now: effects.now,
    open: config.open,
    roundInterval: config.roundInterval,
    finalityDelay: finalityDelay(config.targets),
    confirmationDelay: confirmationDelay(config.ots, config.bitcoin),
  };
}

/** Ourselves as a calendar; null where that is off. */
function openOwnCalendar(
  { calendar, bitcoin: { chain } }: Config,
  { database, guard: { rollback } }: Foundation,
  trees: RoundTrees,
  effects: Effects,
): CalendarService | null {
  if (calendar === null) return null;
  const { uri, perMinute } = calendar;
  const anchors = (round: number): Promise<OpenTimestampsAnchor[]> => readOtsAnchors(database, round);
  return {
    calendar: new Calendar({ database, trees, anchors, chain, uri }),
    intake: new DigestIntake({ database, effects, rollback }),
    perMinute,
  };
}

const REPLICA_CONNECTIONS = 10;
/** Milliseconds after which a replica counts as silent: the primary is asked then. */
const REPLICA_PATIENCE_MS = 2_000;

/** The replica that tiles are read from; null where none is configured. */
export function openReplica(
  { databaseReadUrl: url }: Pick<Config, 'databaseReadUrl'>,
  archives: Archives,
): { replica: ReadReplica; close: () => Promise<void> } | null {
  if (url === null) return null;
  const options = { connections: REPLICA_CONNECTIONS, name: 'antequem replica', patience: REPLICA_PATIENCE_MS };
  const database = openDatabase(url, options);
  return { replica: new ReadReplica(database, () => performance.now(), archives), close: () => database.end() };
}

/** Whoever cosigns checkpoints; null where nobody is configured to. */
export function openWitnesses(
  { witnesses }: Config,
  { database, registry, publisher, tiles }: Foundation,
  { now }: Effects,
  logger: Logger,
): Witnesses | null {
  if (witnesses === null) return null;
  return new Witnesses({ ...witnesses, database, registry, publisher, tiles, now, logger });
}

/** What opens /metrics beside an API key, if anything. */
export async function readMetricsToken({ operation: { metricsTokenFile: file } }: Config): Promise<string | null> {
  if (file === null) return null;
  const what = 'a file with at least 16 characters without spaces: `openssl rand -hex 32` makes them';
  const token = await readSecret(file, 'METRICS_TOKEN_FILE', what);
  if (/^[\x21-\x7e]{16,1000}$/.test(token)) return token;
  throw new AntequemError('secret-missing', `METRICS_TOKEN_FILE ${file} holds no token; it must name ${what}`);
}

/** How much each API key may ask; null: as much as it likes. */
export async function openQuota({ origin, operation: { rateLimit }, redisUrl }: Config): Promise<Quota | null> {
  if (rateLimit === null) return null;
  return new Quota(
    rateLimit,
    redisUrl === null ? null : await QuotaRedis.open(redisUrl, serviceName(origin), rateLimit),
  );
}

/** What an operator should know although all is ready. */
export function noticesOf({ targets, ots, bitcoin }: Config, guard: Guard): string[] {
  const { rollback, store } = guard;
  const notices: string[] = guard.notices();
  if (rollback.finding !== null) notices.push(rollback.finding.message);
  if (targets.length === 0 && ots === null) notices.push('no chain is configured: rounds are closed and not anchored');
  if (ots !== null && confirmationDelay(ots, bitcoin) === null) {
    notices.push('OpenTimestamps proofs are stored and never confirmed: set BITCOIN_RPC_URL or BITCOIN_ESPLORA_URL');
  }
  if (store === null) {
    notices.push(
      'what is published is recorded in the database alone: whether that was set back shows only where it was anchored; ' +
        'set LOG_GUARD_FILE or REDIS_URL',
    );
  }
  return notices;
}
