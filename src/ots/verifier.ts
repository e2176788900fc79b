// Verifies OpenTimestamps: one claim for each attestation of a timestamp, by trusted headers or by the hash of a block.

import {
  type AnchorFinding,
  type AnchorVerifier,
  nameBlock,
  sourceFailure,
  unproven,
} from '../core/anchor-verifier.ts';
import { BITCOIN, type BitcoinHeader, parseHeader, REGTEST, rpcOrder } from '../core/bitcoin-header.ts';
import { type HeaderSource, isDeep } from '../core/bitcoin-source.ts';
import { equalBytes, fromBase64, fromHex, toHex } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { blockMoment, upperTime } from '../core/moment.ts';
import type { OpenTimestampsAnchor } from '../core/receipt-schema.ts';
import { formatTime } from '../core/time.ts';
import { claimOf, isObjection, type VerdictCode } from '../core/verdict.ts';
import type { Attestation } from './attestation.ts';
import { type CarriedBlock, checkByGivenHeader, checkByHeaderHash, stamped } from './known-block.ts';
import { type Line, timestampLines } from './line.ts';
import { parseTimestamp } from './serialization.ts';
import type { Timestamp } from './timestamp.ts';

/** What the attestations of a timestamp are checked against. */
export interface AttestationContext {
  readonly bitcoin: readonly HeaderSource[];
  /** Sources known to serve the instance of the chain that the receipt was made on. */
  readonly sameInstance: ReadonlySet<object>;
  readonly blockHashes: readonly string[];
  /** Blocks that a receipt carries beside the timestamp. */
  readonly carried: readonly CarriedBlock[];
}

/** Attestations checked at once: a node answers only so many questions side by side. */
const AT_ONCE = 8;

const KINDS: readonly Attestation['kind'][] = ['bitcoin', 'pending', 'litecoin', 'ethereum', 'unknown'];

/**
 * No OpenTimestamps attestation is to a block of Bitcoin before this one, of March 2015. Test networks have lower heights,
 * and an .ots file does not name its chain.
 */
const FIRST_ATTESTATION = 350_000;

/** Findings for the attestations; for an anchor that contradicts itself, for the blocks it carries that do not fit. */
export const otsVerifier: AnchorVerifier<OpenTimestampsAnchor> = {
  claims: 'several',
  async check(anchor, root, { bitcoin, sameInstance, blockHashes, work }, most) {
    let timestamp: Timestamp;
    try {
      timestamp = parseTimestamp(fromBase64(anchor.timestamp), fromHex(root), work);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      return [unreadableTimestamp(error, 'The OpenTimestamps proof in the receipt')];
    }
    const carried: CarriedBlock[] = [];
    const faults: AnchorFinding[] = [];
    const lines = [...timestampLines(timestamp)];
    for (const { chain, height, header: hex, time } of anchor.blocks ?? []) {
      const header = parseHeader(fromHex(hex));
      const named = nameBlock(chain, { number: height });
      const refute = (code: VerdictCode, says: string): void =>
        void faults.push(unproven(claimOf(code, { claim: 'anchor', chain, grounds: 'bytes', says })));
      if (!lines.some((line) => attests(line, height, header.merkleRoot))) {
        refute('proof-broken', `The timestamp in the receipt does not lead to the header of ${named} in the receipt.`);
      } else if (formatTime(header.time) !== time) {
        refute('anchor-block-differs', `By its header ${named} is of ${formatTime(header.time)}, not of ${time}.`);
      } else {
        carried.push({ chain, height, header });
      }
    }
    if (faults.length > 0) return faults.slice(0, most);
    return checkAttestations(timestamp, { bitcoin, sameInstance, blockHashes, carried }, most);
  },
};

