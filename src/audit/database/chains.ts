// Which chains can be asked, and what they answer.

import { sourceFailure } from '../../core/anchor-verifier.ts';
import { type EvmSource, isDevelopmentChain } from '../../core/evm-source.ts';
import type { Claim } from '../../core/verdict.ts';
import type { AnchorEvents } from '../../evm/anchor-events.ts';
import type { Queryable } from '../../store/database.ts';
import type { Findings } from '../checks/findings.ts';
import { type ChainAnswer, type ChainView, checkAnchors } from './anchors.ts';
import type { SystemActs } from './system-acts.ts';

/** A node that whoever audits trusts. */
export interface TrustedNode {
  readonly source: EvmSource;
  readonly events: AnchorEvents;
}

/** What became of asking a chain, or of having nobody to ask. */
export type ChainOutcome =
  | {
      readonly kind: 'asked';
      readonly chain: string;
      readonly node: string;
      /** Default: a node's word. */
      readonly grounds?: Claim['grounds'];
      readonly answer: Pick<ChainAnswer, 'count' | 'newest' | 'lost'>;
    }
  | { readonly kind: 'failed'; readonly chain: string | null; readonly says: string }
  | { readonly kind: 'other-instance'; readonly chain: string; readonly node: string }
  | { readonly kind: 'no-source'; readonly chain: string; readonly rounds: number };

/**
 * Asks every node for its chain and its newest final block: before the database is looked at, so that what it anchors
 * meanwhile is beyond what is asked for.
 */
export async function viewChains(
  nodes: readonly TrustedNode[],
): Promise<{ readonly views: readonly ChainView[]; readonly failures: readonly ChainOutcome[] }> {
  const views: ChainView[] = [];
  const failures: ChainOutcome[] = [];
  for (const { source, events } of nodes) {
    let chain: string | null = null;
    try {
      chain = await source.chainId();
      views.push({ source, events, chain, until: await source.finalized() });
    } catch (error) {
      failures.push({ kind: 'failed', chain, says: sourceFailure(source, error) });
    }
  }
  return { views, failures };
}

export interface ChainsOptions {
  readonly db: Queryable;
  readonly views: readonly ChainView[];
  readonly findings: Findings;
  readonly acts: SystemActs;
  /** Accounts known to be the service's beside those that `_system` declares. */
  readonly senders: readonly string[];
  readonly fromBlock: number;
  readonly onBlock: (chain: string, block: number, until: number) => void;
}

/** Holds the rounds against every chain there is a view of, and names those there is none of. */
export async function askChains(options: ChainsOptions): Promise<ChainOutcome[]> {
  const { db, views } = options;
  const { rows } = await db.query<{ chain: string; genesis: Uint8Array | null; anchored: number }>(
    `SELECT t.chain, (array_agg(t.genesis))[1] AS genesis,
            sum((SELECT count(*) FROM anchors a WHERE a.target = t.name AND a.status = 'finalized'))::bigint AS anchored
     FROM targets t WHERE t.kind = 'evm' GROUP BY t.chain ORDER BY t.chain`,
  );
  const outcomes: ChainOutcome[] = [];
  for (const view of views) {
    const genesis = rows.find(({ chain }) => chain === view.chain)?.genesis ?? null;
    outcomes.push(await askChain(options, view, genesis));
  }
  const asked = new Set(views.map(({ chain }) => chain));
  for (const { chain, anchored } of rows) {
    if (!asked.has(chain)) outcomes.push({ kind: 'no-source', chain, rounds: anchored });
  }
  return outcomes;
}

async function askChain(options: ChainsOptions, view: ChainView, genesis: Uint8Array | null): Promise<ChainOutcome> {
  const { db, findings, acts, fromBlock, onBlock } = options;
  const { chain, source } = view;
  const node = source.describe();
  try {
    // Of a chain that anyone starts anew, another one says nothing about our anchors.
    if (isDevelopmentChain(chain) && genesis !== null) {
      const first = await source.block(0);
      if (first !== null && first.hash !== `0x${Buffer.from(genesis).toString('hex')}`) {
        return { kind: 'other-instance', chain, node };
      }
    }
    const senders = [...new Set([...acts.accounts.on(chain), ...options.senders.map((each) => each.toLowerCase())])];
    const answer = await checkAnchors({
      db,
      view,
      findings,
      senders,
      fromBlock,
      recoveredAt: acts.recoveries.at(-1) ?? null,
      onBlock: (block) => onBlock(chain, block, view.until),
    });
    return { kind: 'asked', chain, node, answer };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'rpc-failed') {
      return { kind: 'failed', chain, says: sourceFailure(source, error) };
    }
    throw error;
  }
}
