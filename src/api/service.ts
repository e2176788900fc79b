import type { Logger } from 'pino';
import type { ApiKeys } from '../access/keys.ts';
import type { Receipts } from '../anchor/receipts.ts';
import type { RoundTrees } from '../anchor/roundtrees.ts';
import type { Anchor } from '../core/receipt.ts';
import type { Appender } from '../log/appender.ts';
import type { EntryReader } from '../log/entries.ts';
import type { Publisher } from '../log/publish.ts';
import type { Registry } from '../log/registry.ts';
import type { TileStore } from '../log/tilestore.ts';
import type { Database } from '../store/database.ts';
import type { Progress } from '../store/progress.ts';

/** What the API serves, put together by whoever starts it. */
export interface Service {
  readonly database: Database;
  readonly registry: Registry;
  readonly appender: Appender;
  readonly entries: EntryReader;
  readonly tiles: TileStore;
  readonly publisher: Publisher;
  readonly receipts: Receipts;
  readonly trees: RoundTrees;
  readonly keys: ApiKeys;
  readonly progress: Progress;
  readonly anchors: (round: number) => Promise<Anchor[]>;
  /** Anchors of a round with their states, for people. */
  readonly anchorStates: (round: number) => Promise<readonly object[]>;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** Whether no key is asked for. */
  readonly open: boolean;
  /** Milliseconds between rounds. */
  readonly roundInterval: number;
  /** Milliseconds from the close of a round to its first final anchor, as expected; null: nothing is anchored. */
  readonly finalityDelay: number | null;
  /** What an operator should know although all is ready. */
  readonly notices: () => readonly string[];
  /** What the bodies of requests under way may hold together. Default 128 MiB. */
  readonly maxBodyBytes?: number;
  /** Fires when the service is about to stop: what merely waits ends then. */
  readonly stopping: AbortSignal;
  readonly logger: Logger;
}
