// From the hash of a block down to the root of a round, by bytes alone.

import { ANCHORING_SELECTORS, isAnchored } from './anchored-event.ts';
import { equalBytes, fromHex } from './bytes.ts';
import { FormatError } from './errors.ts';
import {
  type EvmCall,
  type EvmHeader,
  type EvmOutcome,
  readEvmReceipt,
  readHeader,
  readTransaction,
} from './evm-bytes.ts';
import { keccak256 } from './keccak.ts';
import type { IncludedEvmAnchor } from './receipt-schema.ts';
import { encodeRlp, type Rlp } from './rlp.ts';
import { formatTime } from './time.ts';
import { walkTrie } from './trie.ts';

/** What an anchor's proof shows if the block with that hash is on its chain. */
export interface ProvenAnchor {
  readonly block: { readonly number: number; readonly hash: string; readonly time: string };
  /** Whether the signature covers the chain id: it does from EIP-155 on. */
  readonly chainSigned: boolean;
}

/** Why an anchor's proof shows nothing: codes of verdicts. */
export type ProofFault =
  | 'proof-broken'
  | 'proof-not-read'
  | 'anchor-block-differs'
  | 'anchor-chain-differs'
  | 'anchor-call-differs'
  | 'anchor-event-missing'
  | 'anchor-transaction-failed';

export type ProofCheck =
  | { readonly holds: true; readonly proven: ProvenAnchor }
  | { readonly holds: false; readonly fault: ProofFault; readonly says: string };

/**
 * Follows the anchor's proof: the header hashes to the block's hash; transaction and receipt stand at one index of the
 * block; they are those of a call that anchored the root. Null where the anchor has no proof.
 * @param root 64 hex digits
 */
export function checkEvmProof(anchor: IncludedEvmAnchor, root: string): ProofCheck | null {
  const { block, chain, contract, proof } = anchor;
  if (proof === undefined) return null;
  const fail = (fault: ProofFault, says: string): ProofCheck => ({ holds: false, fault, says });
  const named = `block ${block.number} of ${chain}`;

  const headerBytes = unhex(proof.header);
  if (!equalBytes(keccak256(headerBytes), unhex(block.hash))) {
    return fail('proof-broken', `The header in the receipt is not that of ${named}: it has another hash.`);
  }
  let header: EvmHeader;
  try {
    header = readHeader(headerBytes);
  } catch (error) {
    return fail('proof-not-read', `The header of ${named} has a form that this version does not read${why(error)}.`);
  }
  const time = formatTime(header.time);
  if (header.number !== block.number || time !== block.time) {
    return fail('anchor-block-differs', `By its header ${named} is block ${header.number} of ${time}.`);
  }

  let transactionBytes: Uint8Array;
  let outcome: EvmOutcome;
  const key = indexKey(proof.index);
  try {
    transactionBytes = walkTrie(header.transactionsRoot, key, proof.transaction.map(unhex));
    outcome = readEvmReceipt(walkTrie(header.receiptsRoot, key, proof.receipt.map(unhex)));
  } catch (error) {
    return fail('proof-broken', `The proof in the receipt does not lead from ${named} to a transaction${why(error)}.`);
  }
  let call: EvmCall;
  try {
    call = readTransaction(transactionBytes);
  } catch (error) {
    return fail('proof-not-read', `This version cannot read the transaction in ${named}${why(error)}.`);
  }
  if (call.hash !== anchor.transaction || call.type !== outcome.type) {
    return fail('proof-broken', `The proof in the receipt leads to another transaction of ${named} than it names.`);
  }
  if (call.chain !== null && call.chain !== chain) {
    return fail('anchor-chain-differs', `The transaction was signed for ${call.chain}, not for ${chain}.`);
  }
  if (!outcome.succeeded) {
    return fail('anchor-transaction-failed', `The transaction failed in ${named}, so it anchored nothing.`);
  }
  if (call.to !== contract || !ANCHORING_SELECTORS.some((selector) => call.data === `${selector}${root}`)) {
    return fail('anchor-call-differs', `The transaction does not give the round's root to the contract ${contract}.`);
  }
  const log = outcome.logs[proof.logIndex];
  if (log === undefined || !isAnchored(log, contract, root)) {
    const says = `Log ${proof.logIndex} of the transaction does not say that ${contract} anchored the round's root.`;
    return fail('anchor-event-missing', says);
  }
  return {
    holds: true,
    proven: { block: { number: header.number, hash: block.hash, time }, chainSigned: call.chain !== null },
  };
}

/** The key of a block's transaction in the tries: its index in RLP. */
export function indexKey(index: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = index; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  const item: Rlp = Uint8Array.from(bytes);
  return encodeRlp(item);
}

const unhex = (text: string): Uint8Array => fromHex(text.slice(2));

function why(error: unknown): string {
  if (!(error instanceof FormatError)) throw error;
  return ` (${error.message})`;
}
