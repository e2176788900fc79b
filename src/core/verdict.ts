// `antequem-verdict/v1`: the one answer that command line, API, page and audit give.

import * as z from 'zod/mini';
import { blockHashSchema, chainSchema, countSchema, timeSchema } from './receipt-schema.ts';

export const VERDICT_FORMAT = 'antequem-verdict/v1';

const moment = z.strictObject({
  time: timeSchema,
  chain: chainSchema,
  block: z.strictObject({ number: countSchema(0), hash: blockHashSchema }),
});

const claim = z.strictObject({
  claim: z.enum(['content', 'position', 'checkpoint', 'round', 'not-before', 'received-at', 'anchor']),
  status: z.enum(['verified', 'refuted', 'unverified']),
  /** CAIP-2; of claims that speak of a chain. */
  chain: z.exactOptional(chainSchema),
  time: z.exactOptional(timeSchema),
  /** What the status rests on; `none` where nothing that could settle the claim was at hand. */
  grounds: z.enum(['bytes', 'key', 'rpc', 'block-hash', 'bitcoin-node', 'esplora', 'none']),
  /** Stable; docs/verdict-codes.md explains each. */
  code: z.string().check(z.regex(/^[a-z0-9]+(?:-[a-z0-9]+)*$/), z.maxLength(64)),
  /** One plain sentence. */
  says: z.string().check(z.minLength(1), z.maxLength(2_000)),
});

export const verdictSchema = z.strictObject({
  format: z.literal(VERDICT_FORMAT),
  result: z.enum(['proven', 'refuted', 'unproven']),
  /** The earliest block proven to hold the round's root: the digest was known before its time. */
  existedBefore: z.nullable(moment),
  /** The latest block proven to have gone into the round: the round is not older. The entry may be. */
  notBefore: z.nullable(moment),
  claims: z.array(claim).check(z.maxLength(64)),
});

export type Verdict = z.infer<typeof verdictSchema>;
export type Claim = z.infer<typeof claim>;
export type Moment = z.infer<typeof moment>;

/** Exit code of `verify` and `audit`: 0 proven against a trusted source, 1 refuted, 2 consistent but not proven. */
export function exitCode(verdict: Pick<Verdict, 'result'>): 0 | 1 | 2 {
  switch (verdict.result) {
    case 'proven':
      return 0;
    case 'refuted':
      return 1;
    case 'unproven':
      return 2;
  }
}
