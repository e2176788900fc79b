// What is asked of `POST /v1/verify`, and the verdict on it. It runs in a thread of its own: see verifications.ts.

import { z } from 'zod';
import { excerpt, fromBase64, utf8 } from '../core/bytes.ts';
import { FormatError, messageOf } from '../core/errors.ts';
import { parseJson, repeatedMember } from '../core/json.ts';
import { MAX_COSE_RECEIPT_BYTES } from '../core/limits.ts';
import { type Policy, parsePolicy } from '../core/policy.ts';
import { isTlogProof } from '../core/tlog-proof.ts';
import { isOtsFile } from '../ots/file.ts';
import { MAX_TOKEN_BYTES } from '../tsa/asn1.ts';
import { isTokenFile } from '../tsa/token-file.ts';
import {
  type Trust,
  type Verdict,
  verifyCoseReceipt,
  verifyReceipt,
  verifyTimestamp,
  verifyTlogProof,
  verifyToken,
} from '../verify/verify.ts';
import { parseDigest, parseFileDigest, parseTokenDigest } from './parameters.ts';

/** Characters of base64 that the largest .ots file has. */
const MAX_OTS_LENGTH = 349_528;
/** And the largest COSE receipt. */
const MAX_COSE_LENGTH = 4 * Math.ceil(MAX_COSE_RECEIPT_BYTES / 3);
/** And the largest token, or response with one. */
const MAX_TOKEN_LENGTH = 4 * Math.ceil(MAX_TOKEN_BYTES / 3);
/** Characters of a tlog-proof, of a policy, and of certificates. */
const MAX_TEXT_LENGTH = 262_144;

export const verificationRequest = z.strictObject({
  receipt: z.unknown().optional(),
  ots: z.string().max(MAX_OTS_LENGTH).optional(),
  tlogProof: z.string().max(MAX_TEXT_LENGTH).optional(),
  cose: z.string().max(MAX_COSE_LENGTH).optional(),
  token: z
    .string()
    .max(MAX_TOKEN_LENGTH)
    .optional()
    .meta({ description: 'A timestamp token (RFC 3161), or a response with one: DER in base64.' }),
  logged: z
    .record(z.string(), z.unknown())
    .optional()
    .meta({ description: 'Of a token: what `GET /v1/tsa/{digest}` of the service of its authority answered.' }),
  payload: z
    .string()
    .max(2 << 20)
    .optional(),
  digest: z.string().optional(),
  key: z.string().max(4_096).optional(),
  policy: z.string().max(MAX_TEXT_LENGTH).optional(),
  authorities: z
    .string()
    .max(MAX_TEXT_LENGTH)
    .optional()
    .meta({ description: 'CAs of timestamp authorities that you trust, with what tokens lack: PEM.' }),
});

/** What the service itself trusts, its clock included. */
export type OwnSources = Pick<Trust, 'evm' | 'bitcoin' | 'authorities' | 'now'>;

/**
 * The verdict on the body of a request.
 * @throws FormatError `json-invalid`, `verify-invalid`, `base64-invalid`, `certificate-invalid`, `digest-invalid`, `receipt-invalid`, `verifier-key`
 */
export async function verdictOn(body: Uint8Array, sources: OwnSources): Promise<Verdict> {
  const json = parseJson(body);
  if (json === undefined) throw new FormatError('json-invalid', 'the body is not JSON in UTF-8');
  const twice = repeatedMember(new TextDecoder().decode(body));
  if (twice !== null) {
    const says = `an object in the body has the member ${excerpt(twice)} twice, so readers may see different receipts in it`;
    throw invalid(says);
  }
  const parsed = verificationRequest.safeParse(json);
  if (!parsed.success) throw invalid(EXPECTED);
  const { receipt, ots, tlogProof, cose, token, logged, payload, digest, key, policy, authorities } = parsed.data;
  const proofs = [receipt, ots, tlogProof, cose, token].filter((proof) => proof !== undefined);
  if (proofs.length !== 1 || (logged !== undefined && token === undefined)) throw invalid(EXPECTED);
  const content = payload === undefined ? {} : { payload: fromBase64(payload) };
  const trust: Trust = {
    ...sources,
    ...(key === undefined ? {} : { key }),
    ...(policy === undefined ? {} : { policy: policyIn(policy) }),
    // CAs that are named replace those of the service.
    ...(authorities === undefined ? {} : { authorities: [utf8(authorities)] }),
  };
  if (ots !== undefined) {
    const bytes = fromBase64(ots);
    if (!isOtsFile(bytes)) throw invalid('what was sent as `ots` does not begin as .ots files do');
    return verifyTimestamp(
      { ots: bytes, ...content, ...(digest === undefined ? {} : { digest: parseFileDigest(digest) }) },
      trust,
    );
  }
  if (token !== undefined) {
    const bytes = fromBase64(token);
    if (!isTokenFile(bytes)) throw invalid('what was sent as `token` does not begin as timestamp tokens do');
    const input = { ...content, ...(digest === undefined ? {} : { digest: parseTokenDigest(digest) }) };
    // Whoever sends the answer may have made it up: it proves that the token was logged, not that it was not.
    const answer = logged === undefined ? {} : { logged: { text: textOf(logged), asked: false } };
    return tokenVerdict(verifyToken({ token: bytes, ...answer, ...input }, trust));
  }
  const about = { ...content, ...(digest === undefined ? {} : { digest: parseDigest(digest) }) };
  if (cose !== undefined) return verifyCoseReceipt({ cose: fromBase64(cose), ...about }, trust);
  if (tlogProof === undefined) return verifyReceipt({ receipt, ...about }, trust);
  if (!isTlogProof(tlogProof)) throw invalid('what was sent as `tlogProof` does not begin as tlog-proofs do');
  return verifyTlogProof({ proof: tlogProof, ...about }, trust);
}

function textOf(json: unknown): string {
  try {
    return JSON.stringify(json);
  } catch {
    throw invalid('`logged` is nested too deeply');
  }
}

/** What is wrong with a token beside its content is the body's fault. */
async function tokenVerdict(verdict: Promise<Verdict>): Promise<Verdict> {
  try {
    return await verdict;
  } catch (error) {
    const own = error instanceof FormatError && ['token-refused', 'token-answer-invalid'].includes(error.code);
    throw own ? invalid(error.message) : error;
  }
}

const EXPECTED =
  'send one of {"receipt": {…}}, {"ots": "<base64>"}, {"tlogProof": "<text>"}, {"cose": "<base64>"} and {"token": "<base64>"}, with "payload": "<base64>" or "digest": "<hex>"; ' +
  'of a log\'s proofs also "key": "<verifier key>" and "policy": "<text>", of a token "logged": {…}';

function invalid(says: string): FormatError {
  return new FormatError('verify-invalid', says);
}

function policyIn(text: string): Policy {
  try {
    return parsePolicy(utf8(text));
  } catch (error) {
    throw invalid(messageOf(error));
  }
}
