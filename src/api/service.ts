import type { Logger } from 'pino';
import type { ApiKeys } from '../access/keys.ts';
import type { Quota } from '../access/quota.ts';
import type { Sessions } from '../access/sessions.ts';
import type { Receipts } from '../anchor/receipts.ts';
import type { RoundTrees } from '../anchor/roundtrees.ts';
import type { AuditedChain } from '../core/anchor-audit.ts';
import type { SharedLimit } from '../core/lru.ts';
import type { Anchor } from '../core/receipt.ts';
import type { StoredRound } from '../evm/stored-rounds.ts';
import type { Appender } from '../log/appender.ts';
import type { Archives } from '../log/archived-tile.ts';
import type { EntryReader } from '../log/entries.ts';
import type { Holds } from '../log/holds.ts';
import type { Checkpoints, Publisher } from '../log/publish.ts';
import type { ReadReplica } from '../log/read-replica.ts';
import type { ReceiptKeys } from '../log/receipt-keys.ts';
import type { Registry } from '../log/registry.ts';
import type { RootSigning } from '../log/root-signing.ts';
import type { TileStore } from '../log/tilestore.ts';
import type { Operation } from '../metrics/operation.ts';
import type { Outside } from '../sources/scheme.ts';
import type { Sources } from '../sources/sources.ts';
import type { Database } from '../store/database.ts';
import type { Notifications } from '../store/notifications.ts';
import type { Issuer } from '../tsa/issuer.ts';
import type { Webhooks } from '../webhooks/webhooks.ts';
import type { CalendarService } from './calendar.ts';
import type { LineHashing } from './line-hashing.ts';
import type { Readings } from './readings.ts';

/** What serves clients of the service as a timestamp authority. */
export interface AuthorityService {
  readonly issuer: Issuer;
  /** Requests a minute from one address. */
  readonly perMinute: number;
}

/** The parts that the API works on. */
export interface Service {
  readonly database: Database;
  readonly registry: Registry;
  readonly appender: Appender;
  readonly entries: EntryReader;
  /** Where old contents of entries lie; null: nowhere. */
  readonly archives: Archives;
  readonly tiles: TileStore;
  /** Where tiles are read first; null: nowhere but in the database. */
  readonly replica: ReadReplica | null;
  readonly publisher: Publisher;
  /** What the publisher signed, with what witnesses say of it. */
  readonly checkpoints: Checkpoints;
  readonly receipts: Receipts;
  /** Signs roots for COSE receipts. */
  readonly roots: RootSigning;
  /** What verifies them. */
  readonly receiptKeys: ReceiptKeys;
  readonly readings: Readings;
  readonly hashing: LineHashing;
  readonly trees: RoundTrees;
  readonly keys: ApiKeys;
  readonly sessions: Sessions;
  /** How much each caller may ask; null: as much as it likes. */
  readonly quota: Quota | null;
  /** Legal holds. */
  readonly holds: Holds;
  readonly sources: Sources;
  /** What schemes of sources ask of the network. */
  readonly outside: Outside;
  readonly webhooks: Webhooks;
  /** The secret that a webhook's messages are signed with, by its id. */
  readonly webhookSecret: (id: string) => Uint8Array;
  readonly notifications: Notifications;
  readonly anchors: (round: number) => Promise<Anchor[]>;
  /** The first stored round from this one on, with the path there; `chain` null: on that of the first target. */
  readonly storedRound: (round: number, chain: string | null) => Promise<StoredRound | null>;
  /** Anchors of a round with their states, for people. */
  readonly anchorStates: (rounds: readonly number[]) => Promise<ReadonlyMap<number, readonly object[]>>;
  /** The chains of all targets, as auditors from outside see them. */
  readonly auditedChains: () => Promise<readonly AuditedChain[]>;
  /** The chain (CAIP-2) that OpenTimestamps calendars stamp rounds into; null: none are asked to. */
  readonly calendars: { readonly chain: string } | null;
  /** Our own calendar as pending attestations name it: `scheme://host[:port]`; null: it is off. */
  readonly ownCalendar: string | null;
  /** What serves clients of that calendar; null: it is off. */
  readonly calendar: CalendarService | null;
  /** What serves clients of the service as a timestamp authority (RFC 3161); null or absent: it is none. */
  readonly authority?: AuthorityService | null;
  /** Proxies that are believed about the addresses they forward for. Default: none. */
  readonly trustedProxies?: readonly string[];
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** Whether no key is asked for. */
  readonly open: boolean;
  /** Milliseconds between rounds. */
  readonly roundInterval: number;
  /** Milliseconds from the close of a round to its first final anchor, as expected; null: nothing is anchored. */
  readonly finalityDelay: number | null;
  /** And to its confirmation in Bitcoin; null or absent: no calendar stamps it, or no source can say that it is confirmed. */
  readonly confirmationDelay?: number | null;
  /** What operators and load balancers ask. */
  readonly operation: Operation;
  /** Opens /metrics; null: a key of the scope admin does alone. */
  readonly metricsToken: string | null;
  /** Of what is remembered of answers and for them, with all else that remembers. Absent: each has a bound of its own. */
  readonly memory?: SharedLimit;
  /** What the bodies of requests under way may hold together. Default 128 MiB. */
  readonly maxBodyBytes?: number;
  /** Fires when the service is about to stop: what merely waits ends then. */
  readonly stopping: AbortSignal;
  readonly logger: Logger;
}
