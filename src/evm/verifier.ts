// Verifies EVM anchors: by the receipt's own proof with the hash of a block, or by the answers of a trusted node.

import {
  type AnchorFinding,
  type AnchorVerifier,
  nameBlock,
  sourceFailure,
  unproven,
} from '../core/anchor-verifier.ts';
import { isAnchored } from '../core/anchored-event.ts';
import { checkEvmProof, type ProvenAnchor } from '../core/evm-proof.ts';
import { type EvmSource, type EvmSources, type EvmTransaction, isDevelopmentChain } from '../core/evm-source.ts';
import { type BlockMoment, blockMoment } from '../core/moment.ts';
import type { EvmAnchor } from '../core/receipt-schema.ts';
import { formatTime } from '../core/time.ts';
import { claimOf, isObjection, type VerdictCode, weightiest } from '../core/verdict.ts';

/** One finding for each anchor. */
export const evmVerifier: AnchorVerifier<EvmAnchor> = {
  claims: 'one',
  async check(anchor, root, { evm, sameInstance, blockHashes }) {
    const { chain } = anchor;
    const check = anchor.status === 'submitted' ? null : checkEvmProof(anchor, root);
    const fault =
      check === null || check.holds
        ? null
        : claimOf(check.fault, {
            claim: 'anchor',
            chain,
            grounds: check.fault === 'proof-not-read' ? 'none' : 'bytes',
            says: check.says,
          });
    if (fault?.status === 'refuted') return [unproven(fault)];
    const proven = check?.holds ? check.proven : null;
    const answers = await Promise.all(
      (evm.byChain.get(chain) ?? []).map((source) =>
        askSource({ anchor, root, proven, sameInstance: sameInstance.has(source) }, source),
      ),
    );
    const answer = weightiest(answers);
    if (answer !== null && (isObjection(answer.claim) || answer.claim.status === 'verified')) return [answer];
    const byHash = checkByBlockHash(anchor, proven, blockHashes);
    if (byHash?.claim.status === 'verified') return [byHash];
    if (answer !== null) return [answer];
    return [fault === null ? (byHash ?? unasked(chain, proven, evm)) : unproven(fault)];
  },
};

/** What helps where a chain has changed since the receipt was made. */
const RENEW = 'Get the receipt anew (antequem upgrade)';

/** Asks every source for its chain. */
export async function sortSources(sources: readonly EvmSource[]): Promise<EvmSources> {
  const byChain = new Map<string, EvmSource[]>();
  const failures: string[] = [];
  await Promise.all(
    sources.map(async (source) => {
      try {
        const chain = await source.chainId();
        byChain.set(chain, [...(byChain.get(chain) ?? []), source]);
      } catch (error) {
        failures.push(sourceFailure(source, error));
      }
    }),
  );
  return { byChain, failures };
}

function unasked(chain: string, proven: ProvenAnchor | null, { failures }: EvmSources): AnchorFinding {
  const say = (code: VerdictCode, says: string): AnchorFinding =>
    unproven(claimOf(code, { claim: 'anchor', chain, grounds: 'none', says }));
  const [failure] = failures;
  if (failure !== undefined) return say('source-failed', `${failure}, so the anchor on ${chain} is not confirmed.`);
  const missing = `No source for ${chain} was given, so the anchor there is not confirmed`;
  if (proven === null) return say('no-source', `${missing}.`);
  const { number, hash } = proven.block;
  return say('no-source', `${missing}; if you know that block ${number} has the hash ${hash}, that hash is enough.`);
}

/**
 * By the hash of a block that the verifier knows: the receipt's proof leads from there to the root. Null where none of
 * the hashes is that of the anchor's block.
 */
function checkByBlockHash(
  anchor: EvmAnchor,
  proven: ProvenAnchor | null,
  blockHashes: readonly string[],
): AnchorFinding | null {
  if (anchor.status === 'submitted') return null;
  const { block, chain } = anchor;
  if (!blockHashes.some((hash) => hash.toLowerCase() === block.hash)) return null;
  const named = nameBlock(chain, block);
  if (proven === null) {
    const says = `The receipt has no proof that leads from the hash of ${named} to the round's root.`;
    return unproven(claimOf('proof-missing', { claim: 'anchor', chain, grounds: 'none', says }));
  }
  const { time } = proven.block;
  const open = proven.chainSigned ? '' : `; the transaction does not say that it is one of ${chain}`;
  const says =
    `The block with the given hash, ${named}, contains the transaction that anchored the round's root: ` +
    `the digest was known before its time, ${time}${open}.`;
  const claim = claimOf('anchor-proven', { claim: 'anchor', chain, time, grounds: 'block-hash', says });
  return { claim, moment: momentOf(chain, proven) };
}

/** The block of a proof, every value from under its hash. */
function momentOf(chain: string, { block }: ProvenAnchor): BlockMoment {
  return blockMoment(chain, block.time, { number: block.number, hash: block.hash });
}

/** The question to a source: is this root, by this anchor, in a final block? */
interface AnchorQuestion {
  readonly anchor: EvmAnchor;
  readonly root: string;
  /** What the anchor's proof shows; null where it has none that holds. */
  readonly proven: ProvenAnchor | null;
  /** Whether the source is known to serve the instance of the chain that the receipt was made on. */
  readonly sameInstance: boolean;
}

