// The claim `anchor` for Bitcoin, by the headers of a trusted source: is this message the merkle root of that block?

import { BITCOIN, type BitcoinHeader, parseHeader, REGTEST, rpcOrder } from '../core/bitcoin-header.ts';
import type { HeaderSource } from '../core/bitcoin-source.ts';
import { equalBytes } from '../core/bytes.ts';
import { formatTime } from '../core/time.ts';
import type { AnchorAnswer } from './anchor-answer.ts';
import { isDeep } from './bitcoin-view.ts';
import { type Code, claimOf } from './codes.ts';
import { failure, nameBlock } from './evm-chains.ts';

/** A Bitcoin attestation. */
export interface HeaderQuestion {
  readonly height: number;
  /** 32 bytes, as they would stand in the header. */
  readonly merkleRoot: Uint8Array;
  /** The header that the receipt carries for it; its merkle root is that. Null where it carries none. */
  readonly carried: BitcoinHeader | null;
  /** Whether the source is known to serve the instance of the chain that the receipt was made on. */
  readonly sameInstance: boolean;
}

/** Derives the claim from the header that the source has at that height. */
export async function askHeaders(question: HeaderQuestion, source: HeaderSource): Promise<AnchorAnswer> {
  const { chain } = source;
  const { height, merkleRoot, carried } = question;
  const named = nameBlock(chain, { number: height });
  const say = (code: Code, says: string, time?: string): AnchorAnswer => ({
    claim: claimOf(code, {
      claim: 'anchor',
      chain,
      ...(time === undefined ? {} : { time }),
      grounds: code === 'source-failed' ? 'none' : source.grounds,
      says,
    }),
    moment: null,
  });
  try {
    const block = await source.header(height);
    if (block === null) return say('source-behind', `${source.describe()} has not come to ${named} yet.`);
    const header = parseHeader(block.header);
    if (!equalBytes(header.merkleRoot, merkleRoot) || (carried !== null && carried.hash !== header.hash)) {
      return otherBlock(question, header, source, say);
    }
    if (!(await isDeep(source, height))) {
      return say('anchor-not-final', `The timestamp leads to ${named}, on which too few blocks stand yet to be final.`);
    }
    const time = formatTime(header.time);
    const says =
      `By ${source.describe()} the timestamp leads to the merkle root of ${named}: the digest was known before its ` +
      `time, ${time}, which miners set and which is good to about two hours.`;
    const { claim } = say('attestation-confirmed', says, time);
    return { claim, moment: { time, chain, block: { number: height, hash: header.hash } } };
  } catch (error) {
    return say('source-failed', `${failure(source, error)}, so nothing confirms the timestamp on ${chain}.`);
  }
}

function otherBlock(
  { height, merkleRoot, carried, sameInstance }: HeaderQuestion,
  header: BitcoinHeader,
  source: HeaderSource,
  say: (code: Code, says: string) => AnchorAnswer,
): AnchorAnswer {
  const { chain } = source;
  const named = nameBlock(chain, { number: height });
  const node = source.describe();
  const another = carried === null ? chain !== BITCOIN : chain === REGTEST;
  if (another && !sameInstance) {
    const why = chain === REGTEST ? 'a chain started anew' : 'another chain than the timestamp was made on';
    return say('other-chain-instance', `${node} has another ${named}: it may be ${why}.`);
  }
  if (carried !== null) {
    return say('anchor-reorganised', `By ${node} ${named} is another than the receipt names: that one is gone.`);
  }
  const roots = `${rpcOrder(header.merkleRoot)}, not ${rpcOrder(merkleRoot)}`;
  return say('attestation-differs', `By ${node} the merkle root of ${named} is ${roots}, where the timestamp leads.`);
}
