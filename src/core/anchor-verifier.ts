// What verifies one kind of anchor. Each kind has its own: `evm/verifier.ts`, `ots/verifier.ts`, `tsa/verifier.ts`.

import type { HeaderSource } from './bitcoin-source.ts';
import { messageOf } from './errors.ts';
import type { EvmSources } from './evm-source.ts';
import type { Moment } from './moment.ts';
import type { Claim } from './verdict.ts';

/** The work that is left for following timestamps. */
export interface WorkBudget {
  /** Operations and attestations. */
  operations: number;
  /** Of all intermediate messages. */
  bytes: number;
}

/** For all timestamps of one receipt, or for one timestamp file: some hundred times what real ones need. */
export const newWorkBudget = (): WorkBudget => ({ operations: 20_000, bytes: 4 * 1_048_576 });

/** The sources that the verifier trusts, as of one verdict. */
export interface TrustedSources {
  readonly evm: EvmSources;
  readonly bitcoin: readonly HeaderSource[];
  /** Sources known to serve the instance of the chain that the round was made on. */
  readonly sameInstance: ReadonlySet<object>;
  /** Shared by all anchors of the receipt. */
  readonly work: WorkBudget;
  /** Hashes of final blocks: of EVM chains 0x-hex, of Bitcoin hex in RPC order, or whole headers. */
  readonly blockHashes: readonly string[];
  /** Files with certificates of timestamp authorities and their CAs, PEM or DER (RFC 3161). */
  readonly authorities: readonly Uint8Array[];
}

/** One claim about an anchor. */
export interface AnchorFinding {
  readonly claim: Claim;
  /** The block that proves the anchor; null where nothing does. */
  readonly moment: Moment | null;
}

/** Verifies the anchors of one kind: pure code over the receipt's bytes and the answers of trusted sources. */
export interface AnchorVerifier<A> {
  /** Whether one anchor can lead to several claims, which then share the room that a verdict has for them. */
  readonly claims: 'one' | 'several';
  /**
   * Follows the anchor's own proof first: an anchor that contradicts itself is refuted without asking a source.
   * @param root 64 hex digits: the root that the receipt's own path leads to
   * @param most findings returned at most, from 1 on
   */
  check(anchor: A, root: string, trusted: TrustedSources, most: number): Promise<readonly AnchorFinding[]>;
}

/** A claim that no block proves. */
export const unproven = (claim: Claim): AnchorFinding => ({ claim, moment: null });

/** One sentence about a source that could not answer. */
export function sourceFailure(source: { describe(): string }, error: unknown): string {
  const why = messageOf(error);
  return `${source.describe()} could not be asked (${why.slice(0, 200)})`;
}

/** A block as verdicts name it. */
export function nameBlock(chain: string, { number }: { readonly number: number }): string {
  return `block ${number} of ${chain}`;
}
