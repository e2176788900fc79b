import { type Moment, upperTime } from '../core/moment.ts';
import { isTestChain } from '../core/test-chain.ts';
import { type Claim, isWithholding, type Verdict } from '../core/verdict.ts';
import { type NextStep, nextSteps } from '../verify/next-step.ts';
import { toned } from './output.ts';

const MARKS = {
  verified: { mark: '✓', tone: 'good' },
  refuted: { mark: '✗', tone: 'bad' },
  unverified: { mark: '·', tone: 'open' },
} as const;

/** A verdict as text: the result, then each claim with its grounds. */
export function verdictText(verdict: Verdict): string {
  const { result, existedBefore, claims } = verdict;
  const test =
    result === 'proven' && existedBefore !== null && 'chain' in existedBefore && isTestChain(existedBefore.chain);
  const foreign =
    result === 'refuted' && claims.some(({ claim, status }) => claim === 'content' && status === 'refuted');
  const warning = test ? ['a test chain: anyone can make its blocks, so this proves nothing to others'] : [];
  const about = foreign
    ? ['the marks below concern the receipt itself: the content is still not the one it is about']
    : [];
  return [headline(verdict), ...warning, ...about, '', ...claimLines(verdict)].join('\n');
}

/** One line for each claim. */
export function claimLines(verdict: Verdict): string[] {
  return verdict.claims.map(claimLine);
}

/** The result in one line. */
export function headline(verdict: Verdict): string {
  const { result, existedBefore } = verdict;
  switch (result) {
    case 'proven':
      return toned(
        'good',
        `proven: existed before ${existedBefore === null ? 'an unknown time' : provenTime(existedBefore)}`,
      );
    case 'refuted':
      return toned('bad', `refuted: ${decisive(verdict)?.says ?? 'it does not hold'}`);
    case 'unproven':
      return toned(
        'open',
        `unproven: ${withheldBy(verdict) ?? 'nothing contradicts it, but no trusted source confirms it'}`,
      );
  }
}

/** The time that a moment proves, and what it rests on. */
export function provenTime(moment: Moment): string {
  const where = 'block' in moment ? `on ${moment.chain} block ${moment.block.number}` : `by ${moment.authority}`;
  const { tolerance = 0 } = moment;
  const stamp = tolerance === 0 ? '' : ` (stamped ${moment.time}, which can be ${formatTolerance(tolerance)} off)`;
  return `${upperTime(moment)} ${where}${stamp}`;
}

function formatTolerance(ms: number): string {
  return ms % 3_600_000 === 0 ? `${ms / 3_600_000} h` : `${ms / 1_000} s`;
}

/** Why nothing is proven although a source may have confirmed the anchor. */
function withheldBy({ claims }: Verdict): string | null {
  return claims.find(isWithholding)?.says ?? null;
}

/** What to do for a better verdict, one sentence each; the most useful first. */
export function advice(verdict: Verdict): string[] {
  return nextSteps(verdict).map(sentence);
}

function sentence(next: NextStep): string {
  switch (next.step) {
    case 'line-ends':
      return 'give the content with the line ends that it had when it was logged';
    case 'key-of-log':
      return "get the verifier key that signed from the log's operator; without --key the time can be proven, but not whose log it is";
    case 'other-times':
      return 'ask other sources by --rpc or --bitcoin: one of the two blocks has a wrong time';
    case 'receipt':
      return "this proves an entry's place in the log but not its time: the receipt in JSON proves both";
    case 'leaf':
      return 'to check the place, give the content itself; if the log is of another application, use its verifier';
    case 'entry':
      return 'to check it, get the receipt with the entry in it: antequem receipt LOG INDEX --format cose';
    case 'renew':
      return 'the chain has changed since the receipt was made: run antequem upgrade RECEIPT, then verify again';
    case 'later':
      return 'it is not in a final block yet: run antequem upgrade RECEIPT later, then verify again';
    case 'later-round':
      return 'ask the service again once its next round has closed';
    case 'complete':
      return 'the timestamp has a path to Bitcoin that is not complete yet: run antequem upgrade, which asks the calendars';
    case 'source':
      return sourceSentence(next.chains, next.enough);
    case 'authority':
      return 'to prove it by a timestamp authority, give the certificates of a CA that you trust: --tsa-ca FILE';
    case 'other-source':
      return `ask another source for ${next.chains.join(' and ')}`;
    case 'version':
      return 'this version cannot check all of it: a newer version of antequem may';
    case 'key':
      return "the log's identity was not checked: give the log's verifier key with --key";
  }
}

function sourceSentence(chains: readonly string[], enough: 'hash' | 'header'): string {
  const evm = chains.some((chain) => chain.startsWith('eip155:'));
  const bitcoin = chains.some((chain) => chain.startsWith('bip122:'));
  const options = [
    ...(evm ? ['--rpc URL of a node'] : []),
    ...(bitcoin ? ['--bitcoin URL of a Bitcoin node or of an Esplora server'] : []),
    enough === 'hash'
      ? `--block-hash ${evm ? '0x…' : 'HASH'} of the block`
      : '--block-hash HEADER, the 160 hex digits of its header',
  ];
  return `to prove it, name a source you trust: ${options.join(', or ')}`;
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
