// The verdict in words for people.

import { toHex } from '../../core/bytes.ts';
import { lowerTime, type Moment, upperTime } from '../../core/moment.ts';
import { isTestChain } from '../../core/test-chain.ts';
import type { Verdict } from '../../core/verdict.ts';
import { type NextStep, nextSteps } from '../../verify/next-step.ts';
import { chainName, withChainNames } from '../parts/chains.ts';
import { formatBytes, formatCount, formatMoment, withMoments } from '../parts/units.ts';
import { visible } from '../parts/visible.ts';
import type { OfferedBlock } from './offered-block.ts';
import { digestIn } from './proof-file.ts';
import { finality, NOT_PROVEN, spanOf, unchanged, wasRead } from './scope.ts';
import type { ChosenContent, VerifiedProof } from './state.ts';

/** A sentence of a verdict with chains and times as people write them; hashes are in the details. */
export function forPeople(says: string): string {
  const short = withChainNames(says.replaceAll(' (antequem upgrade)', '')).replaceAll(
    /\b(?:0x)?[0-9a-f]{40,}\b/g,
    (hex) => `${hex.slice(0, 8)}…${hex.slice(-8)}`,
  );
  return visible(withMoments(short), 2_000);
}

/** Whose word a time of the service is. */
export const OPERATORS_CLOCK = "by the operator's clock";

/** The title on paper. Only of content that was read and proven there is a certificate. */
export function paperTitle({ verdict, content }: VerifiedProof): string {
  const test = provesToNobody(verdict) ? ' (test chain)' : '';
  if (content === null) return `Report: no file was checked${test}`;
  if (!wasRead(content)) return `Report: only a digest was compared, no file was read${test}`;
  if (verdict.result !== 'proven') return 'Verification report';
  return test === '' ? 'Certificate of existence' : `Certificate${test}`;
}

/** The result in one line. @param name of the file, on paper, where no file is at hand */
export function verdictTitle(
  { verdict, content, contested, proof }: VerifiedProof,
  name: string | null = null,
): string {
  const { result, existedBefore, claims } = verdict;
  if (existedBefore !== null) {
    return `${subjectOf(content, aboutOf(proof), name)} existed before ${unbroken(formatMoment(upperTime(existedBefore)))}`;
  }
  const noun = content?.kind ?? 'digest';
  if (result === 'unproven') {
    if (claims.some(({ code }) => code === 'content-re-ended')) return `The line ends of this ${noun} were changed`;
    const [other] = contested;
    if (other !== undefined) return `The ${other.proof.kind} that was entered does not fit ${aboutOf(proof)}`;
    const [next] = nextSteps(verdict);
    if (next?.step === 'source') return 'Nothing contradicts it. Confirm a block to prove the date';
    return 'Nothing contradicts it, but the date is not proven yet';
  }
  const refuted = claims.filter(({ status }) => status === 'refuted');
  if (differs(verdict)) return `This ${noun} is not the one ${aboutOf(proof)} is about`;
  return forPeople((refuted.find(({ claim }) => claim !== 'anchor') ?? refuted[0])?.says ?? 'It does not hold.');
}

/** Of which it is said that it existed. */
function subjectOf(content: ChosenContent | null, about: string, name: string | null): string {
  if (content === null) return `No file was checked. The digest in ${about}`;
  if (!wasRead(content)) return 'Only a digest was compared, no file was read. The digest';
  return name === null ? `This ${content.kind}` : `The file “${visible(name, 200)}”`;
}

function aboutOf({ kind }: VerifiedProof['proof']): string {
  return kind === 'ots' ? 'the timestamp' : kind === 'receipt' ? 'the receipt' : 'the proof';
}

function differs({ claims }: Verdict): boolean {
  return claims.some(({ code }) => code === 'content-differs');
}

/** The words of a date stay together. */
function unbroken(text: string): string {
  return text.replaceAll(' ', '\u00a0').replace(',\u00a0', ', ');
}

/**
 * What the result rests on, or what to do for a better one; one paragraph each.
 * @param medium on paper the digests, and what is proven and what not, stand in sections of their own
 */
