// The verdict in words for people.

import { lowerTime, type Moment, upperTime } from '../../core/moment.ts';
import { isTestChain } from '../../core/test-chain.ts';
import type { Verdict } from '../../core/verdict.ts';
import { type NextStep, nextSteps } from '../../verify/next-step.ts';
import { chainName, withChainNames } from '../parts/chains.ts';
import { formatBytes, formatCount, formatMoment, withMoments } from '../parts/units.ts';
import { visible } from '../parts/visible.ts';
import type { ChosenContent, VerifiedProof } from './state.ts';

/** A sentence of a verdict with chains and times as people write them; hashes are in the details. */
export function forPeople(says: string): string {
  const short = withChainNames(says.replaceAll(' (antequem upgrade)', '')).replaceAll(
    /\b(?:0x)?[0-9a-f]{40,}\b/g,
    (hex) => `${hex.slice(0, 8)}…${hex.slice(-8)}`,
  );
  return visible(withMoments(short), 2_000);
}

/** What the content is called in a sentence. */
const NOUNS: Readonly<Record<ChosenContent['kind'], string>> = { file: 'file', text: 'text', digest: 'digest' };

function nounOf(content: ChosenContent | null): string {
  return content === null ? 'digest' : NOUNS[content.kind];
}

/** The result in one line. @param name of the file, on paper, where no file is at hand */
export function verdictTitle({ verdict, content, proof }: VerifiedProof, name: string | null = null): string {
  const { result, existedBefore, claims } = verdict;
  const noun = nounOf(content);
  if (existedBefore !== null) {
    const what =
      name !== null
        ? `The file “${visible(name, 200)}”`
        : content === null
          ? 'The content of the receipt'
          : `This ${noun}`;
    return `${what} existed before ${unbroken(formatMoment(upperTime(existedBefore)))}`;
  }
  const about = proof.kind === 'ots' ? 'the timestamp' : proof.kind === 'receipt' ? 'the receipt' : 'the proof';
  if (result === 'unproven') {
    if (claims.some(({ code }) => code === 'content-re-ended')) return `The line ends of this ${noun} were changed`;
    const [next] = nextSteps(verdict);
    if (next?.step === 'source') return 'Nothing contradicts it. Confirm a block to prove the date';
    return 'Nothing contradicts it, but the date is not proven yet';
  }
  const refuted = claims.filter(({ status }) => status === 'refuted');
  if (refuted.some(({ code }) => code === 'content-differs')) return `This ${noun} is not the one ${about} is about`;
  return forPeople((refuted.find(({ claim }) => claim !== 'anchor') ?? refuted[0])?.says ?? 'It does not hold.');
}

/** The words of a date stay together. */
function unbroken(text: string): string {
  return text.replaceAll(' ', '\u00a0').replace(',\u00a0', ', ');
}

/** What the result rests on, or what to do for a better one; one paragraph each. */
export function explanation(shown: VerifiedProof): string[] {
  const { verdict, content } = shown;
  if (verdict.existedBefore !== null) return basis(verdict.existedBefore, verdict);
  if (verdict.result === 'refuted') {
    const named = content?.kind === 'file' ? [nameOf(content)] : [];
    return [...named, 'The other results below do not change that.'];
  }
  return nextSteps(verdict).map((next) => stepSentence(next, verdict));
}

/** The content's name for people. */
export function nameOf(content: ChosenContent | null): string {
  if (content === null) return 'not given';
  if (content.kind === 'file') return `${visible(content.file.name, 200)}, ${formatBytes(content.file.size)}`;
  return content.kind === 'text' ? `text: ${visible(content.text, 200)}` : 'only its digest';
}

/** A block for people: Ethereum block 23,456,789. */
export function nameMoment(moment: Moment): string {
  return 'block' in moment
    ? `${chainName(moment.chain)} block ${formatCount(moment.block.number)}`
    : visible(moment.authority, 200);
}

/** Whether the result proves nothing to others. */
export function provesToNobody({ existedBefore }: Verdict): boolean {
  return existedBefore !== null && 'chain' in existedBefore && isTestChain(existedBefore.chain);
}

function basis(existedBefore: Moment, verdict: Verdict): string[] {
  const { notBefore, claims } = verdict;
  const { tolerance = 0 } = existedBefore;
  const stamp = `${nameMoment(existedBefore)}, stamped ${formatMoment(existedBefore.time)}`;
  const off = tolerance === 0 ? '' : `. Such a stamp can be ${spanOf(tolerance)} off, which is counted in`;
  const parts = [`By ${stamp}${off}.`];
  if (notBefore !== null) {
    parts.push(`Its round was formed after ${formatMoment(lowerTime(notBefore))}.`);
  }
  const owner = claims.find(({ claim }) => claim === 'checkpoint');
  if (owner?.code === 'key-not-given') parts.push('Whose log it is was not checked: that needs the key of the log.');
  const said = [
    parts.join(' '),
    'The content may be older. Who made it, and whether it is true, is not shown by this.',
  ];
  return provesToNobody(verdict) ? ['A test chain: this proves nothing to others.', ...said] : said;
}

/** @param ms of whole hours or less than one */
function spanOf(ms: number): string {
  return ms % 3_600_000 === 0 ? `${ms / 3_600_000} hours` : `${ms / 1_000} seconds`;
}

function stepSentence(next: NextStep, { claims }: Verdict): string {
  switch (next.step) {
    case 'line-ends':
      return forPeople(claims.find(({ code }) => code === 'content-re-ended')?.says ?? '');
    case 'key-of-log':
      return `${forPeople(claims.find(({ claim }) => claim === 'checkpoint')?.says ?? '')} Without a key the time can be proven, but not whose log it is.`;
    case 'other-times':
      return forPeople(claims.find(({ code }) => code === 'times-contradict')?.says ?? '');
    case 'receipt':
      return "This proves an entry's place in the log but not its time: the receipt in JSON proves both.";
    case 'leaf':
      return forPeople(claims.find(({ code }) => code === 'leaf-unknown')?.says ?? '');
    case 'entry':
      return 'To check it, get the receipt with the entry in it: antequem receipt LOG INDEX --format cose.';
    case 'renew':
      return 'The chain has changed since the receipt was made: ask for the receipt anew.';
    case 'later':
      return 'It is not in a final block yet: get a newer receipt later.';
    case 'complete':
      return 'The timestamp does not lead to a Bitcoin block yet: have it completed by its calendars (antequem upgrade, or ots upgrade).';
    case 'source':
      return `Look the block up under “Which block do you trust?”: ${next.chains.map(chainName).join(' or ')}.`;
    case 'authority':
      return 'A timestamp authority signed it: give the certificate of a CA that you trust under “Advanced”.';
    case 'other-source':
      return `The source for ${next.chains.map(chainName).join(' and ')} could not say: name another one, or confirm the block yourself.`;
    case 'version':
      return 'This page cannot check all of it: a newer version may.';
    case 'key':
      return 'Whose log it is was not checked: that needs the key of the log.';
  }
}
