// The state of the page and its one action: hash, then verify.

import { computed, signal } from '@preact/signals';
import { fromHex, toHex, utf8 } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import { isRefuting, type Verdict } from '../../core/verdict.ts';
import { verify } from '../../verify/verify.ts';
import type { HashName } from '../parts/hash-worker.ts';
import { hashFile } from '../parts/hashing.ts';
import { isOfAnotherBlock, type OfferedBlock, offeredBlocks, provingText } from './offered-block.ts';
import { type DroppedProof, digestIn, isDroppedProof, readDroppedProof } from './proof-file.ts';
import { readTrust, type TrustField, type TrustTexts } from './trust.ts';

/** The content that the proof should match. */
export type ChosenContent =
  | { readonly kind: 'file'; readonly file: File }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'digest'; readonly hex: string };

/** A verification and its result. */
export interface VerifiedProof {
  readonly verdict: Verdict;
  readonly proof: DroppedProof;
  readonly content: ChosenContent | null;
  /** The content's digest by the hash that the proof names; null without content. */
  readonly digest: Uint8Array | null;
  readonly trusted: TrustTexts;
  /** Hashes of blocks, or headers, that the user confirmed. */
  readonly blockHashes: readonly string[];
  /** Blocks for which the user entered the hash, or header, of another block. */
  readonly contested: readonly OfferedBlock[];
  /** Sources that could not be used. */
  readonly notes: readonly string[];
  /** Milliseconds since the Unix epoch, by the browser's clock. */
  readonly at: number;
}

export const content = signal<ChosenContent | null>(null);
export const proof = signal<DroppedProof | null>(null);
export const trusted = signal<TrustTexts>({
  rpc: '',
  confirmations: '',
  esplora: '',
  key: '',
  policy: '',
  authority: '',
});
/** What was pasted about blocks, by the block's id. */
export const pasted = signal<Readonly<Record<string, string>>>({});
export const faults = signal<Readonly<Partial<Record<TrustField, string>>>>({});
/** Bytes hashed so far and in all; null while nothing is being hashed. */
export const progress = signal<{ readonly done: number; readonly size: number } | null>(null);
/** The content's digest, once it is hashed. */
export const digested = signal<{ readonly hash: HashName; readonly hex: string } | null>(null);
export const asking = signal(false);
export const failure = signal<string | null>(null);
export const proofFault = signal<string | null>(null);
export const outcome = signal<VerifiedProof | null>(null);
/** What the proof offers to be confirmed. */
export const blocks = computed(() => offeredBlocks(proof.value));
/** Those of them that can still help: none where the proof itself is refuted, or is about something else. */
export const usefulBlocks = computed(() => {
  const verdict = outcome.value?.verdict;
  if (verdict?.result !== 'refuted') return blocks.value;
  if (verdict.claims.some(isRefuting)) return [];
  const refuted = verdict.claims.filter(({ claim, status }) => claim === 'anchor' && status === 'refuted');
  return blocks.value.filter((block) => refuted.every(({ chain }) => chain !== block.chain));
});
export const busy = computed(() => progress.value !== null || asking.value);

/** Content up to this size is compared with other line ends too. */
const MOST_COMPARED_BYTES = 16 << 20;

let checking = new AbortController();
let hashing: Hashing | null = null;

interface Hashing {
  readonly of: ChosenContent;
  readonly hash: HashName;
  readonly stop: AbortController;
  readonly digest: Promise<Uint8Array>;
}

/** Sorts dropped files: at most one proof and one content. */
export async function take(files: readonly File[]): Promise<void> {
  for (const file of files) {
    if (await isDroppedProof(file)) await setProof(file);
    else content.value = { kind: 'file', file };
  }
  await check();
}

export async function takeContent(next: ChosenContent | null): Promise<void> {
  content.value = next;
  await check();
}

/** Where the two files were swapped, each goes to its place. */
export async function takeProof(file: File): Promise<void> {
  const held = content.value;
  if (held?.kind === 'file' && (await isDroppedProof(held.file)) && !(await isDroppedProof(file))) {
    content.value = { kind: 'file', file };
    await setProof(held.file);
  } else {
    await setProof(file);
  }
  await check();
}

async function setProof(file: File): Promise<void> {
  proofFault.value = null;
  pasted.value = {};
  try {
    proof.value = await readDroppedProof(file);
  } catch (error) {
    proof.value = null;
    proofFault.value = messageOf(error);
  }
}

