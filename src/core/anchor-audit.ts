// What audits ask of a kind of anchor: the audit of a database, and the audit of what a service shows.

import type { HeaderSource } from './bitcoin-source.ts';
import type { EvmSource } from './evm-source.ts';
import type { AuthorityMoment, BlockMoment } from './moment.ts';
import type { Claim } from './verdict.ts';

/** What the auditor trusts and knows from elsewhere. */
export interface AuditTrust {
  readonly nodes: readonly TrustedNode[];
  /** Sources of Bitcoin headers, one for a chain. */
  readonly headers: readonly HeaderSource[];
  /** Files with certificates of timestamp authorities and their CAs, PEM or DER. */
  readonly authorities?: readonly Uint8Array[];
  /** Further accounts that anchor for the service, beside those that `_system` declares, 0x-hex. */
  readonly senders: readonly string[];
  /** The block from which on chains are searched. */
  readonly fromBlock: number;
}

export interface TrustedNode {
  readonly source: EvmSource;
  readonly events: AnchorEvents;
}

/** A root in a block of an EVM chain. Hex is lower case with 0x. */
export interface AnchorEvent {
  /** 32 bytes. */
  readonly root: Uint8Array;
  readonly contract: string;
  readonly transaction: string;
  readonly block: { readonly number: number; readonly hash: string };
  /** Milliseconds since the Unix epoch, if the node tells it with the event. */
  readonly time: number | null;
}

export interface AnchorEventQuery {
  /** 0x-hex addresses. */
  readonly contracts: readonly string[];
  readonly senders: readonly string[];
  /** Blocks, both included. */
  readonly from: number;
  readonly to: number;
}

/** Events in the order of the chain, in batches of blocks; each batch tells its last block. */
export type AnchorEvents = (
  query: AnchorEventQuery,
) => AsyncGenerator<{ readonly events: readonly AnchorEvent[]; readonly to: number }>;

/** What `_system` tells about anchoring. */
export interface Declared {
  readonly senders: readonly { readonly chain: string; readonly address: string }[];
  /** When the operator last declared that rounds were lost, milliseconds. */
  readonly recoveredAt: number | null;
  /** Of a copy: what was declared after this time, in milliseconds, may be missing. Default: nothing is missing. */
  readonly until?: number | undefined;
}

/** A chain of the service's targets, as it tells third parties. */
export interface AuditedChain {
  /** CAIP-2. */
  readonly chain: string;
  readonly contract?: string | undefined;
  /** Hash of block 0, hex. */
  readonly genesis?: string | undefined;
}

/** What an anchor can show to be wrong; audit/checks/codes.ts explains each. */
export type AnchorFault =
  | 'anchor-before-close'
  | 'anchor-differs'
  | 'anchor-missing'
  | 'root-unknown'
  | 'sender-differs'
  | 'timestamp-broken';

/** Where something is wrong: a round, and the first entry that only it vouches for. */
export interface FaultPlace {
  readonly round?: number;
  readonly log?: string | null;
  readonly index?: number | null;
}

export interface AnchorFaults {
  /** @param says one sentence without its period */
  add(code: AnchorFault, place: FaultPlace, says: string): void;
}

/** The result for one chain, or for one timestamp authority. */
export type ChainOutcome =
  | { readonly kind: 'stamped'; readonly authority: string; readonly answer: StampedAnswer }
  /** Rounds that it stamped whose tokens no trusted CA vouches for, and why. */
  | { readonly kind: 'not-trusted'; readonly authority: string; readonly rounds: number; readonly says: string }
  | {
      readonly kind: 'asked';
      readonly chain: string;
      readonly node: string;
      /** Default: a node's word. */
      readonly grounds?: Claim['grounds'];
      readonly answer: ChainAnswer;
    }
  | { readonly kind: 'failed'; readonly chain: string | null; readonly says: string }
  | { readonly kind: 'other-instance'; readonly chain: string; readonly node: string }
  | { readonly kind: 'no-source'; readonly chain: string; readonly rounds: number };

export interface StampedAnswer {
  /** Rounds with a token. */
  readonly count: number;
  /** The newest of them. */
  readonly newest: { readonly round: number; readonly moment: AuthorityMoment };
}

export interface ChainAnswer {
  /** Rounds that are in final blocks. */
  readonly count: number;
  /** The newest of them and its block. */
  readonly newest: { readonly round: number; readonly moment: BlockMoment } | null;
  /** Roots of ours on the chain without a round, from before the operator declared that rounds were lost. */
  readonly lost: number;
  /** Roots of ours on the chain after the newest round of a copy: the copy is older than they are, or was cut off. Default: 0. */
  readonly newer?: number;
}

/** Prepares an audit of what a service shows, before anything is read: what is anchored later does not count. */
export type OpenShownAudit<A> = (trust: AuditTrust) => Promise<ShownAuditor<A>>;

export interface ShownAuditor<A> {
  /** Chains that can be asked. */
  readonly chains: readonly string[];
  begin(options: ShownAuditOptions): ShownAudit<A>;
}

export interface ShownAuditOptions {
  readonly faults: AnchorFaults;
  /** Rounds that were read, by their place in the order of reading. */
  readonly rounds: {
    find(root: Uint8Array): number | null;
    at(place: number): AnchoredRound;
    /** The first entry that this round vouches for and no round before; null: not known. */
    firstEntry(round: number): FirstEntry | null;
  };
  /** The chains as the service tells them. */
  readonly told: readonly AuditedChain[];
  /** What an earlier audit remembered, by chain; null: all rounds are read. */
  readonly memory: ReadonlyMap<string, ChainMemory> | null;
  /** Whether an earlier audit found the round at this place on the chain. */
  readonly counted: (place: number, chain: string) => boolean;
  /** Whether what is read is a copy of some moment, after which the service may have gone on. */
  readonly copy: boolean;
  readonly onBlock: (chain: string, block: number, until: number) => void;
}

/** Of the first log in a round, in the order of names, those of the service last. */
export interface FirstEntry {
  readonly log: string;
  readonly index: number;
}

export interface AnchoredRound {
  readonly number: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
  /** Milliseconds. */
  readonly closedAt: number;
}

export interface ChainMemory {
  /** Searched up to this block. */
  readonly block: number;
  /** For these accounts and contracts, as one text. */
  readonly search: string;
  /** Rounds that it has. */
  readonly anchored: number;
  readonly newest: ChainAnswer['newest'];
}

/** The audit of the anchors of one kind that a service shows. */
export interface ShownAudit<A> {
  /** Takes an anchor of the round at this place; rounds in their order. @returns whether it says that it is final */
  take(anchor: A, place: number): Promise<boolean>;
  /** Asks the chains. @throws AllRoundsNeeded */
  finish(declared: Declared): Promise<ShownResult>;
}

export interface ShownResult {
  readonly outcomes: readonly ChainOutcome[];
  /** The chains that were asked. */
  readonly checked: readonly CheckedChain[];
}

export interface CheckedChain {
  readonly chain: string;
  readonly memory: ChainMemory;
  /** Whether it has the round at this place; rounds of an earlier audit do not count. */
  has(place: number): boolean;
  /** Whether to look for the round again even if the service calls all its anchors final. */
  awaits(number: number): boolean;
}

/** The memory of an earlier audit is not enough: all rounds must be read. */
export class AllRoundsNeeded extends Error {}
