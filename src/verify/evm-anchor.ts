// The claim `anchor` for EVM chains, by the word of a trusted node.

import { isAnchored } from '../core/anchored-event.ts';
import type { ProvenAnchor } from '../core/evm-proof.ts';
import type { EvmBlock, EvmSource, EvmTransaction } from '../core/evm-source.ts';
import type { EvmAnchor } from '../core/receipt.ts';
import { formatTime } from '../core/time.ts';
import { type AnchorAnswer, momentOf } from './anchor-answer.ts';
import { type Code, claimOf } from './codes.ts';
import { failure, isDevelopmentChain, nameBlock } from './evm-chains.ts';

/** What a source is asked: is this root, by this anchor, in a final block? */
export interface AnchorQuestion {
  readonly anchor: EvmAnchor;
  /** 64 hex digits: the root that the receipt's own path leads to. */
  readonly root: string;
  /** What the anchor's proof shows; null where it has none that holds. */
  readonly proven: ProvenAnchor | null;
  /** Whether the source is known to serve the instance of the chain that the receipt was made on. */
  readonly sameInstance: boolean;
}

/** Derives the claim from what the source tells; the anchor's own status is a hint and is not looked at. */
export async function askSource(question: AnchorQuestion, source: EvmSource): Promise<AnchorAnswer> {
  const { chain } = question.anchor;
  const say: Say = (code, says, time) => ({
    claim: claimOf(code, {
      claim: 'anchor',
      chain,
      ...(time === undefined ? {} : { time }),
      grounds: code === 'source-failed' ? 'none' : 'rpc',
      says,
    }),
    moment: null,
  });
  try {
    const byHash = await canonicalBlock(question, source, say);
    if (byHash !== null) return byHash;
    const transaction = await source.transaction(question.anchor.transaction);
    return transaction === null
      ? await unknownTransaction(question, source, say)
      : await knownTransaction(question, transaction, source, say);
  } catch (error) {
    return say('source-failed', `${failure(source, error)}, so nothing confirms the anchor on ${chain}.`);
  }
}

type Say = (code: Code, says: string, time?: string) => AnchorAnswer;

/**
 * With a proof the source has to say one thing alone: that the block of that hash is on its chain, and final. So a node
 * will do that has forgotten transactions and receipts. Null where there is no proof, or the source has another block.
 */
async function canonicalBlock(
  { anchor, proven }: AnchorQuestion,
  source: EvmSource,
  say: Say,
): Promise<AnchorAnswer | null> {
  if (proven === null || (await source.block(proven.block.number))?.hash !== proven.block.hash) return null;
  const node = source.describe();
  const named = nameBlock(anchor.chain, proven.block);
  if ((await source.finalized()) < proven.block.number) {
    return say('anchor-not-final', `The round's root is in ${named}, which ${node} does not hold for final yet.`);
  }
  const { time } = proven.block;
  const { claim } = say(
    'anchor-proven',
    `By ${node} ${named} has the hash the receipt names and is final, and by the receipt's proof it holds the round's ` +
      `root: the digest was known before its time, ${time}.`,
    time,
  );
  return { claim, moment: momentOf(anchor.chain, proven) };
}

/** The block that the receipt claims, null while it claims none. */
function claimedBlock(anchor: EvmAnchor): { number: number; hash: string; time: string } | null {
  return anchor.status === 'submitted' ? null : anchor.block;
}

async function unknownTransaction(question: AnchorQuestion, source: EvmSource, say: Say): Promise<AnchorAnswer> {
  const { anchor, sameInstance } = question;
  const { chain } = anchor;
  const node = source.describe();
  const claimed = claimedBlock(anchor);
  if (claimed === null) {
    return say('anchor-not-included', `${node} knows no block of ${chain} with the transaction that was sent.`);
  }
  const named = nameBlock(chain, claimed);
  const block = await source.block(claimed.number);
  if (block?.hash === claimed.hash) {
    if (block.transactions?.includes(anchor.transaction)) {
      return say('source-without-index', `${node} has ${named} with the transaction, but not what it did any more.`);
    }
    return say('anchor-transaction-missing', `By ${node} the transaction is not in ${named}.`);
  }
  if (isDevelopmentChain(chain) && !sameInstance) {
    return say('other-chain-instance', `${node} has another ${named}, or none: it may be a chain started anew.`);
  }
  if (block === null) return say('source-behind', `${node} has not come to ${named} yet.`);
  return say('anchor-reorganised', `By ${node} ${named} is another than the receipt names: that one is gone.`);
}

async function knownTransaction(
  { anchor, root }: AnchorQuestion,
  transaction: EvmTransaction,
  source: EvmSource,
  say: Say,
): Promise<AnchorAnswer> {
  const { chain } = anchor;
  const node = source.describe();
  const block = await source.block(transaction.blockNumber);
  if (block?.hash !== transaction.blockHash) {
    return say(
      'source-failed',
      `${node} contradicts itself about ${nameBlock(chain, { number: transaction.blockNumber })}.`,
    );
  }
  const time = formatTime(block.time);
  const named = nameBlock(chain, block);
  const claimed = claimedBlock(anchor);
  if (claimed !== null && !sameBlock(claimed, block, time)) {
    return say(
      'anchor-block-differs',
      `By ${node} the transaction is in ${named} of ${time}, not where the receipt says.`,
    );
  }
  if (transaction.status !== 1) {
    return say('anchor-transaction-failed', `By ${node} the transaction failed in ${named}, so it anchored nothing.`);
  }
  if (!transaction.logs.some((log) => isAnchored(log, anchor.contract, root))) {
    return say(
      'anchor-event-missing',
      `By ${node} the contract ${anchor.contract} did not anchor the round's root in that transaction of ${named}.`,
    );
  }
  if ((await source.finalized()) < block.number) {
    return say('anchor-not-final', `The round's root is in ${named}, which ${node} does not hold for final yet.`);
  }
  const { claim } = say(
    'anchor-final',
    `By ${node} the round's root is in ${named}, which is final: the digest was known before its time, ${time}.`,
    time,
  );
  return { claim, moment: { time, chain, block: { number: block.number, hash: block.hash } } };
}

function sameBlock(claimed: { number: number; hash: string; time: string }, block: EvmBlock, time: string): boolean {
  return claimed.number === block.number && claimed.hash === block.hash && claimed.time === time;
}
