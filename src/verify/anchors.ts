// One claim for each anchor of a receipt; for OpenTimestamps one for each attestation.

import type { HeaderSource } from '../core/bitcoin-source.ts';
import { fromHex } from '../core/bytes.ts';
import { checkEvmProof } from '../core/evm-proof.ts';
import type { EvmSource } from '../core/evm-source.ts';
import type { EvmAnchor, RoundReceipt } from '../core/receipt.ts';
import { type AnchorAnswer, unproven } from './anchor-answer.ts';
import { type Code, claimOf } from './codes.ts';
import { askSource } from './evm-anchor.ts';
import { checkByBlockHash } from './evm-block-hash.ts';
import type { EvmSources } from './evm-chains.ts';
import { checkOtsAnchor } from './ots-anchor.ts';
import type { Trust } from './trust.ts';

/** Claims that a verdict has room for beside those about anything but attestations, and one for each anchor. */
const MOST_ATTESTATIONS = 40;

/** What the anchors of a round are checked against. */
export interface AnchorContext {
  readonly sources: EvmSources;
  readonly bitcoin: readonly HeaderSource[];
  /** Sources that serve the very instance of the chain that the round was made on. */
  readonly sameInstance: ReadonlySet<EvmSource | HeaderSource>;
  readonly trust: Trust;
}

/** Answers in the receipt's order; a single unverified one where it has no anchor yet. */
export async function checkAnchors(receipt: RoundReceipt, context: AnchorContext): Promise<AnchorAnswer[]> {
  const { anchors, round } = receipt;
  if (anchors.length === 0) {
    const says = 'The receipt names no block of any chain yet that the round was anchored in.';
    return [unproven(claimOf('no-anchor', { claim: 'anchor', grounds: 'none', says }))];
  }
  const { bitcoin, sameInstance, trust } = context;
  const headers = { sources: bitcoin, sameInstance, blockHashes: trust.blockHashes ?? [] };
  const timestamps = anchors.filter(({ type }) => type === 'opentimestamps').length;
  const share = Math.floor(MOST_ATTESTATIONS / Math.max(1, timestamps));
  const answers = await Promise.all(
    anchors.map((anchor) =>
      anchor.type === 'evm'
        ? checkEvmAnchor(anchor, round.root, context)
        : checkOtsAnchor(anchor, fromHex(round.root), headers, share),
    ),
  );
  return answers.flat();
}

async function checkEvmAnchor(anchor: EvmAnchor, root: string, context: AnchorContext): Promise<AnchorAnswer> {
  const { byChain, failures } = context.sources;
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
  // A receipt that contradicts itself needs no source to be refuted.
  if (fault?.status === 'refuted') return unproven(fault);
  const proven = check?.holds ? check.proven : null;
  const answers = await Promise.all(
    (byChain.get(chain) ?? []).map((source) =>
      askSource({ anchor, root, proven, sameInstance: context.sameInstance.has(source) }, source),
    ),
  );
  const settled =
    answers.find(({ claim }) => claim.status === 'refuted') ?? answers.find(({ claim }) => claim.status === 'verified');
  if (settled !== undefined) return settled;
  const byHash = checkByBlockHash(anchor, proven, context.trust.blockHashes ?? []);
  if (byHash?.claim.status === 'verified') return byHash;
  if (answers[0] !== undefined) return answers[0];
  if (fault !== null) return unproven(fault);
  if (byHash !== null) return byHash;
  const say = (code: Code, says: string): AnchorAnswer =>
    unproven(claimOf(code, { claim: 'anchor', chain, grounds: 'none', says }));
  if (failures[0] !== undefined)
    return say('source-failed', `${failures[0]}, so nothing confirms the anchor on ${chain}.`);
  const unasked = `No trusted source for ${chain} was asked, so nothing confirms the anchor there`;
  return proven === null
    ? say('no-source', `${unasked}.`)
    : say(
        'no-source',
        `${unasked}; whoever knows that block ${proven.block.number} has the hash ${proven.block.hash} needs no other.`,
      );
}
