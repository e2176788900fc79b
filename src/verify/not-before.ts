// The claim `not-before`: the round was formed after the blocks whose hashes its link names.

import { nameBlock, sourceFailure } from '../core/anchor-verifier.ts';
import { parseHeader, REGTEST } from '../core/bitcoin-header.ts';
import { type HeaderSource, isDeep } from '../core/bitcoin-source.ts';
import { type EvmSource, type EvmSources, isDevelopmentChain } from '../core/evm-source.ts';
import { type BlockMoment, blockMoment, lowerBound } from '../core/moment.ts';
import { formatBlockHash, parseBlockHash, type RoundReceipt } from '../core/receipt.ts';
import type { ReceiptBeacon } from '../core/receipt-schema.ts';
import { formatTime } from '../core/time.ts';
import { type Claim, claimOf, type VerdictCode, weightiest } from '../core/verdict.ts';

export interface NotBefore {
  readonly claims: readonly Claim[];
  /** The latest confirmed beacon. */
  readonly moment: BlockMoment | null;
  /** Sources that know a beacon: they serve the same instance of the chain as the one the round was made on. */
  readonly sameInstance: ReadonlySet<EvmSource | HeaderSource>;
}

/** Asks the sources about the beacons of a round whose link holds. */
export async function checkNotBefore(
  receipt: RoundReceipt,
  sources: EvmSources,
  bitcoin: readonly HeaderSource[],
): Promise<NotBefore> {
  const { beacons } = receipt.round.link;
  if (beacons.length === 0) {
    const says = 'The round names no block of a chain, so there is no earliest time for it.';
    const claims = [claimOf('no-beacon', { claim: 'not-before', grounds: 'none', says })];
    return { claims, moment: null, sameInstance: new Set() };
  }
  const claims: Claim[] = [];
  const sameInstance = new Set<EvmSource | HeaderSource>();
  let moment: BlockMoment | null = null;
  for (const beacon of beacons) {
    const answers = await askAll(beacon, sources, bitcoin);
    const answer = weightiest(answers) ?? { claim: unasked(beacon, sources) };
    claims.push(answer.claim);
    // Block 0 can be the same on every instance.
    for (const { claim, source } of answers) {
      if (claim.status === 'verified' && beacon.height > 0) sameInstance.add(source);
    }
    const { status, time } = answer.claim;
    if (status !== 'verified' || time === undefined) continue;
    const hash = formatBlockHash(beacon.chain, parseBlockHash(beacon.hash));
    const confirmed = blockMoment(beacon.chain, time, { number: beacon.height, hash });
    if (moment === null || lowerBound(confirmed) > lowerBound(moment)) moment = confirmed;
  }
  return { claims, moment, sameInstance };
}

interface Answer {
  readonly claim: Claim;
  readonly source: EvmSource | HeaderSource;
}

function askAll(beacon: ReceiptBeacon, sources: EvmSources, bitcoin: readonly HeaderSource[]): Promise<Answer[]> {
  const views = [
    ...(sources.byChain.get(beacon.chain) ?? []).map(evmView),
    ...bitcoin.filter(({ chain }) => chain === beacon.chain).map(bitcoinView),
  ];
  return Promise.all(views.map(async (view) => ({ claim: await ask(beacon, view), source: view.source })));
}

/** What is asked of a source about a beacon. */
interface View {
  readonly source: EvmSource | HeaderSource;
  isFinal(height: number): Promise<boolean>;
  /** The hash as receipts write it, the time in milliseconds. */
  block(height: number): Promise<{ hash: string; time: number } | null>;
}

const evmView = (source: EvmSource): View => ({
  source,
  isFinal: async (height) => (await source.finalized()) >= height,
  block: (height) => source.block(height),
});

const bitcoinView = (source: HeaderSource): View => ({
  source,
  isFinal: (height) => isDeep(source, height),
  async block(height) {
    const block = await source.header(height);
    return block === null ? null : parseHeader(block.header);
  },
});

async function ask(beacon: ReceiptBeacon, view: View): Promise<Claim> {
  const { chain } = beacon;
  const { source } = view;
  const startedAnew = isDevelopmentChain(chain) || chain === REGTEST;
  const named = nameBlock(chain, { number: beacon.height });
  const say = (code: VerdictCode, says: string, time?: string): Claim =>
    claimOf(code, {
      claim: 'not-before',
      chain,
      ...(time === undefined ? {} : { time }),
      grounds: code === 'source-failed' ? 'none' : source.grounds,
      says,
    });
  try {
    if (!(await view.isFinal(beacon.height))) {
      return startedAnew
        ? say(
            'other-chain-instance',
            `${source.describe()} has no ${named} yet: the chain may have been started again. Name a node of the chain that the round was made on.`,
          )
        : say('beacon-not-final', `By ${source.describe()} ${named} is not final yet: verify again later.`);
    }
    const block = await view.block(beacon.height);
    if (block === null) return say('source-failed', `${source.describe()} no longer has ${named}.`);
    if (block.hash !== formatBlockHash(chain, parseBlockHash(beacon.hash))) {
      return startedAnew
        ? say(
            'other-chain-instance',
            `${source.describe()} has a different ${named}: the chain may have been started again. Name a node of the chain that the round was made on.`,
          )
        : say(
            'beacon-not-on-chain',
            `By ${source.describe()} the ${named} that the round names is not on that chain: it was reorganized away, or ${source.describe()} follows another chain. So it gives the round no earliest time.`,
          );
    }
    const time = formatTime(block.time);
    return say('beacon-confirmed', `The round was formed after ${named}, whose hash it names, stamped ${time}.`, time);
  } catch (error) {
    return say('source-failed', `${sourceFailure(source, error)}.`);
  }
}

function unasked(beacon: ReceiptBeacon, sources: EvmSources): Claim {
  const { chain } = beacon;
  const unverified = (code: VerdictCode, says: string): Claim =>
    claimOf(code, { claim: 'not-before', chain, grounds: 'none', says });
  if (!chain.startsWith('eip155:')) {
    return unverified(
      'bitcoin-source-missing',
      `The earliest time of the round is not shown. It is optional: a source for ${chain} would show it.`,
    );
  }
  const [reason] = sources.failures;
  return reason === undefined
    ? unverified(
        'no-source',
        `The earliest time of the round is not shown. It is optional: a node of ${chain} would show it.`,
      )
    : unverified(
        'source-failed',
        `${reason}, so the earliest time of the round, by a block of ${chain}, is not shown. It is optional.`,
      );
}
