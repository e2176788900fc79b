// The form of `antequem-verdict/v1` and of its moments, checked and published; `moment.ts` and `verdict.ts` have the types.

import * as z from 'zod/mini';
import type { BlockMoment, Moment } from './moment.ts';
import { blockHashSchema, chainSchema, countSchema, timeSchema } from './receipt-schema.ts';
import { type Claim, VERDICT_FORMAT, type Verdict } from './verdict.ts';

/** Milliseconds that the stamp may be off either way; without it none. */
const tolerance = z.exactOptional(countSchema(0));

export const blockMomentSchema = z.strictObject({
  time: timeSchema,
  tolerance,
  chain: chainSchema,
  block: z.strictObject({ number: countSchema(0), hash: blockHashSchema }),
}) satisfies z.ZodMiniType<BlockMoment>;

const authorityMoment = z.strictObject({
  time: timeSchema,
  tolerance,
  authority: z.string().check(z.minLength(1), z.maxLength(1_024)),
});

const moment = z.union([blockMomentSchema, authorityMoment]) satisfies z.ZodMiniType<Moment>;

const claim = z.strictObject({
  claim: z.enum(['content', 'position', 'checkpoint', 'round', 'not-before', 'received-at', 'anchor']),
  status: z.enum(['verified', 'refuted', 'unverified']),
  chain: z.exactOptional(chainSchema),
  time: z.exactOptional(timeSchema),
  grounds: z.enum(['bytes', 'key', 'rpc', 'block-hash', 'bitcoin-node', 'esplora', 'tsa', 'service', 'none']),
  code: z.string().check(z.regex(/^[a-z0-9]+(?:-[a-z0-9]+)*$/), z.maxLength(64)),
  says: z.string().check(z.minLength(1), z.maxLength(2_000)),
}) satisfies z.ZodMiniType<Claim>;

export const verdictSchema = z.strictObject({
  format: z.literal(VERDICT_FORMAT),
  result: z.enum(['proven', 'refuted', 'unproven']),
  existedBefore: z.nullable(moment),
  notBefore: z.nullable(moment),
  claims: z.array(claim).check(z.maxLength(64)),
}) satisfies z.ZodMiniType<Verdict>;
