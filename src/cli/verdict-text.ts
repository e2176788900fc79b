import type { Claim, Verdict } from '../core/verdict.ts';
import { toned } from './output.ts';

const MARKS = {
  verified: { mark: '✓', tone: 'good' },
  refuted: { mark: '✗', tone: 'bad' },
  unverified: { mark: '·', tone: 'open' },
} as const;

/** A verdict as text: the result, then each claim with its grounds. */
export function verdictText(verdict: Verdict): string {
  return [headline(verdict), '', ...claimLines(verdict)].join('\n');
}

/** One line for each claim. */
export function claimLines(verdict: Verdict): string[] {
  return verdict.claims.map(claimLine);
}

/** The result in one line. */
export function headline(verdict: Verdict): string {
  const { result, existedBefore } = verdict;
  switch (result) {
    case 'proven': {
      const { time, chain, block } = existedBefore ?? {
        time: 'an unknown time',
        chain: 'an unknown chain',
        block: null,
      };
      const where = block === null ? chain : `${chain} block ${block.number}`;
      return toned('good', `proven: existed before ${time} on ${where}`);
    }
    case 'refuted':
      return toned('bad', `refuted: ${decisive(verdict)?.says ?? 'it does not hold'}`);
    case 'unproven':
      return toned('open', 'unproven: nothing contradicts it, but no trusted source confirms it');
  }
}

/** The next step towards a better verdict; null if there is none. */
export function advice(verdict: Verdict): string | null {
  if (verdict.result === 'refuted') return null;
  if (verdict.result === 'unproven') {
    return adviceOnSources(verdict);
  }
  const unnamed = verdict.claims.some(({ claim, grounds }) => claim === 'checkpoint' && grounds === 'none');
  return unnamed ? "the log's identity was not checked: give the log's verifier key with --key" : null;
}

function adviceOnSources({ claims }: Verdict): string {
  const evm = claims.some(({ claim, chain }) => claim === 'anchor' && chain?.startsWith('eip155:'));
  const bitcoin = claims.some(({ claim, code }) => claim === 'anchor' && code === 'bitcoin-source-missing');
  if (bitcoin) {
    const node = evm ? ', or --rpc URL of a node of the other chain' : '';
    return `to prove it, name a source you trust: --bitcoin URL of a Bitcoin node or of an Esplora server${node}`;
  }
  if (!evm && claims.some(({ code }) => code === 'attestation-pending')) {
    return 'the file has no path to Bitcoin yet: run antequem upgrade, which asks the calendars';
  }
  if (!evm && claims.some(({ code }) => code === 'anchor-unknown')) {
    return 'this version cannot check the anchor in the receipt: a newer version of antequem may';
  }
  return 'to prove it, name a source you trust: --rpc URL of a node, or --block-hash 0x… of the block';
}

function decisive(verdict: Verdict): Claim | undefined {
  const refuted = verdict.claims.filter(({ status }) => status === 'refuted');
  return refuted.find(({ claim }) => claim !== 'anchor') ?? refuted[0];
}

function claimLine(claim: Claim): string {
  const { mark, tone } = MARKS[claim.status];
  const grounds = claim.grounds === 'none' ? '' : ` [${claim.grounds}]`;
  return `  ${toned(tone, mark)} ${claim.claim.padEnd(11)} ${claim.says}${grounds}`;
}