export function startAnew(): void {
  checking.abort();
  hashing?.stop.abort();
  hashing = null;
  content.value = proof.value = progress.value = digested.value = null;
  outcome.value = failure.value = proofFault.value = null;
  pasted.value = {};
  asking.value = false;
}

/** Takes what was pasted about a block, and verifies anew where that changes what it shows. */
export function paste(block: OfferedBlock, text: string): void {
  const before = pasted.value[block.id] ?? '';
  pasted.value = { ...pasted.value, [block.id]: text };
  const changes =
    provingText(block, before) !== provingText(block, text) ||
    isOfAnotherBlock(block, before) !== isOfAnotherBlock(block, text);
  if (changes) void check();
}

/** Hashes new content and verifies with the current trust. A verification in progress is aborted. */
export async function check(): Promise<void> {
  checking.abort();
  checking = new AbortController();
  const { signal: stop } = checking;
  failure.value = outcome.value = null;
  asking.value = false;
  const blockHashes = blocks.value.flatMap((block) => provingText(block, pasted.value[block.id] ?? '') ?? []);
  const contested = blocks.value.filter((block) => isOfAnotherBlock(block, pasted.value[block.id] ?? ''));
  const subject = { proof: proof.value, content: content.value, trusted: trusted.value, blockHashes, contested };
  try {
    const digest = await digestOf(subject.content, subject.proof);
    if (subject.proof === null || stop.aborted) return;
    asking.value = true;
    const reading = await readTrust(subject.trusted, blockHashes, Date.now());
    if (stop.aborted) return;
    faults.value = 'faults' in reading ? reading.faults : {};
    if ('faults' in reading) return;
    const evidence = { proof: subject.proof.bytes, ...(await contentFor(subject, digest)) };
    const verdict = await verify(evidence, reading.trust);
    if (stop.aborted) return;
    outcome.value = { ...subject, proof: subject.proof, verdict, digest, notes: reading.notes, at: Date.now() };
  } catch (error) {
    if (!stop.aborted) failure.value = messageOf(error);
  } finally {
    if (!stop.aborted) asking.value = false;
  }
}

/** The digest, and of content that is small enough and differs the content too: its line ends may have been changed. */
async function contentFor(
  { proof, content }: { readonly proof: DroppedProof | null; readonly content: ChosenContent | null },
  digest: Uint8Array | null,
): Promise<{ digest?: Uint8Array; payload?: Uint8Array }> {
  if (digest === null || content === null) return {};
  if (content.kind === 'digest' || matches(proof, digest)) return { digest };
  const blob = content.kind === 'file' ? content.file : new Blob([new Uint8Array(utf8(content.text))]);
  return blob.size > MOST_COMPARED_BYTES ? { digest } : { payload: new Uint8Array(await blob.arrayBuffer()) };
}

function matches(proof: DroppedProof | null, digest: Uint8Array): boolean {
  return proof !== null && digestIn(proof)?.hex === toHex(digest);
}

async function digestOf(what: ChosenContent | null, by: DroppedProof | null): Promise<Uint8Array | null> {
  const hash = by?.kind === 'ots' ? (by.read?.hash ?? 'sha256') : 'sha256';
  if (hashing?.of !== what || hashing?.hash !== hash) {
    hashing?.stop.abort();
    hashing = what === null || what.kind === 'digest' ? null : startHashing(what, hash);
    digested.value = null;
    if (hashing === null) progress.value = null;
  }
  if (what?.kind === 'digest') return fromHex(what.hex);
  return hashing === null ? null : hashing.digest;
}

/** Hashes a file only once, even if proofs and sources change meanwhile, because it can take long. */
function startHashing(what: Exclude<ChosenContent, { kind: 'digest' }>, hash: HashName): Hashing {
  const file = what.kind === 'file' ? what.file : new Blob([new Uint8Array(utf8(what.text))]);
  const stop = new AbortController();
  const onProgress = (done: number): void => {
    if (!stop.signal.aborted) progress.value = { done, size: file.size };
  };
  onProgress(0);
  const run = async (): Promise<Uint8Array> => {
    try {
      const digest = await hashFile(file, { hash, onProgress, signal: stop.signal });
      digested.value = { hash, hex: toHex(digest) };
      return digest;
    } finally {
      if (!stop.signal.aborted) progress.value = null;
    }
  };
  return { of: what, hash, stop, digest: run() };
}