type Say = (code: VerdictCode, says: string, time?: string) => AnchorFinding;

/** Derives the claim from the source's answers; the anchor's own status is a hint and does not count. */
async function askSource(question: AnchorQuestion, source: EvmSource): Promise<AnchorFinding> {
  const { chain } = question.anchor;
  const say: Say = (code, says, time) =>
    unproven(
      claimOf(code, {
        claim: 'anchor',
        chain,
        ...(time === undefined ? {} : { time }),
        grounds: code === 'source-failed' ? 'none' : 'rpc',
        says,
      }),
    );
  try {
    const byHash = await canonicalBlock(question, source, say);
    if (byHash !== null) return byHash;
    const transaction = await source.transaction(question.anchor.transaction);
    return transaction === null
      ? await unknownTransaction(question, source, say)
      : await knownTransaction(question, transaction, source, say);
  } catch (error) {
    return say('source-failed', `${sourceFailure(source, error)}, so the anchor on ${chain} is not confirmed.`);
  }
}

/**
 * With a proof the source has to say one thing only: that the block with that hash is on its chain, and final. A node that
 * no longer has old transactions and receipts can say that. Null where there is no proof, or the source has another block.
 */
async function canonicalBlock(
  { anchor, proven }: AnchorQuestion,
  source: EvmSource,
  say: Say,
): Promise<AnchorFinding | null> {
  if (proven === null || (await source.block(proven.block.number))?.hash !== proven.block.hash) return null;
  const node = source.describe();
  const named = nameBlock(anchor.chain, proven.block);
  if ((await source.finalized()) < proven.block.number) {
    return say(
      'anchor-not-final',
      `The round's root is in ${named}, which is not final yet by ${node}: verify again later.`,
    );
  }
  const { time } = proven.block;
  const says =
    `By ${node} ${named} has the hash in the receipt and is final, and by the receipt's proof it contains the round's ` +
    `root: the digest was known before its time, ${time}.`;
  return { claim: say('anchor-proven', says, time).claim, moment: momentOf(anchor.chain, proven) };
}

/** The block that the receipt claims, null while it claims none. */
function claimedBlock(anchor: EvmAnchor): { number: number; hash: string; time: string } | null {
  return anchor.status === 'submitted' ? null : anchor.block;
}

async function unknownTransaction(question: AnchorQuestion, source: EvmSource, say: Say): Promise<AnchorFinding> {
  const { anchor, sameInstance } = question;
  const { chain } = anchor;
  const node = source.describe();
  const claimed = claimedBlock(anchor);
  if (claimed === null) {
    return say(
      'anchor-not-included',
      `${node} knows no block of ${chain} with the transaction that was sent: get a newer receipt later.`,
    );
  }
  const named = nameBlock(chain, claimed);
  const block = await source.block(claimed.number);
  if (block?.hash === claimed.hash) {
    if (block.transactions?.includes(anchor.transaction) !== false) {
      const says = `${node} has ${named}, but no longer what the transaction in it did: ask a node that keeps old receipts.`;
      return say('source-without-index', says);
    }
    return say('anchor-transaction-missing', `By ${node} the transaction is not in ${named}.`);
  }
  if (isDevelopmentChain(chain) && !sameInstance) {
    return say(
      'other-chain-instance',
      `${node} has a different ${named}, or none: the chain may have been started again. ${RENEW}, or name a node of the chain that it was anchored on.`,
    );
  }
  if (block === null)
    return say('source-behind', `${node} has not reached ${named} yet: ask again later, or another node.`);
  return say(
    'anchor-moved',
    `By ${node} ${named} is not the one in the receipt: the chain was reorganized, or the node follows another chain. ${RENEW}.`,
  );
}

async function knownTransaction(
  { anchor, root }: AnchorQuestion,
  transaction: EvmTransaction,
  source: EvmSource,
  say: Say,
): Promise<AnchorFinding> {
  const { chain } = anchor;
  const node = source.describe();
  const block = await source.block(transaction.blockNumber);
  if (block?.hash !== transaction.blockHash) {
    const contradicted = nameBlock(chain, { number: transaction.blockNumber });
    return say('source-failed', `${node} contradicts itself about ${contradicted}.`);
  }
  const time = formatTime(block.time);
  const named = nameBlock(chain, block);
  const claimed = claimedBlock(anchor);
  if (claimed !== null && claimed.hash !== block.hash) {
    const says = `By ${node} the transaction is in ${named} of ${time}, not in the block that the receipt names: the chain was reorganized since, or a local one was started anew. ${RENEW}.`;
    return say('anchor-moved', says);
  }
  if (claimed !== null && (claimed.number !== block.number || claimed.time !== time)) {
    const says = `By ${node} the block that the receipt names is ${named} of ${time}: the receipt gives it another number or time.`;
    return say('anchor-block-differs', says);
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
    return say(
      'anchor-not-final',
      `The round's root is in ${named}, which is not final yet by ${node}: verify again later.`,
    );
  }
  const says = `By ${node} the round's root is in ${named}, which is final: the digest was known before its time, ${time}.`;
  return {
    claim: say('anchor-final', says, time).claim,
    moment: blockMoment(chain, time, { number: block.number, hash: block.hash }),
  };
}
