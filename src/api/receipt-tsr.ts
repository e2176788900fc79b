import type { Router } from 'express';
import { z } from 'zod';
import { readRoundResponse } from '../tsa/response-file.ts';
import type { Gate } from './access.ts';
import { described } from './description.ts';
import { pathIndex, pathLog, pathLogName, query } from './parameters.ts';
import { Problem } from './problem.ts';
import { RECEIPT_PROBLEMS } from './receipts.ts';
import { exactRouter } from './routing.ts';
import type { Service } from './service.ts';

const tsrQuery = z.strictObject({
  authority: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,39}$/, 'not the name of an authority, as TSA_FILE has it')
    .optional()
    .meta({ description: 'The name of one of the service’s authorities; by default the earliest token.' }),
});

const readTsr = described({
  id: 'readReceiptTsr',
  tag: 'Receipts',
  summary: 'The RFC 3161 response for its round',
  description:
    'A token over the root of the round, for `openssl ts -verify -digest ROOT`. The path from the entry to that root is in the receipt.',
  access: 'read',
  query: tsrQuery,
  answers: { 200: { says: 'The response (DER).', content: { 'application/timestamp-reply': 'bytes' } } },
  problems: [...RECEIPT_PROBLEMS, 'receipt-pending', 'token-absent'],
});

/** Receipts as responses of timestamp authorities. */
export function receiptTsrRoutes({ database, registry, receipts }: Service, gate: Gate): Router {
  return exactRouter().get('/v1/logs/:log/entries/:index/receipt.tsr', readTsr, async (request, response) => {
    await gate.admit(request, 'read', pathLogName(request));
    const log = await pathLog(request, registry);
    const index = pathIndex(request, 'index');
    const { authority = null } = query(request, tsrQuery);
    const receipt = await receipts.compose(log, index);
    if (!('round' in receipt)) {
      throw new Problem('receipt-pending', `the round of entry ${index} of ${log.name} has not closed yet: ask later`);
    }
    const found = await readRoundResponse(database, receipt.round.number, authority);
    if (found === null) {
      const by = authority === null ? 'a timestamp authority' : `the timestamp authority ${authority}`;
      throw new Problem('token-absent', `round ${receipt.round.number} has no token of ${by}, or not yet`);
    }
    response.attachment(`${log.name}-${index}.${found.target}.tsr`);
    response.type('application/timestamp-reply').send(Buffer.from(found.response));
  });
}
