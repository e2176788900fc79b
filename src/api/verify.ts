import type { Router } from 'express';
import { z } from 'zod';
import { fromBase64 } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import { MAX_RECEIPT_TEXT } from '../core/receipt.ts';
import { isOtsFile } from '../ots/file.ts';
import { type Trust, type Verdict, verifyReceipt, verifyTimestamp } from '../verify/verify.ts';
import type { Gate } from './access.ts';
import { type BodyBudget, bodyJson, bodyReader } from './body.ts';
import { described, jsonAnswer } from './description.ts';
import { verdictForm } from './forms.ts';
import { parseDigest, parseFileDigest } from './parameters.ts';
import { exactRouter } from './routing.ts';

/** Characters of base64 that the largest .ots file has. */
const MAX_OTS = 349_528;

const request = z.strictObject({
  receipt: z.unknown().optional(),
  ots: z.string().max(MAX_OTS).optional(),
  payload: z
    .string()
    .max(2 << 20)
    .optional(),
  digest: z.string().optional(),
  key: z.string().max(1_024).optional(),
});
type Asked = z.output<typeof request>;

const verify = described({
  id: 'verifyReceipt',
  tag: 'Verification',
  summary: 'A verdict on a receipt or an .ots file',
  description: 'By the nodes of this service: a convenience, since `antequem verify` needs neither it nor us.',
  access: 'any',
  body: { 'application/json': request },
  answers: { 200: jsonAnswer('The verdict.', verdictForm) },
  problems: ['base64-invalid', 'digest-invalid', 'json-invalid', 'receipt-invalid', 'verifier-key', 'verify-invalid'],
});

/** What the service itself trusts. */
export type OwnSources = Pick<Trust, 'evm' | 'bitcoin'>;

/** A verdict on a receipt or an .ots file, by the service's own nodes: a convenience, since nobody needs it. */
export function verifyRoutes(gate: Gate, sources: OwnSources, budget: BodyBudget): Router {
  const readBody = bodyReader(MAX_RECEIPT_TEXT + (2 << 20), budget);
  return exactRouter().post('/v1/verify', verify, async (httpRequest, response) => {
    // Any key will do, but some: it costs the operator calls to nodes.
    await gate.caller(httpRequest);
    const parsed = request.safeParse(bodyJson(await readBody(httpRequest, response)));
    if (!parsed.success || (parsed.data.ots === undefined) === (parsed.data.receipt === undefined)) {
      throw new FormatError(
        'verify-invalid',
        'send {"receipt": {…}} or {"ots": "<base64>"} with "payload": "<base64>" or "digest": "<hex>", and of a receipt "key": "<verifier key>"',
      );
    }
    response.json(await verdictOn(parsed.data, sources));
  });
}

function verdictOn({ receipt, ots, payload, digest, key }: Asked, sources: OwnSources): Promise<Verdict> {
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
