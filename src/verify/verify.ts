// The verifier: pure code over a proof, the content and what the verifier trusts. The same on server, command line and
// in browsers.

import { isCoseMessage } from '../core/cose-receipt.ts';
import { FormatError } from '../core/errors.ts';
import { proofText } from '../core/proof-text.ts';
import { isTlogProof } from '../core/tlog-proof.ts';
import type { Verdict } from '../core/verdict.ts';
import { isOtsFile } from '../ots/file.ts';
import { isTokenFile } from '../tsa/token-file.ts';
import { type GivenTrees, verifyCoseReceipt } from './cose-receipt.ts';
import { verifyReceipt } from './receipt.ts';
import { verifyTimestamp } from './timestamp.ts';
import { verifyTlogProof } from './tlog-proof.ts';
import { type TokenAnswer, verifyToken } from './token.ts';
import type { Trust } from './trust.ts';

export type { BitcoinBlock, HeaderSource } from '../core/bitcoin-source.ts';
export { FormatError } from '../core/errors.ts';
export type { EvmBlock, EvmLog, EvmSource, EvmTransaction } from '../core/evm-source.ts';
export { lowerTime, type Moment, upperTime } from '../core/moment.ts';
export { type Policy, parsePolicy } from '../core/policy.ts';
export { exitCode, type Verdict } from '../core/verdict.ts';
export { type GivenTree, type GivenTrees, type VerifyCoseReceiptInput, verifyCoseReceipt } from './cose-receipt.ts';
export { type NextStep, nextSteps } from './next-step.ts';
export { type ReceiptAnswer, type VerifyInput, verifyReceipt, verifyReceipts } from './receipt.ts';
export { type VerifyTimestampInput, verifyTimestamp } from './timestamp.ts';
export { type VerifyTlogProofInput, verifyTlogProof } from './tlog-proof.ts';
export { type TokenAnswer, type VerifyTokenInput, verifyToken } from './token.ts';
export type { Trust } from './trust.ts';

/** A proof, and what it should be about. */
export interface ProofInput {
  /**
   * A receipt (its JSON, or the text or bytes of that), the bytes of an .ots file, a tlog-proof (text or bytes), or
   * the bytes of a COSE receipt or of a timestamp token (RFC 3161).
   */
  readonly proof: unknown;
  /** The content that it should be about: bytes, or text, which stands for its UTF-8. */
  readonly payload?: Uint8Array | string | undefined;
  /** The content's digest, for those who do not hold it: SHA-256, of an .ots file what that names. */
  readonly digest?: Uint8Array | undefined;
  /** Of a COSE receipt of consistency: the trees that it is about. */
  readonly trees?: GivenTrees | undefined;
  /** Of a token: what the service of its authority says of it. */
  readonly logged?: TokenAnswer | undefined;
}

/**
 * The verdict on a receipt, an .ots file, a tlog-proof, a COSE receipt or a token (design section 1, "What a verdict means").
 * @throws FormatError `proof-unknown` where it is none of these, `verifier-key` where the trusted key is none
 */
export async function verify({ proof, logged, trees, ...content }: ProofInput, trust: Trust): Promise<Verdict> {
  if (proof instanceof Uint8Array && isOtsFile(proof)) return verifyTimestamp({ ots: proof, ...content }, trust);
  if (proof instanceof Uint8Array && isCoseMessage(proof))
    return verifyCoseReceipt({ cose: proof, trees, ...content }, trust);
  if (proof instanceof Uint8Array && isTokenFile(proof))
    return verifyToken({ token: proof, logged, ...content }, trust);
  const text = proof instanceof Uint8Array ? proofText(proof) : proof;
  if (typeof text === 'string' && isTlogProof(text)) return verifyTlogProof({ proof: text, ...content }, trust);
  try {
    return await verifyReceipt({ receipt: text, ...content }, trust);
  } catch (cause) {
    if (!(cause instanceof FormatError) || cause.code !== 'receipt-invalid') throw cause;
    const says = `neither a receipt, nor an .ots file, nor a tlog-proof, nor a COSE receipt, nor a token (${cause.message})`;
    throw new FormatError('proof-unknown', says, { cause });
  }
}
