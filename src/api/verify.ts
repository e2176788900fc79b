import type { Router } from 'express';
import { z } from 'zod';
import { fromBase64 } from '../core/bytes.ts';
import { FormatError } from '../core/errors.ts';
import type { EvmSource } from '../core/evm-source.ts';
import { MAX_RECEIPT_TEXT } from '../core/receipt.ts';
import { verifyReceipt } from '../verify/verify.ts';
import type { Gate } from './access.ts';
import { type BodyBudget, bodyReader, parseJson } from './body.ts';
import { parseDigest } from './parameters.ts';
import { exactRouter } from './routing.ts';

const request = z.strictObject({
  receipt: z.unknown(),
  payload: z
    .string()
    .max(2 << 20)
    .optional(),
  digest: z.string().optional(),
  key: z.string().max(1_024).optional(),
});

/** A verdict on a receipt, by the service's own nodes: a convenience, since nobody needs it. */
export function verifyRoutes(gate: Gate, sources: readonly EvmSource[], budget: BodyBudget): Router {
  const readBody = bodyReader(MAX_RECEIPT_TEXT + (2 << 20), budget);
  return exactRouter().post('/v1/verify', async (httpRequest, response) => {
    // Any key will do, but some: it costs the operator calls to nodes.
    await gate.caller(httpRequest);
    const parsed = request.safeParse(parseJson(await readBody(httpRequest, response)));
    if (!parsed.success) {
      throw new FormatError(
        'verify-invalid',
        'send {"receipt": {…}, "payload": "<base64>" or "digest": "<hex>", "key": "<verifier key>"}',
      );
    }
    const { receipt, payload, digest, key } = parsed.data;
    const verdict = await verifyReceipt(
      {
        receipt,
        ...(payload === undefined ? {} : { payload: fromBase64(payload) }),
        ...(digest === undefined ? {} : { digest: parseDigest(digest) }),
      },
      { evm: [...sources], ...(key === undefined ? {} : { key }) },
    );
    response.json(verdict);
  });
}
