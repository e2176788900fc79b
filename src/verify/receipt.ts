// The verifier of receipts. What several of them have in common is checked once.

import { sha256 } from '#sha256';
import { newWorkBudget } from '../core/anchor-verifier.ts';
import { type HeaderSource, remembering } from '../core/bitcoin-source.ts';
import { equalBytes, fromHex } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import type { EvmSources } from '../core/evm-source.ts';
import { sameJson } from '../core/json.ts';
import { parseLogVerifier } from '../core/log-verifier.ts';
import { LruCache } from '../core/lru.ts';
import {
  isKnownAnchor,
  parseReceipt,
  parseReceiptJson,
  RECEIPT_FORMAT,
  type Receipt,
  type ReceiptAnchor,
  type RoundReceipt,
} from '../core/receipt.ts';
import { type Claim, claimOf, type Verdict, verdictOf } from '../core/verdict.ts';
import { sortSources } from '../evm/verifier.ts';
import { unknownAnchor, verifyAnchors } from './anchors.ts';
import { checkContent, type GivenContent, type ProvenContent } from './content.ts';
import { checkNotBefore } from './not-before.ts';
import { checkPosition, readSigned, type Signed } from './position.ts';
import { checkReceivedAt } from './received-at.ts';
import { checkRound } from './round.ts';
import { keysFor } from './signature.ts';
import { type RoundTimes, reconcile } from './times.ts';
import { TreeMemory } from './tree-memory.ts';
import type { Trust } from './trust.ts';
import { checkWitnesses } from './witnesses.ts';

/** How many checkpoints, and trees with their nodes, are remembered. */
const CHECKPOINTS = 256;
const TREES = 8;
/** Rounds remembered for one checkpoint: there is one, but a receipt can claim any. */
const ROUNDS = 4;

/** What is to be verified. */
export interface VerifyInput extends GivenContent {
  /** A receipt: its JSON text, or what that parses to. A given digest is the SHA-256 of the content, 32 bytes. */
  readonly receipt: unknown;
}

/**
 * The verdict on a receipt (design section 1, "What a verdict means"). A receipt that says it is of the format and
 * breaks it is refuted.
 * @throws FormatError `receipt-invalid` where the input does not say it is a receipt at all
 * @throws FormatError `verifier-key` where the trusted key is none
 */
export async function verifyReceipt(input: VerifyInput, trust: Trust): Promise<Verdict> {
  return new ReceiptVerifier(trust).verdict(input);
}

/** The answer for one of many: its verdict, or why it is not a receipt at all. */
export type ReceiptAnswer = { readonly verdict: Verdict } | { readonly error: FormatError };

/**
 * The verdicts that `verifyReceipt` would come to, one after the other in the order of the inputs, with what receipts
 * have in common done once: signatures, rounds, anchors, the upper parts of trees. Sources are asked as of one moment.
 * What is remembered is bounded, however many there are.
 * @throws FormatError `verifier-key` where the trusted key is none
 */
export async function* verifyReceipts(
  inputs: Iterable<VerifyInput> | AsyncIterable<VerifyInput>,
  trust: Trust,
): AsyncGenerator<ReceiptAnswer, void, undefined> {
  const verifier = new ReceiptVerifier(trust);
  for await (const input of inputs) {
    let answer: ReceiptAnswer;
    try {
      answer = { verdict: await verifier.verdict(input) };
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      answer = { error };
    }
    yield answer;
  }
}

interface KnownRound {
  readonly round: RoundReceipt['round'];
  readonly anchors: RoundReceipt['anchors'];
  readonly claim: Claim;
  /** Null until it is asked for. */
  asked: Promise<RoundTimes> | null;
}

interface KnownCheckpoint {
  readonly signed: Signed;
  /** Of witnesses; null where none are asked for. */
  readonly witnesses: Claim | null;
  readonly rounds: KnownRound[];
}

/** Verifies any number of receipts by one trust. Of each round the sources are asked once. */
class ReceiptVerifier {
  readonly #trust: Trust;
  readonly #bitcoin: readonly HeaderSource[];
  readonly #checkpoints = new LruCache<string, KnownCheckpoint>(CHECKPOINTS);
  readonly #trees = new LruCache<string, TreeMemory>(TREES);
  #sources: Promise<EvmSources> | null = null;

  /** @throws FormatError `verifier-key` where the trusted key is none */
  constructor(trust: Trust) {
    this.#trust = trust;
    if (trust.key !== undefined) parseLogVerifier(trust.key);
    this.#bitcoin = (trust.bitcoin ?? []).map(remembering);
  }

