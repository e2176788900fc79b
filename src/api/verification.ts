// What is asked of `POST /v1/verify`, and the verdict on it. It runs in a thread of its own: see verifications.ts.

import { z } from 'zod';
import { excerpt, fromBase64 } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { parseJson, repeatedMember } from '../core/json.ts';
import { isOtsFile } from '../ots/file.ts';
import { type Trust, type Verdict, verifyReceipt, verifyTimestamp } from '../verify/verify.ts';
import { parseDigest, parseFileDigest } from './parameters.ts';

/** Characters of base64 that the largest .ots file has. */
const MAX_OTS_LENGTH = 349_528;

export const verificationRequest = z.strictObject({
  receipt: z.unknown().optional(),
  ots: z.string().max(MAX_OTS_LENGTH).optional(),
  payload: z
    .string()
    .max(2 << 20)
    .optional(),
  digest: z.string().optional(),
  key: z.string().max(1_024).optional(),
});

/** What the service itself trusts. */
export type OwnSources = Pick<Trust, 'evm' | 'bitcoin'>;

/**
 * The verdict on the body of a request.
 * @throws FormatError `json-invalid`, `verify-invalid`, `base64-invalid`, `digest-invalid`, `receipt-invalid`, `verifier-key`
 */
export async function verdictOn(body: Uint8Array, sources: OwnSources): Promise<Verdict> {
  const json = parseJson(body);
  if (json === undefined) throw new FormatError('json-invalid', 'the body is not JSON in UTF-8');
  const twice = repeatedMember(new TextDecoder().decode(body));
  if (twice !== null) {
    const says = `an object in the body has the member ${excerpt(twice)} twice, so readers may see different receipts in it`;
    throw new FormatError('verify-invalid', says);
  }
  const parsed = verificationRequest.safeParse(json);
  if (!parsed.success || (parsed.data.ots === undefined) === (parsed.data.receipt === undefined)) {
    throw new FormatError(
      'verify-invalid',
      'send {"receipt": {…}} or {"ots": "<base64>"} with "payload": "<base64>" or "digest": "<hex>", and of a receipt "key": "<verifier key>"',
    );
  }
  const { receipt, ots, payload, digest, key } = parsed.data;
  const content = payload === undefined ? {} : { payload: fromBase64(payload) };
  if (ots === undefined) {
    return verifyReceipt(
      { receipt, ...content, ...(digest === undefined ? {} : { digest: parseDigest(digest) }) },
      { ...sources, ...(key === undefined ? {} : { key }) },
    );
  }
  const bytes = fromBase64(ots);
  if (!isOtsFile(bytes))
    throw new FormatError('verify-invalid', 'what was sent as `ots` does not begin as .ots files do');
  return verifyTimestamp(
    { ots: bytes, ...content, ...(digest === undefined ? {} : { digest: parseFileDigest(digest) }) },
    sources,
  );
}