/** A timestamp that cannot be read contradicts itself, unless it is only larger than this version reads. */
export function unreadableTimestamp(error: FormatError, what: string): AnchorFinding {
  if (error.code === 'ots-size' || error.code === 'ots-work' || error.code === 'ots-version') {
    const says = `${what} is larger or newer than this version reads: ${error.message}.`;
    return unproven(claimOf('proof-not-read', { claim: 'anchor', grounds: 'none', says }));
  }
  const says = `${what} breaks its format, so it shows nothing: ${error.message}.`;
  return unproven(claimOf('timestamp-invalid', { claim: 'anchor', grounds: 'bytes', says }));
}

/**
 * Findings for the attestations, those to Bitcoin first and of these the earliest blocks.
 * @param most findings returned at most, from 1 on; the last then says how many were left out
 */
export async function checkAttestations(
  timestamp: Timestamp,
  context: AttestationContext,
  most: number,
): Promise<AnchorFinding[]> {
  const lines = [...timestampLines(timestamp)].sort(
    (a, b) => rankOf(a) - rankOf(b) || heightOf(a.attestation) - heightOf(b.attestation),
  );
  const checked = lines.length > most ? lines.slice(0, most - 1) : lines;
  const findings: AnchorFinding[] = [];
  for (let i = 0; i < checked.length; i += AT_ONCE) {
    findings.push(...(await Promise.all(checked.slice(i, i + AT_ONCE).map((line) => checkLine(line, context)))));
  }
  if (checked.length < lines.length) {
    const says = `${lines.length - checked.length} of the ${lines.length} attestations of the timestamp were not checked.`;
    findings.push(say('attestations-left-out', says));
  }
  return findings;
}

async function checkLine({ attestation, message }: Line, context: AttestationContext): Promise<AnchorFinding> {
  switch (attestation.kind) {
    case 'bitcoin':
      return checkBitcoin(attestation.height, message, context);
    case 'pending': {
      const { uri } = attestation;
      const says = `The calendar ${uri} has accepted it; ask it for ${shown(message)} to get the rest of the proof.`;
      return say('attestation-pending', says);
    }
    case 'unknown': {
      const says = `An attestation of an unknown kind (tag ${toHex(attestation.tag)}) was not checked.`;
      return say('attestation-unknown', says);
    }
    default: {
      const { kind, height } = attestation;
      return say('attestation-unsupported', `An attestation to block ${height} of ${kind} was not checked.`);
    }
  }
}

async function checkBitcoin(height: number, message: Uint8Array, context: AttestationContext): Promise<AnchorFinding> {
  if (message.length !== 32) {
    const says = `The timestamp leads to ${message.length} bytes at an attestation to block ${height} of Bitcoin; a merkle root has 32.`;
    return unproven(claimOf('proof-broken', { claim: 'anchor', grounds: 'bytes', says }));
  }
  const carried = context.carried.find(
    (block) => block.height === height && equalBytes(block.header.merkleRoot, message),
  );
  const sources = context.bitcoin.filter(({ chain }) => carried === undefined || chain === carried.chain);
  const answers = await Promise.all(
    sources.map((source) => {
      const sameInstance = context.sameInstance.has(source);
      return askHeaders({ height, merkleRoot: message, carried: carried?.header ?? null, sameInstance }, source);
    }),
  );
  const settled = settle(answers);
  if (settled !== null) return settled;
  const byHash =
    carried === undefined
      ? checkByGivenHeader(height, message, context.blockHashes)
      : checkByHeaderHash(carried, context.blockHashes);
  if (byHash?.moment) return byHash;
  return answers[0] ?? byHash ?? unasked(height, message, carried);
}

/** Two sources of one chain must not contradict each other; a source of a chain that the timestamp is not of does not count. */
function settle(answers: readonly AnchorFinding[]): AnchorFinding | null {
  const objections = answers.filter(({ claim }) => isObjection(claim));
  const contradicted = new Set(objections.map(({ claim }) => claim.chain));
  const verified = answers.find(({ claim }) => claim.status === 'verified' && !contradicted.has(claim.chain));
  return verified ?? objections[0] ?? null;
}

