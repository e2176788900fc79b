import { sha256 } from '#sha256';
import { utf8 } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { formatTime } from '../core/time.ts';
import type { Database, Transaction } from '../store/database.ts';
import { transaction } from '../store/database.ts';
import type { Log, Submission } from './log.ts';
import { prepare } from './prepared.ts';
import { type Sequencing, sequence } from './sequence.ts';

/** Milliseconds; a round of a hundred thousand logs takes some seconds. */
const DEADLINE = 30_000;

/** An act that the service records in its own log, `_system`. Hashes and keys are hex. */
export type SystemAct =
  | { readonly act: 'log-created'; readonly log: string; readonly blinded: boolean; readonly publicKey: string }
  /** From now on key `number` of the log signs, too. */
  | {
      readonly act: 'log-key-added';
      readonly log: string;
      readonly number: number;
      readonly publicKey: string;
    }
  /** From now on it does not. The key is given in full, so that readers who only know the remaining keys learn it. */
  | {
      readonly act: 'log-key-retired';
      readonly log: string;
      readonly number: number;
      readonly publicKey: string;
    }
  /** From now on these keys of the log sign by ML-DSA-44 as well; off: none does. */
  | {
      readonly act: 'log-ml-dsa';
      readonly log: string;
      readonly on: boolean;
      /** By the number of the Ed25519 key that each belongs to; 1,312 bytes. */
      readonly keys: readonly { readonly number: number; readonly publicKey: string }[];
    }
  /** From now on its name and keys are shown to anybody, or no longer. */
  | { readonly act: 'log-listed'; readonly log: string; readonly listed: boolean }
  | {
      readonly act: 'key-created';
      readonly key: string;
      readonly name: string;
      readonly scopes: readonly string[];
      readonly logs: readonly string[] | null;
      /** SHA-256 of its secret of 256 random bits, so that an audit notices a replaced secret. */
      readonly secretHash: string;
    }
  | { readonly act: 'key-revoked'; readonly key: string }
  /** A sender whose signed events are logged. `log` is an origin; settings hold no secret. */
  | {
      readonly act: 'source-created';
      readonly source: string;
      readonly name: string;
      readonly log: string;
      readonly scheme: string;
      readonly settings: object;
    }
  /** It has another secret, with this number, or other settings. */
  | {
      readonly act: 'source-changed';
      readonly source: string;
      readonly secret: number | null;
      readonly settings: object | null;
    }
  | { readonly act: 'source-removed'; readonly source: string }
  | { readonly act: 'sender-declared'; readonly chain: string; readonly address: string }
  | { readonly act: 'entry-erased'; readonly log: string; readonly index: number }
  /** From now on entries are erased once they are older than `period`, milliseconds. */
  | { readonly act: 'retention-set'; readonly log: string; readonly period: number }
  | { readonly act: 'retention-cleared'; readonly log: string }
  /** What a run of retention erases: entries received before a time, which are named here before anything is gone. */
  | {
      readonly act: 'entries-erased';
      readonly run: number;
      readonly ranges: readonly {
        readonly log: string;
        readonly first: number;
        readonly count: number;
        readonly before: string;
      }[];
    }
  /** From now on nothing erases entries that were received from `since` on and before `until`; null: without a bound. */
  | {
      readonly act: 'hold-added';
      readonly hold: string;
      readonly log: string;
      readonly since: string | null;
      readonly until: string | null;
      readonly reason: string;
      /** Entries that a run had named and not erased yet: they stay. */
      readonly kept: readonly { readonly first: number; readonly count: number }[];
    }
  | { readonly act: 'hold-removed'; readonly hold: string; readonly log: string }
  /** After a database was set back: the operator has confirmed that these are all holds. */
  | { readonly act: 'holds-confirmed'; readonly holds: readonly string[] }
  | { readonly act: 'round-closed'; readonly number: number; readonly root: string }
  | {
      /** Something published that the database has lost, as the operator declared. From now on `now` counts. */
      readonly act: 'recovered';
      /** Origin of a log, or of the rounds. */
      readonly subject: string;
      readonly published: { readonly size: number; readonly root: string };
      readonly now: { readonly size: number; readonly root: string } | null;
      /** Nothing is erased until they are confirmed. */
      readonly holds: 'unconfirmed';
    }
  /** A target whose chain has rounds that the database lacks. */
  | { readonly act: 'recovered'; readonly subject: string; readonly reason: string; readonly holds: 'unconfirmed' };

/**
 * A transaction that ends with entries of `_system`, so that acts and their records become durable together.
 * @param deadline milliseconds
 */
export async function recordedTransaction<T>(
  database: Database,
  system: Log,
  sequencing: Sequencing,
  work: (tx: Transaction) => Promise<{ result: T; acts: readonly SystemAct[] }>,
  deadline = DEADLINE,
): Promise<T> {
  const { result, settle } = await transaction(
    database,
    async (tx, defer) => {
      const { result, acts } = await work(tx);
      if (acts.length === 0) return { result, settle: async () => {} };
      const { outcomes, settle } = await sequence(
        tx,
        defer,
        system,
        [prepare(system, submissionOf(acts, sequencing), sequencing.effects)],
        sequencing,
      );
      const [outcome] = outcomes;
      if (outcome === undefined || 'refused' in outcome) {
        throw new AntequemError('internal', '_system took no entry');
      }
      return { result, settle };
    },
    { deadline },
  );
  await settle();
  return result;
}

function submissionOf(acts: readonly SystemAct[], { effects }: Sequencing): Submission {
  const drafts = acts.map((act) => {
    const payload = utf8(JSON.stringify({ at: formatTime(effects.now()), ...act }));
    return { digest: sha256(payload), payload };
  });
  return { drafts, idempotency: null };
}
