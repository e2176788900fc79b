// The blocks that a proof names: with one of them that the user knows to be on its chain, the date is proven.

import { BITCOIN, parseHeader, rpcOrder } from '../../core/bitcoin-header.ts';
import { equalBytes, fromHex } from '../../core/bytes.ts';
import { knownAnchors, type Receipt } from '../../core/receipt.ts';
import type { OtsFile } from '../../ots/file.ts';
import { timestampLines } from '../../ots/line.ts';
import type { DroppedProof } from './proof-file.ts';

/** A block, and what of it the user can compare. */
export interface OfferedBlock {
  /** Tells it from the other blocks of the proof. */
  readonly id: string;
  /** CAIP-2. */
  readonly chain: string;
  readonly height: number;
  /** As stamped, by the proof; null where the proof has no time. */
  readonly time: string | null;
  /** What proves it: its hash, its header, or nothing but a source (the proof then has no way from the hash to the root). */
  readonly proof:
    | { readonly kind: 'hash'; readonly hash: string }
    /** In the order that explorers show. */
    | { readonly kind: 'header'; readonly merkleRoot: string }
    | { readonly kind: 'source' };
}

/** More of them are not shown. */
const MOST = 8;

export function offeredBlocks(proof: DroppedProof | null): OfferedBlock[] {
  if (proof === null || proof.read === null) return [];
  switch (proof.kind) {
    case 'receipt':
      return blocksOfReceipt(proof.read).slice(0, MOST);
    case 'ots':
      return blocksOfTimestamp(proof.read).slice(0, MOST);
    case 'tlog-proof':
    case 'cose':
      return [];
  }
}

function blocksOfReceipt(receipt: Receipt): OfferedBlock[] {
  return knownAnchors(receipt).flatMap((anchor): OfferedBlock[] => {
    if (anchor.type === 'opentimestamps') {
      return (anchor.blocks ?? []).map(({ chain, height, header, time }) => {
        const { hash } = parseHeader(fromHex(header));
        return { id: `${chain} ${height}`, chain, height, time, proof: { kind: 'hash', hash } };
      });
    }
    // Other kinds have no block that a user could look up.
    if (anchor.type !== 'evm' || anchor.status === 'submitted') return [];
    const { chain, block } = anchor;
    const proof =
      anchor.proof === undefined ? ({ kind: 'source' } as const) : ({ kind: 'hash', hash: block.hash } as const);
    return [{ id: `${chain} ${block.number}`, chain, height: block.number, time: block.time, proof }];
  });
}

function blocksOfTimestamp({ timestamp }: OtsFile): OfferedBlock[] {
  return [...timestampLines(timestamp)].flatMap(({ attestation, message }): OfferedBlock[] => {
    if (attestation.kind !== 'bitcoin' || message.length !== 32) return [];
    const { height } = attestation;
    const proof = { kind: 'header', merkleRoot: rpcOrder(message) } as const;
    return [{ id: `${BITCOIN} ${height}`, chain: BITCOIN, height, time: null, proof }];
  });
}

const HASH = /^(?:0x)?[0-9a-f]{64}$/;
const HEADER = /^[0-9a-f]{160}$/;

/** What a pasted text is for a block. */
type Pasted = 'nothing' | 'incomplete' | 'another' | 'this';

function judge({ proof }: OfferedBlock, pasted: string): Pasted {
  const text = pasted.trim().toLowerCase();
  if (text === '') return 'nothing';
  switch (proof.kind) {
    case 'source':
      return 'nothing';
    case 'hash':
      if (!HASH.test(text)) return 'incomplete';
      return text.replace(/^0x/, '') === proof.hash.replace(/^0x/, '') ? 'this' : 'another';
    case 'header': {
      if (!HEADER.test(text)) return 'incomplete';
      const { merkleRoot } = parseHeader(fromHex(text));
      return equalBytes(merkleRoot, fromHex(proof.merkleRoot).reverse()) ? 'this' : 'another';
    }
  }
}

/** Why a pasted text does not show that the block is on its chain; null where it does, or nothing was pasted. */
export function pastedFault(block: OfferedBlock, pasted: string): string | null {
  const byHash = block.proof.kind === 'hash';
  switch (judge(block, pasted)) {
    case 'nothing':
    case 'this':
      return null;
    case 'incomplete':
      return byHash ? 'A block hash has 64 hex digits.' : 'The header of a Bitcoin block has 160 hex digits.';
    case 'another':
      return byHash
        ? `The receipt names another hash for this block. Compare the number: ${block.height}.`
        : 'This header has another merkle root.';
  }
}

/** Whether the pasted text is the hash or the header of another block than the one that the proof leads from. */
export function isOfAnotherBlock(block: OfferedBlock, pasted: string): boolean {
  return judge(block, pasted) === 'another';
}

/** What the verifier is given: the hash as its chain writes it, or the header. Null where it proves nothing. */
export function provingText(block: OfferedBlock, pasted: string): string | null {
  if (judge(block, pasted) !== 'this') return null;
  const { proof } = block;
  return proof.kind === 'hash' ? proof.hash : pasted.trim().toLowerCase();
}
