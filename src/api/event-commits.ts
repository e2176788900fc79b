import { setImmediate as turn } from 'node:timers/promises';
import { toHex } from '../core/bytes.ts';
import { AntequemError } from '../core/errors.ts';
import { MAX_BATCH_BYTES, MAX_BATCH_ENTRIES } from '../core/limits.ts';
import type { EventDraft } from '../ingest/event.ts';
import type { SetAsideReason } from '../ingest/item-fault.ts';
import type { Appender } from '../log/appender.ts';
import type { Appended, Idempotency, Log, Logged } from '../log/log.ts';

/** Bytes of lines after which other requests get a turn of the event loop. */
const TURN_BYTES = 1 << 20;
/** A commit takes milliseconds; a request with the same body under way is waited for that long. */
const IN_FLIGHT_TRIES = 20;

/** Under which key each commit of a request is remembered. */
export interface CommitKeys {
  /**
   * @param part 0 for the first commit
   * @param more whether commits follow it; false for the last
   */
  key(part: number, more: boolean): Idempotency | null;
  /** Whether a request under the same key that is under way is waited for, not refused. */
  readonly waits: boolean;
}

export interface CommitOptions {
  readonly keys?: CommitKeys | null;
  /** Which of these digests the log holds, in hex: such events are repeats, however old. */
  readonly held?: ((digests: readonly Uint8Array[]) => Promise<ReadonlySet<string>>) | null;
}

/** What became of the events of a request. */
export interface Ingestion {
  readonly commits: number;
  /** Events that were new. */
  readonly count: number;
  /** Of the first of those; null: none was new. */
  readonly index: number | null;
  /** The last commit that had new events; null: none had. */
  readonly last: Appended | null;
  /** Events that the log held with this content. */
  readonly repeated: number;
  /** Of the new ones those whose ids the log knew with other content. */
  readonly conflicting: number;
  /** Of the new ones those that were set aside, by reason. */
  readonly setAside: ReadonlyMap<SetAsideReason, number>;
  /** Of the new ones those larger than an entry, logged by digest alone. */
  readonly digestOnly: number;
  /** Of all events those that were set aside, by reason, new or not. */
  readonly odd: ReadonlyMap<SetAsideReason, number>;
  /** Of those how many were too large to be kept, so that their SHA-256 and length stand for them. */
  readonly unkept: number;
}

/**
 * Appends events in their order by as many commits as it takes: each atomic, of as many events or bytes as a batch has at most. Where one
 * fails, those before it stay. The same events always go into the same commits.
 * @throws as Appender.append
 */
export async function commitEvents(
  appender: Appender,
  log: Log,
  drafts: Iterable<EventDraft>,
  { keys = null, held = null }: CommitOptions = {},
): Promise<Ingestion> {
  const total = new Tally();
  let pending: EventDraft[] = [];
  let bytes = 0;
  let sinceTurn = 0;
  const commit = async (more: boolean): Promise<void> => {
    const idempotency = keys?.key(total.commits, more) ?? null;
    const known = held === null ? new Set<string>() : await held(pending.map(({ digest }) => digest));
    const drafts = known.size === 0 ? pending : pending.filter(({ digest }) => !known.has(toHex(digest)));
    total.repeated += pending.length - drafts.length;
    for (let tries = 0; drafts.length > 0; tries++) {
      try {
        total.add(drafts, await appender.appendEvents(log, { drafts, idempotency }));
        break;
      } catch (error) {
        const inFlight = error instanceof AntequemError && error.code === 'idempotency-key-in-flight';
        if (!inFlight || keys?.waits !== true || tries === IN_FLIGHT_TRIES) throw error;
      }
    }
    total.commits++;
    pending = [];
    bytes = 0;
  };
  for (const draft of drafts) {
    const size = draft.payload?.length ?? 0;
    if (pending.length === MAX_BATCH_ENTRIES || bytes + size > MAX_BATCH_BYTES) await commit(true);
    pending.push(draft);
    bytes += size;
    sinceTurn += size;
    if (sinceTurn > TURN_BYTES) {
      sinceTurn = 0;
      await turn();
    }
  }
  if (pending.length > 0) await commit(false);
  return total;
}

class Tally implements Ingestion {
  commits = 0;
  count = 0;
  index: number | null = null;
  last: Appended | null = null;
  repeated = 0;
  conflicting = 0;
  digestOnly = 0;
  unkept = 0;
  readonly setAside = new Map<SetAsideReason, number>();
  readonly odd = new Map<SetAsideReason, number>();

  add(drafts: readonly EventDraft[], { appended, fresh, repeats }: Logged): void {
    this.repeated += repeats.count;
    this.conflicting += repeats.conflicting;
    for (const { setAside } of drafts) {
      if (setAside === undefined) continue;
      increment(this.odd, setAside.reason);
      if (!setAside.kept) this.unkept++;
    }
    for (const { setAside, payload } of fresh?.flatMap((at) => drafts[at] ?? []) ?? drafts) {
      if (setAside !== undefined) increment(this.setAside, setAside.reason);
      if (payload === null) this.digestOnly++;
    }
    if (appended === null || fresh?.length === 0) return;
    this.count += appended.count;
    this.index ??= appended.index;
    this.last = appended;
  }
}

function increment(counts: Map<SetAsideReason, number>, reason: SetAsideReason): void {
  counts.set(reason, (counts.get(reason) ?? 0) + 1);
}
