// How far the anchors of rounds are, as the API and receipts have them: what all kinds have in common, and what each adds.

import { LruCache, type SharedLimit } from '../core/lru.ts';
import { type Anchor, formatBlockHash } from '../core/receipt.ts';
import { formatTime } from '../core/time.ts';
import type { Queryable } from '../store/database.ts';
import type { AnchorKinds, AnchorStatus, AnchorType } from './kind.ts';

/** The anchor of a round with one target, without what its kind adds. */
export interface RoundAnchor {
  readonly type: AnchorType;
  readonly target: string;
  /** CAIP-2. */
  readonly chain: string;
  readonly status: AnchorStatus;
  readonly block: { readonly number: number; readonly hash: string; readonly time: string } | null;
  /** The last problem found; null: none, or it is final. */
  readonly problem: string | null;
  readonly submittedAt: string | null;
  readonly finalizedAt: string | null;
  readonly updatedAt: string;
}

interface AnchorRow {
  round: number;
  target: string;
  kind: AnchorType;
  chain: string;
  status: AnchorStatus;
  block_number: number | null;
  block_hash: Uint8Array | null;
  block_time: number | null;
  problem: string | null;
  submitted_at: number | null;
  finalized_at: number | null;
  updated_at: number;
}

/** The anchors of a round by the targets' names. */
export async function roundAnchors(kinds: AnchorKinds, database: Queryable, round: number): Promise<RoundAnchor[]> {
  return (await roundsAnchors(kinds, database, [round])).get(round) ?? [];
}

/** The same for many rounds, with as many queries as for one. A round without anchors is left out. */
export async function roundsAnchors(
  kinds: AnchorKinds,
  database: Queryable,
  rounds: readonly number[],
): Promise<Map<number, RoundAnchor[]>> {
  const all = Object.values(kinds);
  const [{ rows }, ...details] = await Promise.all([
    database.query<AnchorRow>({
      name: 'round-anchors',
      text: `SELECT a.round, a.target, a.kind, t.chain, a.status, a.block_number, a.block_hash, a.block_time,
                    coalesce(t.stop_reason, a.problem) AS problem, a.submitted_at, a.finalized_at, a.updated_at
             FROM anchors a JOIN targets t ON t.name = a.target WHERE a.round = ANY ($1::bigint[])
             ORDER BY a.round, a.target`,
      values: [rounds],
    }),
    ...all.map((kind) => kind.details(database, rounds)),
  ]);
  const anchors = rows.map((row) => {
    const detail = details[all.findIndex(({ type }) => type === row.kind)]?.get(row.round)?.get(row.target);
    return { round: row.round, anchor: { ...anchorOf(row), ...detail } };
  });
  return new Map(
    [...Map.groupBy(anchors, ({ round }) => round)].map(([round, of]) => [round, of.map(({ anchor }) => anchor)]),
  );
}

function anchorOf(row: AnchorRow): RoundAnchor {
  const { target, chain, status } = row;
  return {
    type: row.kind,
    target,
    chain,
    status,
    block: blockOf(row),
    problem: status === 'finalized' ? null : row.problem,
    submittedAt: row.submitted_at === null ? null : formatTime(row.submitted_at),
    finalizedAt: row.finalized_at === null ? null : formatTime(row.finalized_at),
    updatedAt: formatTime(row.updated_at),
  };
}

/** The block of an anchor's row; null while it is in none. */
export function blockOf(row: {
  readonly chain: string;
  readonly block_number: number | null;
  readonly block_hash: Uint8Array | null;
  readonly block_time: number | null;
}): RoundAnchor['block'] {
  if (row.block_number === null || row.block_hash === null || row.block_time === null) return null;
  return {
    number: row.block_number,
    hash: formatBlockHash(row.chain, row.block_hash),
    time: formatTime(row.block_time),
  };
}

/** The anchors of a round as its receipts have them, kind by kind. */
export async function receiptAnchors(kinds: AnchorKinds, database: Queryable, round: number): Promise<Anchor[]> {
  const anchors = await Promise.all(Object.values(kinds).map((kind) => kind.receiptAnchors(database, round)));
  return anchors.flat();
}

/** How long what is known may be used when there is no news. */
const MOST_AGE_MS = 1_000;
const CACHED_BYTES = 16 << 20;
/** Of what is known of one round: what objects take beside their text. */
const BESIDE_BYTES = 1_000;

interface Known<V> {
  readonly value: Promise<V>;
  readonly until: number;
  readonly news: number;
}

/**
 * Remembers of rounds what changes rarely and every receipt has, such as their anchors. Concurrent callers share one read.
 */
export class RememberedByRound<V> {
  readonly #read: (round: number) => Promise<V>;
  readonly #now: () => number;
  readonly #rounds: LruCache<number, Known<V>>;
  #news = 0;

  /**
   * @param now milliseconds that never step back
   * @param bytes that may be remembered, alone or with others
   */
  constructor(read: (round: number) => Promise<V>, now: () => number, bytes: number | SharedLimit = CACHED_BYTES) {
    this.#read = read;
    this.#now = now;
    this.#rounds = new LruCache(bytes);
  }

  /** There is news: what was read before is not used again. */
  forget(): void {
    this.#news++;
  }

  get(round: number): Promise<V> {
    const known = this.#rounds.get(round);
    if (known !== undefined && known.news === this.#news && this.#now() < known.until) return known.value;
    const read = { value: this.#read(round), until: this.#now() + MOST_AGE_MS, news: this.#news };
    this.#rounds.set(round, read, BESIDE_BYTES);
    read.value.then(
      (value) => {
        if (this.#rounds.get(round) !== read) return;
        this.#rounds.set(round, read, (JSON.stringify(value) ?? '').length + BESIDE_BYTES);
      },
      () => this.#rounds.delete(round),
    );
    return read.value;
  }
}