export function explanation(shown: VerifiedProof, medium: 'page' | 'paper'): string[] {
  const { verdict, contested, content, proof } = shown;
  const page = medium === 'page';
  const digests = page ? comparedDigests(shown, nameOf(content)).map(([name, hex]) => `${name}: ${hex}`) : [];
  if (verdict.result === 'refuted') {
    if (!differs(verdict)) return page ? [MARKS_OF_A_REFUTED_PROOF] : [];
    const about = aboutOf(proof);
    const marks = `The marks below concern ${about} itself. The ${content?.kind ?? 'digest'} is still not the one.`;
    return [...digests, HARMLESS, ...(page ? [marks] : [])];
  }
  const doubts = contested.flatMap((block) => doubtAbout(block, shown));
  if (verdict.existedBefore !== null) {
    const scope = page
      ? [finality(verdict), unchanged(shown), `Not proven: ${NOT_PROVEN}`].filter((text) => text !== null)
      : [];
    const test = provesToNobody(verdict) ? ['A test chain: this proves nothing to others.'] : [];
    return [...doubts, ...test, ...unread(shown), basis(verdict.existedBefore, verdict), ...scope];
  }
  const steps = nextSteps(verdict).filter(({ step }) => doubts.length === 0 || step !== 'source');
  return [...doubts, ...unread(shown), ...steps.map((next) => stepSentence(next, verdict))];
}

const HARMLESS =
  'One changed character is enough to give another digest. That can be harmless: the file was saved anew, its line ends were changed, or it is another version. Look for the file as it was when the receipt was made.';
const MARKS_OF_A_REFUTED_PROOF = 'Each mark below concerns one check. One failed check is enough to refute the whole.';

/** The digests that were compared, each with its name: one row where they are the same. @param file what the file is called */
export function comparedDigests(
  { content, digest, proof }: VerifiedProof,
  file = 'the file',
): [name: string, hex: string][] {
  const own = digestIn(proof);
  const hash = own?.hash ?? 'SHA-256';
  const about = aboutOf(proof);
  const given = digest === null ? null : toHex(digest);
  if (given === own?.hex && given !== null) return [[`Digest (${hash})`, given]];
  const name = content?.kind === 'file' ? file : content?.kind === 'text' ? 'the text' : 'what was entered';
  return [
    ...(given === null ? [] : [[`${hash} of ${name}`, given] as [string, string]]),
    ...(own === null ? [] : [[`${hash} in ${about}`, own.hex] as [string, string]]),
  ];
}

/** Said first where the content itself was not read. */
function unread({ verdict, content, proof }: VerifiedProof): string[] {
  const own = digestIn(proof);
  if (wasRead(content)) return [];
  if (content !== null) return ['Whether a file has this digest was not checked.'];
  const about = aboutOf(proof);
  const said = verdict.result === 'proven' ? '' : 'No file was checked. ';
  const which = own === null ? '.' : ` with the ${own.hash} digest in ${about}: ${own.hex}`;
  return [`${said}Add the file, so that it is compared${which}`];
}

/** What it may mean that another hash was entered for a block. */
function doubtAbout({ chain, height, proof }: OfferedBlock, { verdict, ...shown }: VerifiedProof): string[] {
  const about = aboutOf(shown.proof);
  const what = verdict.existedBefore === null ? 'it proves nothing' : 'this block proves nothing';
  return [
    `The ${proof.kind} that was entered for ${chainName(chain)} block ${formatCount(height)} is not the one that ${about} leads from. There are two explanations: another block was looked up, or ${about} does not fit the chain (it may be false, or the chain was reorganized). Until that is clear, ${what}.`,
    `Look the number ${formatCount(height)} up again, with the second explorer. If it stays so, only a new receipt from the service helps, not one from the other party.`,
  ];
}

/** The content's name for people. */
export function nameOf(content: ChosenContent | null): string {
  if (content === null) return 'none was checked';
  if (content.kind === 'file') return `${visible(content.file.name, 200)}, ${formatBytes(content.file.size)}`;
  return content.kind === 'text' ? `text: ${visible(content.text, 200)}` : 'none was read, only a digest was compared';
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

function basis(existedBefore: Moment, verdict: Verdict): string {
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
  return parts.join(' ');
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
    case 'later-round':
      return 'Ask the service again once its next round has closed.';
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
