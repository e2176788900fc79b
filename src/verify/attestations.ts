// One claim for each attestation of a timestamp.

import { rpcOrder } from '../core/bitcoin-header.ts';
import type { HeaderSource } from '../core/bitcoin-source.ts';
import { equalBytes, toHex } from '../core/bytes.ts';
import type { Attestation } from '../ots/attestation.ts';
import { type Line, timestampLines } from '../ots/line.ts';
import type { Timestamp } from '../ots/timestamp.ts';
import { type AnchorAnswer, unproven } from './anchor-answer.ts';
import { askHeaders } from './bitcoin-anchor.ts';
import { type CarriedBlock, checkByHeaderHash } from './bitcoin-block-hash.ts';
import { type Code, claimOf } from './codes.ts';
import { nameBlock } from './evm-chains.ts';

/** What the attestations of a timestamp are checked against. */
export interface AttestationContext {
  readonly sources: readonly HeaderSource[];
  /** Sources known to serve the instance of the chain that the receipt was made on. */
  readonly sameInstance: ReadonlySet<object>;
  readonly blockHashes: readonly string[];
  /** Blocks that a receipt carries beside the timestamp. */
  readonly carried: readonly CarriedBlock[];
}

/** Attestations looked into at once: a node answers only so many questions side by side. */
const AT_ONCE = 8;

const KINDS: readonly Attestation['kind'][] = ['bitcoin', 'pending', 'litecoin', 'ethereum', 'unknown'];

/**
 * Answers for the attestations, those to Bitcoin first and of these the earliest blocks.
 * @param most answers given at the most, from 1 on; the last then says what was left out
 */
export async function checkAttestations(
  timestamp: Timestamp,
  context: AttestationContext,
  most: number,
): Promise<AnchorAnswer[]> {
  const lines = [...timestampLines(timestamp)].sort(
    (a, b) => rankOf(a) - rankOf(b) || heightOf(a.attestation) - heightOf(b.attestation),
  );
  const looked = lines.length > most ? lines.slice(0, most - 1) : lines;
  const answers: AnchorAnswer[] = [];
  for (let i = 0; i < looked.length; i += AT_ONCE) {
    answers.push(...(await Promise.all(looked.slice(i, i + AT_ONCE).map((line) => checkLine(line, context)))));
  }
  if (looked.length < lines.length) {
    const says = `Of the ${lines.length} attestations of the timestamp ${lines.length - looked.length} were not looked into.`;
    answers.push(say('attestations-left-out', says));
  }
  return answers;
}

async function checkLine({ attestation, message }: Line, context: AttestationContext): Promise<AnchorAnswer> {
  switch (attestation.kind) {
    case 'bitcoin':
      return checkBitcoin(attestation.height, message, context);
    case 'pending': {
      const { uri } = attestation;
      const says = `The calendar ${uri} has taken it in; what came of that it tells who asks it for ${shown(message)}.`;
      return say('attestation-pending', says);
    }
    case 'unknown': {
      const says = `An attestation of a kind that is not known here (tag ${toHex(attestation.tag)}) was not checked.`;
      return say('attestation-unknown', says);
    }
    default: {
      const { kind, height } = attestation;
      return say('attestation-unsupported', `An attestation to block ${height} of ${kind} was not checked.`);
    }
  }
}

async function checkBitcoin(height: number, message: Uint8Array, context: AttestationContext): Promise<AnchorAnswer> {
  if (message.length !== 32) {
    const says = `The timestamp leads to ${message.length} bytes at an attestation to block ${height} of Bitcoin; a merkle root has 32.`;
    return unproven(claimOf('proof-broken', { claim: 'anchor', grounds: 'bytes', says }));
  }
  const carried = context.carried.find(
    (block) => block.height === height && equalBytes(block.header.merkleRoot, message),
  );
  const sources = context.sources.filter(({ chain }) => carried === undefined || chain === carried.chain);
  const answers = await Promise.all(
    sources.map((source) => {
      const sameInstance = context.sameInstance.has(source);
      const question = { height, merkleRoot: message, carried: carried?.header ?? null, sameInstance };
      return askHeaders(question, source);
    }),
  );
  const settled = settle(answers);
  if (settled !== null) return settled;
  const byHash = carried === undefined ? null : checkByHeaderHash(carried, context.blockHashes);
  if (byHash?.moment) return byHash;
  return answers[0] ?? byHash ?? unasked(height, message, carried);
}

/** Of two sources for one chain neither may contradict; one of a chain that the timestamp is not of has no say. */
function settle(answers: readonly AnchorAnswer[]): AnchorAnswer | null {
  const refuted = answers.filter(({ claim }) => claim.status === 'refuted');
  const contradicted = new Set(refuted.map(({ claim }) => claim.chain));
  const verified = answers.find(({ claim }) => claim.status === 'verified' && !contradicted.has(claim.chain));
  return verified ?? refuted[0] ?? null;
}

function unasked(height: number, message: Uint8Array, carried: CarriedBlock | undefined): AnchorAnswer {
  const named = carried === undefined ? `block ${height} of Bitcoin` : nameBlock(carried.chain, { number: height });
  const by = carried === undefined ? '' : `; whoever knows that it has the hash ${carried.header.hash} needs no source`;
  const says = `No source was asked whether ${named} has the merkle root ${rpcOrder(message)}, where the timestamp leads${by}.`;
  return say('bitcoin-source-missing', says, carried?.chain);
}

function say(code: Code, says: string, chain?: string): AnchorAnswer {
  return unproven(claimOf(code, { claim: 'anchor', ...(chain === undefined ? {} : { chain }), grounds: 'none', says }));
}

/** A message that a calendar can be asked for has some 40 bytes. */
function shown(message: Uint8Array): string {
  return message.length <= 128 ? toHex(message) : `${toHex(message.subarray(0, 32))}… (${message.length} bytes)`;
}

function rankOf({ attestation }: Line): number {
  return KINDS.indexOf(attestation.kind);
}

function heightOf(attestation: Attestation): number {
  return 'height' in attestation ? attestation.height : 0;
}
