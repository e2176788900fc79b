// What is asked of `POST /v1/verify`, and the verdict on it. It runs in a thread of its own: see verifications.ts.

import { z } from 'zod';
import { excerpt, fromBase64, utf8 } from '../core/bytes.ts';
import { FormatError, messageOf } from '../core/errors.ts';
import { parseJson, repeatedMember } from '../core/json.ts';
import { MAX_COSE_RECEIPT_BYTES } from '../core/limits.ts';
import { type Policy, parsePolicy } from '../core/policy.ts';
import { isTlogProof } from '../core/tlog-proof.ts';
import { isOtsFile } from '../ots/file.ts';
import {
  type Trust,
  type Verdict,
  verifyCoseReceipt,
  verifyReceipt,
  verifyTimestamp,
  verifyTlogProof,
} from '../verify/verify.ts';
import { parseDigest, parseFileDigest } from './parameters.ts';

/** Characters of base64 that the largest .ots file has. */
const MAX_OTS_LENGTH = 349_528;
/** And the largest COSE receipt. */
const MAX_COSE_LENGTH = 4 * Math.ceil(MAX_COSE_RECEIPT_BYTES / 3);
/** Characters of a tlog-proof, of a policy, and of certificates. */
const MAX_TEXT_LENGTH = 262_144;

export const verificationRequest = z.strictObject({
  receipt: z.unknown().optional(),
  ots: z.string().max(MAX_OTS_LENGTH).optional(),
  tlogProof: z.string().max(MAX_TEXT_LENGTH).optional(),
  cose: z.string().max(MAX_COSE_LENGTH).optional(),
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
  const { receipt, ots, tlogProof, cose, payload, digest, key, policy, authorities } = parsed.data;
  if ([receipt, ots, tlogProof, cose].filter((proof) => proof !== undefined).length !== 1) throw invalid(EXPECTED);
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
  const about = { ...content, ...(digest === undefined ? {} : { digest: parseDigest(digest) }) };
  if (cose !== undefined) return verifyCoseReceipt({ cose: fromBase64(cose), ...about }, trust);
  if (tlogProof === undefined) return verifyReceipt({ receipt, ...about }, trust);
  if (!isTlogProof(tlogProof)) throw invalid('what was sent as `tlogProof` does not begin as tlog-proofs do');
  return verifyTlogProof({ proof: tlogProof, ...about }, trust);
}

const EXPECTED =
  'send one of {"receipt": {…}}, {"ots": "<base64>"}, {"tlogProof": "<text>"} and {"cose": "<base64>"}, with "payload": "<base64>" or "digest": "<hex>"; ' +
  'of a log\'s proofs also "key": "<verifier key>" and "policy": "<text>"';

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
