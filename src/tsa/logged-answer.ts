// What a service says of a token of its own authority: whether and where it was logged.

import * as z from 'zod/mini';
import { FormatError } from '../core/errors.ts';
import { boundedAnchors, parseReceiptJson, type ReceiptAnchor } from '../core/receipt.ts';
import { MAX_ANCHORS, receiptAnchorSchema, roundSchema, timeSchema } from '../core/receipt-schema.ts';

const hash = z.string().check(z.regex(/^[0-9a-f]{64}$/));

const answer = z.looseObject({
  digest: hash,
  state: z.enum(['logged', 'waiting', 'not-logged']),
  certificate: hash,
  round: z.nullable(roundSchema),
  anchors: z.array(receiptAnchorSchema).check(z.maxLength(MAX_ANCHORS)),
  newestRound: z.nullable(z.looseObject({ closedAt: timeSchema })),
});

export interface LoggedAnswer {
  /** SHA-256 of the token, hex. */
  readonly digest: string;
  readonly state: 'logged' | 'waiting' | 'not-logged';
  /** SHA-256 of the certificate that the authority signs with now, hex. */
  readonly certificate: string;
  readonly round: z.infer<typeof roundSchema> | null;
  readonly anchors: readonly ReceiptAnchor[];
  readonly newestRound: { readonly closedAt: string } | null;
}

/**
 * The answer of `GET /v1/tsa/{digest}`, of which nothing is checked but its form.
 * @throws FormatError `token-answer-invalid`; `receipt-ambiguous` where an object has a member twice
 */
export function parseLoggedAnswer(text: string): LoggedAnswer {
  try {
    const read = answer.parse(parseReceiptJson(text), { jitless: !('process' in globalThis) });
    return { ...read, anchors: boundedAnchors(read.anchors) };
  } catch (cause) {
    if (cause instanceof FormatError && cause.code === 'receipt-ambiguous') throw cause;
    const says = 'this is not what GET /v1/tsa/{digest} of a service answers';
    throw new FormatError('token-answer-invalid', says, { cause });
  }
}
