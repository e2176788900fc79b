// An attestation to Bitcoin by a block that the verifier knows: its hash, or its header.

import { type AnchorFinding, nameBlock, unproven } from '../core/anchor-verifier.ts';
import { BITCOIN, type BitcoinHeader, HEADER_SIZE, parseHeader } from '../core/bitcoin-header.ts';
import { equalBytes, fromHex } from '../core/bytes.ts';
import { blockMoment, upperTime } from '../core/moment.ts';
import { formatTime } from '../core/time.ts';
import { claimOf, type VerdictCode } from '../core/verdict.ts';

/** A block that a receipt carries: its header counts; chain and height are only stated by the receipt. */
export interface CarriedBlock {
  readonly chain: string;
  readonly height: number;
  readonly header: BitcoinHeader;
}

/** The work of every block of Bitcoin, from the first on: a target below 2^224. */
const LEAST_WORK = /^0{8}/;

/** By the hash of a block that the verifier knows. Null where none of the hashes is that of the carried header. */
export function checkByHeaderHash(
  { chain, height, header }: CarriedBlock,
  blockHashes: readonly string[],
): AnchorFinding | null {
  const given = [...blockHashes, ...headersIn(blockHashes).map(({ hash }) => hash)];
  if (!given.some((hash) => hash.toLowerCase() === header.hash)) return null;
  const by = (code: VerdictCode, says: string, time?: string): AnchorFinding['claim'] =>
    claimOf(code, {
      claim: 'anchor',
      chain,
      ...(time === undefined ? {} : { time }),
      grounds: 'block-hash',
      says,
    });
  if (chain === BITCOIN && !LEAST_WORK.test(header.hash)) {
    const says = `The block with the given hash is from a test network: no block of ${chain} has so little work.`;
    return unproven(by('other-chain-instance', says));
  }
  const time = formatTime(header.time);
  const moment = blockMoment(chain, time, { number: height, hash: header.hash });
  const says =
    `The timestamp leads to the merkle root of the block with the given hash, by the proof ${nameBlock(chain, { number: height })}: ` +
    `the digest was known before ${upperTime(moment)}. ${stamped(time)}; its header does not say chain and height.`;
  return { claim: by('anchor-proven', says, time), moment };
}

/** By a header that the verifier knows, where the proof carries none. Null where no given header has the merkle root. */
export function checkByGivenHeader(
  height: number,
  message: Uint8Array,
  blockHashes: readonly string[],
): AnchorFinding | null {
  const header = headersIn(blockHashes).find(({ merkleRoot }) => equalBytes(merkleRoot, message));
  return header === undefined ? null : checkByHeaderHash({ chain: BITCOIN, height, header }, [header.hash]);
}

function headersIn(blockHashes: readonly string[]): BitcoinHeader[] {
  return blockHashes.flatMap((hex) =>
    hex.length === 2 * HEADER_SIZE ? [parseHeader(fromHex(hex.toLowerCase()))] : [],
  );
}

/** How the time of a block is to be read. */
export function stamped(time: string): string {
  return `The block is stamped ${time}, and miners may set that time up to two hours off`;
}
