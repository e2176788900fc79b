// Forms that several answers have parts of.

import { z } from 'zod';
import { HASH_HEX } from '../core/bytes.ts';
import { receiptSchema } from '../core/receipt-schema.ts';
import { verdictSchema } from '../core/verdict-schema.ts';

z.globalRegistry.add(receiptSchema, { id: 'Receipt', description: '`antequem-receipt/v1`; docs/formats.md.' });
z.globalRegistry.add(verdictSchema, { id: 'Verdict', description: '`antequem-verdict/v1`; docs/verdict-codes.md.' });

export const receiptForm = receiptSchema;
export const verdictForm = verdictSchema;

/** 32 bytes. */
export const hashForm = z.string().regex(HASH_HEX);
/** A point in time, by the service's clock. */
export const timeForm = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  .meta({ format: 'date-time' });
/** The origin of a log: `log.example.org/logs/payments`. */
export const originForm = z.string().meta({ description: "The log's origin: what it signs as." });
export const countForm = z.int().nonnegative();

export const beaconForm = z.object({ chain: z.string(), height: countForm, hash: z.string() });

export const entryForm = z
  .object({
    log: originForm,
    index: countForm,
    receivedAt: timeForm,
    digest: hashForm.nullable().meta({ description: 'SHA-256 of the payload; null once erased.' }),
    nonce: z
      .string()
      .regex(/^([0-9a-f]{32})?$/)
      .nullable()
      .meta({ description: '16 random bytes, empty in an unblinded log; null once erased.' }),
    commitment: hashForm.meta({ description: 'SHA-256 of digest and nonce.' }),
    leafHash: hashForm,
    payloadSize: countForm.nullable().meta({ description: 'Bytes; null where there is no payload.' }),
    erased: z.boolean(),
  })
  .meta({ id: 'Entry' });

export const payloadForm = z
  .union([z.object({ text: z.string() }), z.object({ base64: z.string() })])
  .nullable()
  .meta({ description: 'As text where it is UTF-8; null where it was erased or stayed with the client.' });