  /** @throws FormatError `receipt-invalid` where the input does not say it is a receipt at all */
  async verdict(input: VerifyInput): Promise<Verdict> {
    const receipt = readReceipt(input.receipt);
    if (!('entry' in receipt)) return verdictOf([receipt], [], null);

    const known = this.#known(receipt);
    const { signed, witnesses } = known;
    const position = checkPosition(receipt, signed, this.#tree(receipt, signed));
    const shown = [
      checkContent(input, contentOf(receipt)),
      position,
      signed.claim,
      ...(witnesses === null ? [] : [witnesses]),
    ];
    const { now } = this.#trust;
    if (!('round' in receipt)) {
      const receivedAt = checkReceivedAt(receipt, { closedAt: null, anchored: [], now });
      return verdictOf([...shown, checkRound(receipt, null), receivedAt], [], null);
    }
    const round = this.#round(receipt, known);
    if (position.status === 'refuted' || round.claim.status === 'refuted') {
      const receivedAt = checkReceivedAt(receipt, { closedAt: null, anchored: [], now });
      return verdictOf([...shown, round.claim, receivedAt, ...notShown(receipt.anchors)], [], null);
    }
    round.asked ??= this.#ask(receipt);
    const { notBefore, findings } = await round.asked;
    const moments = findings.flatMap(({ moment }) => (moment === null ? [] : [moment]));
    const anchored = findings.flatMap(({ moment, claim: { grounds } }) =>
      moment === null ? [] : [{ moment, grounds }],
    );
    const receivedAt = checkReceivedAt(receipt, { closedAt: receipt.round.closedAt, anchored, now });
    const claims = [...shown, round.claim, ...notBefore.claims, receivedAt, ...findings.map(({ claim }) => claim)];
    return verdictOf(claims, moments, notBefore.moment);
  }

  #known({ checkpoint, entry }: Receipt): KnownCheckpoint {
    return this.#checkpoints.getOrMake(`${entry.log}\n${checkpoint}`, () => {
      const { policy } = this.#trust;
      const signed = readSigned(checkpoint, entry.log, keysFor(this.#trust, entry.log));
      const witnesses = policy === undefined || signed.read === null ? null : checkWitnesses(signed.read.note, policy);
      return { signed, witnesses, rounds: [] };
    });
  }

  #tree({ checkpoint }: Receipt, { read }: Signed): TreeMemory | null {
    if (read === null) return null;
    return this.#trees.getOrMake(checkpoint, () => new TreeMemory(read.head.size, read.head.root));
  }

  #round(receipt: RoundReceipt, { signed, rounds }: KnownCheckpoint): KnownRound {
    const { round, anchors } = receipt;
    const known = rounds.find((each) => sameJson(each.round, round) && sameJson(each.anchors, anchors));
    if (known !== undefined) return known;
    const made = { round, anchors, claim: checkRound(receipt, signed.read?.head ?? null), asked: null };
    if (rounds.push(made) > ROUNDS) rounds.shift();
    return made;
  }

  async #ask(receipt: RoundReceipt): Promise<RoundTimes> {
    this.#sources ??= sortSources(this.#trust.evm ?? []);
    const evm = await this.#sources;
    const bitcoin = this.#bitcoin;
    const notBefore = await checkNotBefore(receipt, evm, bitcoin);
    const { sameInstance } = notBefore;
    const { blockHashes = [], authorities = [] } = this.#trust;
    const trusted = { evm, bitcoin, sameInstance, blockHashes, authorities, work: newWorkBudget() };
    return reconcile({ notBefore, findings: await verifyAnchors(receipt.anchors, receipt.round.root, trusted) });
  }
}

function readReceipt(given: unknown): Receipt | Claim {
  let json = given;
  try {
    if (typeof given === 'string') json = parseReceiptJson(given);
    return parseReceipt(json);
  } catch (error) {
    if (error instanceof FormatError && error.code === 'receipt-ambiguous') {
      const says = `Nothing was checked: ${error.message}. Ask for the receipt again.`;
      return claimOf('receipt-ambiguous', { claim: 'position', grounds: 'bytes', says });
    }
    const named = typeof json === 'object' && json !== null && 'format' in json && json.format === RECEIPT_FORMAT;
    if (!(error instanceof FormatError) || !named) throw error;
    const says = `The receipt breaks its format, so it shows nothing: ${error.message}.`.slice(0, 2_000);
    return claimOf('receipt-invalid', { claim: 'position', grounds: 'bytes', says });
  }
}

function contentOf({ entry }: Receipt): ProvenContent {
  const own = fromHex(entry.digest);
  return {
    hash: 'SHA-256',
    digestOf: sha256,
    matches: (digest) => equalBytes(digest, own),
    own: 'the one in the receipt',
    proof: 'the receipt',
  };
}

/** The anchors of a root that the receipt does not lead to: what they prove is not about this entry. */
function notShown(anchors: readonly ReceiptAnchor[]): Claim[] {
  return anchors.map((anchor) =>
    isKnownAnchor(anchor)
      ? claimOf('round-not-shown', {
          claim: 'anchor',
          ...('chain' in anchor ? { chain: anchor.chain } : {}),
          grounds: 'none',
          says: 'The anchor was not checked, since the receipt does not lead from the entry to the root that it is of.',
        })
      : unknownAnchor(anchor),
  );
}
