import type { Router } from 'express';
import { MAX_RECEIPT_TEXT } from '../core/receipt.ts';
import type { Gate } from './access.ts';
import { type BodyBudget, bodyReader } from './body.ts';
import { described, jsonAnswer } from './description.ts';
import { verdictForm } from './forms.ts';
import { exactRouter } from './routing.ts';
import { verificationRequest } from './verification.ts';
import type { Verifications } from './verifications.ts';

const verify = described({
  id: 'verifyReceipt',
  tag: 'Verification',
  summary: 'A verdict on a receipt, an .ots file, a tlog-proof, a COSE receipt or a timestamp token',
  description: 'By the nodes of this service: a convenience, since `antequem verify` needs neither it nor us.',
  access: 'any',
  body: { 'application/json': verificationRequest },
  answers: { 200: jsonAnswer('The verdict.', verdictForm) },
  problems: [
    'base64-invalid',
    'certificate-invalid',
    'digest-invalid',
    'json-invalid',
    'receipt-invalid',
    'verifier-key',
    'verify-invalid',
  ],
});

/** Verdicts by the service's own nodes: a convenience, since receipts verify without the service. */
export function verifyRoutes(gate: Gate, verifications: Verifications, budget: BodyBudget): Router {
  const readBody = bodyReader(MAX_RECEIPT_TEXT + (2 << 20), budget);
  return exactRouter().post('/v1/verify', verify, async (request, response) => {
    // Any key will do, but a key is needed, and it counts against its rate: it costs the operator calls to nodes.
    await gate.caller(request);
    response.type('json').send(await verifications.verdict(await readBody(request, response)));
  });
}
