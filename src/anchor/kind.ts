// What a kind of anchor is. Each kind has a folder of its own (evm, ots, tsa), which alone reads and writes its tables; the rest
// of the service asks it by this interface. kinds.ts lists the kinds. How anchors of a kind are verified stands apart
// (core/anchor-verifier.ts), because verifying needs no service.

import type { AnchorFaults, AuditedChain, AuditTrust, ChainOutcome, Declared } from '../core/anchor-audit.ts';
import type { Anchor, AnchorOf } from '../core/receipt-schema.ts';
import type { Queryable, Transaction } from '../store/database.ts';

export type AnchorType = Anchor['type'];

/**
 * How far an anchor is, the same for every kind. `pending`: to be sent. `submitted`: sent, in no block yet. `included`: in
 * a block that may still be replaced. `finalized`: in a block that stays.
 */
export const ANCHOR_STATUSES = ['pending', 'submitted', 'included', 'finalized'] as const;
export type AnchorStatus = (typeof ANCHOR_STATUSES)[number];

export interface AnchorKind<A extends Anchor> {
  readonly type: A['type'];

  /** What the API shows of these rounds' anchors beside their status: members of a JSON object, by round and target. */
  details(database: Queryable, rounds: readonly number[]): Promise<ByRound<object>>;
  /** The anchors of a round as receipts have them; those that prove nothing yet are left out. */
  receiptAnchors(database: Queryable, round: number): Promise<A[]>;

  /** What the operator is shown of each target, by its name. @param now milliseconds since the Unix epoch */
  report(database: Queryable, now: number): Promise<ReadonlyMap<string, KindReport>>;
  /** The metrics that only this kind has, and what the operator should know of them. */
  measure(database: Queryable, now: number): Promise<KindMeasures>;
  /** Accepts, in the tables of this kind, what stopped a target: the operator has looked at it and lets the target continue. */
  accept(tx: Transaction, target: string, now: number): Promise<void>;

  /** The chains of its targets, as third parties that audit the service are told (audit/remote/kinds.ts). */
  auditedChains(database: Queryable): Promise<readonly AuditedChain[]>;
  /** Prepares an audit of the database, before its snapshot is taken: what is anchored meanwhile does not count. */
  openAudit(trust: AuditTrust): Promise<DatabaseAudit>;
}

/** All kinds: the compiler names what a new one lacks. */
export type AnchorKinds = { readonly [T in AnchorType]: AnchorKind<AnchorOf[T]> };

export type ByRound<T> = ReadonlyMap<number, ReadonlyMap<string, T>>;

export interface KindReport {
  /** Where the target anchors to, beside its chain, such as `anchor at 0x…`. */
  readonly where: string;
  readonly lines: readonly ReportLine[];
  /** The same as members of a JSON object. */
  readonly facts: object;
}

export interface ReportLine {
  /** One word. */
  readonly label: string;
  readonly says: string;
  /** What the operator must do about it; null: nothing. */
  readonly alarm: string | null;
}

export interface KindMeasures {
  readonly gauges: readonly Measure[];
  readonly notices: readonly string[];
}

export interface Measure {
  readonly name: string;
  readonly help: string;
  readonly labels: Readonly<Record<string, string>>;
  /** A number, or the age in seconds of what began at a time (milliseconds; null: nothing did). */
  readonly value: number | { readonly since: number | null };
}

/** The audit of the anchors of one kind in a database. */
export interface DatabaseAudit {
  check(snapshot: AuditedSnapshot): Promise<readonly ChainOutcome[]>;
}

export interface AuditedSnapshot {
  readonly db: Queryable;
  readonly declared: Declared;
  readonly faults: AnchorFaults;
  readonly onProgress: (at: string) => void;
}