function unasked(height: number, message: Uint8Array, carried: CarriedBlock | undefined): AnchorFinding {
  const named = carried === undefined ? `block ${height} of Bitcoin` : nameBlock(carried.chain, { number: height });
  const by = carried === undefined ? '' : `; if you know that it has the hash ${carried.header.hash}, that is enough`;
  const says = `No source was given to say whether ${named} has the merkle root ${rpcOrder(message)}, where the timestamp leads${by}.`;
  return say('bitcoin-source-missing', says, carried?.chain);
}

/** A Bitcoin attestation. */
interface HeaderQuestion {
  readonly height: number;
  /** 32 bytes, as they stand in the header. */
  readonly merkleRoot: Uint8Array;
  /** The header that the receipt carries for it, with that merkle root. Null where it carries none. */
  readonly carried: BitcoinHeader | null;
  readonly sameInstance: boolean;
}

type SayBySource = (code: VerdictCode, says: string, time?: string) => AnchorFinding;

/** Derives the claim from the header that the source has at that height. */
async function askHeaders(question: HeaderQuestion, source: HeaderSource): Promise<AnchorFinding> {
  const { chain } = source;
  const { height, merkleRoot, carried } = question;
  const named = nameBlock(chain, { number: height });
  const say: SayBySource = (code, says, time) =>
    unproven(
      claimOf(code, {
        claim: 'anchor',
        chain,
        ...(time === undefined ? {} : { time }),
        grounds: code === 'source-failed' ? 'none' : source.grounds,
        says,
      }),
    );
  try {
    const block = await source.header(height);
    if (block === null) {
      return say(
        'source-behind',
        `${source.describe()} has not reached ${named} yet: ask again later, or another source.`,
      );
    }
    const header = parseHeader(block.header);
    if (!equalBytes(header.merkleRoot, merkleRoot) || (carried !== null && carried.hash !== header.hash)) {
      return otherBlock(question, header, source, say);
    }
    if (!(await isDeep(source, height))) {
      return say(
        'anchor-not-final',
        `The timestamp leads to ${named}, which too few blocks follow yet to be final: verify again later.`,
      );
    }
    const time = formatTime(header.time);
    const moment = blockMoment(chain, time, { number: height, hash: header.hash });
    const says =
      `By ${source.describe()} the timestamp leads to the merkle root of ${named}: the digest was known before ` +
      `${upperTime(moment)}. ${stamped(time)}.`;
    return { claim: say('attestation-confirmed', says, time).claim, moment };
  } catch (error) {
    return say('source-failed', `${sourceFailure(source, error)}, so the timestamp on ${chain} is not confirmed.`);
  }
}

function otherBlock(
  { height, merkleRoot, carried, sameInstance }: HeaderQuestion,
  header: BitcoinHeader,
  source: HeaderSource,
  say: SayBySource,
): AnchorFinding {
  const { chain } = source;
  const named = nameBlock(chain, { number: height });
  const node = source.describe();
  const mayBeAnother = carried === null ? chain !== BITCOIN || height < FIRST_ATTESTATION : chain === REGTEST;
  if (mayBeAnother && !sameInstance) {
    const why = chain === REGTEST ? 'the chain may have been started again' : 'the timestamp was made on another chain';
    return say('other-chain-instance', `${node} has a different ${named}: ${why}. Name a source of that chain.`);
  }
  if (carried !== null) {
    const says = `By ${node} ${named} is not the one in the receipt: the chain was reorganized since. Get the receipt anew (antequem upgrade).`;
    return say('anchor-moved', says);
  }
  const roots = `${rpcOrder(header.merkleRoot)}, not ${rpcOrder(merkleRoot)}`;
  return say('attestation-differs', `By ${node} the merkle root of ${named} is ${roots}, where the timestamp leads.`);
}

function say(code: VerdictCode, says: string, chain?: string): AnchorFinding {
  return unproven(claimOf(code, { claim: 'anchor', ...(chain === undefined ? {} : { chain }), grounds: 'none', says }));
}

function attests({ attestation, message }: Line, height: number, merkleRoot: Uint8Array): boolean {
  return attestation.kind === 'bitcoin' && attestation.height === height && equalBytes(message, merkleRoot);
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
