// The verifier: pure code over a receipt, the content and what the verifier trusts. The same in server, command line
// and browser.

import { FormatError } from '../core/errors.ts';
import { parseReceipt, RECEIPT_FORMAT, type Receipt } from '../core/receipt.ts';
import { type Claim, type Moment, VERDICT_FORMAT, type Verdict } from '../core/verdict.ts';
import { checkAnchors } from './anchors.ts';
import { claimOf } from './codes.ts';
import { checkContent } from './content.ts';
import { sortSources } from './evm-chains.ts';
import { checkNotBefore } from './not-before.ts';
import { checkStanding } from './position.ts';
import { checkReceivedAt } from './received-at.ts';
import { checkRound } from './round.ts';
import type { Trust } from './trust.ts';

export type { EvmBlock, EvmLog, EvmSource, EvmTransaction } from '../core/evm-source.ts';
export { exitCode, type Verdict } from '../core/verdict.ts';
export type { Trust } from './trust.ts';

/** What is to be verified. */
export interface VerifyInput {
  /** A receipt as JSON, parsed but not yet checked. */
  readonly receipt: unknown;
  /** The content the receipt should be about. */
  readonly payload?: Uint8Array | undefined;
  /** Its SHA-256 digest, 32 bytes, for those who do not hold the content. */
  readonly digest?: Uint8Array | undefined;
}

/**
 * The verdict on a receipt (design section 1, "What a verdict means"). A receipt that says it is of the format and
 * breaks it is refuted.
 * @throws FormatError `receipt-invalid` where the input does not say it is a receipt at all
 * @throws FormatError `verifier-key` where the trusted key is none
 */
export async function verifyReceipt(input: VerifyInput, trust: Trust): Promise<Verdict> {
  const receipt = readReceipt(input.receipt);
  if (!('entry' in receipt)) return verdictOf([receipt], [], null);

  const content = checkContent(receipt, input);
  const { position, checkpoint, head } = checkStanding(receipt, trust.key);
  const round = checkRound(receipt, head);
  const shown = [content, position, checkpoint, round];
  const { now } = trust;
  if (!('round' in receipt)) {
    return verdictOf([...shown, checkReceivedAt(receipt, { closedAt: null, anchored: null, now })], [], null);
  }
  if (position.status === 'refuted' || round.status === 'refuted') {
    const receivedAt = checkReceivedAt(receipt, { closedAt: null, anchored: null, now });
    return verdictOf([...shown, receivedAt, ...notShown(receipt.anchors)], [], null);
  }
  const sources = await sortSources(trust.evm ?? []);
  const notBefore = await checkNotBefore(receipt, sources);
  const answers = await checkAnchors(receipt, { sources, sameInstance: notBefore.sameInstance, trust });
  const moments = answers.flatMap(({ moment }) => (moment === null ? [] : [moment]));
  const first = earliest(moments);
  const grounds = answers.find(({ moment }) => moment === first)?.claim.grounds ?? 'none';
  const anchored = first === null ? null : { at: first.time, grounds };
  const bounds = { closedAt: receipt.round.closedAt, anchored, now };
  const claims = [
    ...shown,
    ...notBefore.claims,
    checkReceivedAt(receipt, bounds),
    ...answers.map(({ claim }) => claim),
  ];
  return verdictOf(claims, moments, notBefore.moment);
}

function readReceipt(json: unknown): Receipt | Claim {
  try {
    return parseReceipt(json);
  } catch (error) {
    const named = typeof json === 'object' && json !== null && 'format' in json && json.format === RECEIPT_FORMAT;
    if (!(error instanceof FormatError) || !named) throw error;
    const says = `The receipt breaks its format, so it shows nothing: ${error.message}.`.slice(0, 2_000);
    return claimOf('receipt-invalid', { claim: 'position', grounds: 'bytes', says });
  }
}

/** The anchors of a root that the receipt does not lead to: whatever they prove, it is not about this entry. */
function notShown(anchors: readonly { type: string; chain?: string }[]): Claim[] {
  return anchors.map(({ chain }) =>
    claimOf('round-not-shown', {
      claim: 'anchor',
      ...(chain === undefined ? {} : { chain }),
      grounds: 'none',
      says: 'The anchor was not looked into, since the receipt does not lead from the entry to the root it is of.',
    }),
  );
}

const DECISIVE: readonly Claim['claim'][] = ['content', 'position', 'checkpoint', 'round'];

function verdictOf(claims: Claim[], moments: readonly Moment[], notBefore: Moment | null): Verdict {
  const refuted = claims.some(({ claim, status }) => status === 'refuted' && DECISIVE.includes(claim));
  const existedBefore = refuted ? null : earliest(moments);
  const anchorRefuted = claims.some(({ claim, status }) => claim === 'anchor' && status === 'refuted');
  return {
    format: VERDICT_FORMAT,
    result: existedBefore !== null ? 'proven' : refuted || anchorRefuted ? 'refuted' : 'unproven',
    existedBefore,
    notBefore: refuted ? null : notBefore,
    claims,
  };
}

/** Times of one form compare as text. */
function earliest(moments: readonly Moment[]): Moment | null {
  return moments.reduce<Moment | null>(
    (first, each) => (first === null || each.time < first.time ? each : first),
    null,
  );
}
