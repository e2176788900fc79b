// What a service tells an auditor, as its JSON. All of it is the service's word until it is recomputed.

import * as z from 'zod/mini';
import { AntequemError } from '../../core/errors.ts';
import { hashHex } from '../../core/hex.ts';
import { parseJson } from '../../core/json.ts';
import { isServiceOrigin } from '../../core/origin.ts';
import { beaconsSchema, chainSchema, countSchema, receiptAnchorSchema, timeSchema } from '../../core/receipt-schema.ts';
import { TILE_WIDTH } from '../../core/tiles.ts';
import { leavesPath, MAX_LEAVES, MAX_NOTE, MAX_ROUND, MAX_SERVICE, roundPath, SERVICE } from './layout.ts';
import type { AuditSource } from './source.ts';

const service = z.looseObject({
  format: z.literal('antequem-service/v1'),
  origin: z.string().check(z.refine(isServiceOrigin)),
  /** Of `_system`, which names all other keys: the newest, and all that it ever had. */
  verifierKey: z.string().check(z.maxLength(600)),
  verifierKeys: z.optional(z.array(z.string().check(z.maxLength(600))).check(z.minLength(1), z.maxLength(64))),
  rounds: countSchema(0),
  chains: z
    .array(
      z.looseObject({
        chain: chainSchema,
        contract: z.optional(z.string().check(z.regex(/^0x[0-9a-f]{40}$/))),
        genesis: z.optional(hashHex),
      }),
    )
    .check(z.maxLength(256)),
});

const leaves = z
  .array(
    z.looseObject({
      leaf: z.string().check(z.regex(/^(?:[0-9a-f]{2})*$/), z.maxLength(1_024)),
      checkpoint: z.optional(z.string().check(z.maxLength(MAX_NOTE))),
    }),
  )
  .check(z.maxLength(TILE_WIDTH));

/** What a service and an archive tell of a round alike. */
export const roundMembers = {
  number: countSchema(1),
  closedAt: timeSchema,
  previousRoot: hashHex,
  beacons: beaconsSchema,
  root: hashHex,
  size: countSchema(1),
  anchors: z.array(receiptAnchorSchema).check(z.maxLength(64)),
};

const round = z.looseObject({ ...roundMembers, leaves });
const bundle = z.looseObject({ leaves });

export type ServiceAnswer = z.infer<typeof service>;
/** Anchors of types that this version does not know are not checked; receipts made of it keep them. */
export type ShownRound = z.infer<typeof round>;
export type LeafAnswer = z.infer<typeof leaves>[number];

/** What a service says of itself; null where there is no such thing. @throws AntequemError `answer-invalid` */
export async function readService(source: AuditSource): Promise<ServiceAnswer | null> {
  const bytes = await source.read(SERVICE, MAX_SERVICE);
  if (bytes === null) return null;
  const parsed = service.safeParse(parseJson(bytes));
  if (parsed.success) return parsed.data;
  throw new AntequemError(
    'answer-invalid',
    `${source.describe()}/${SERVICE} is not what an Antequem service of this version answers there`,
  );
}

/** A round with its first leaves: `missing` where there is none, `broken` where what is there is none. */
export async function readShownRound(
  source: AuditSource,
  number: number,
): Promise<{ readonly answer: ShownRound; readonly bytes: Uint8Array } | 'missing' | 'broken'> {
  const bytes = await source.read(roundPath(number), MAX_ROUND);
  if (bytes === null) return 'missing';
  const parsed = round.safeParse(parseJson(bytes));
  return parsed.success ? { answer: parsed.data, bytes } : 'broken';
}

/** Further leaves of a round; null where there are none. */
export async function readShownLeaves(
  source: AuditSource,
  number: number,
  index: number,
): Promise<{ readonly leaves: readonly LeafAnswer[]; readonly bytes: Uint8Array } | null> {
  const bytes = await source.read(leavesPath(number, index), MAX_LEAVES);
  const parsed = bytes === null ? null : bundle.safeParse(parseJson(bytes));
  return bytes !== null && parsed?.success ? { leaves: parsed.data.leaves, bytes } : null;
}

/** Whether two rounds are the same but for their anchors, which come later. */
export function sameRound(one: Uint8Array, other: Uint8Array): boolean {
  const [a, b] = [one, other].map((bytes) => round.safeParse(parseJson(bytes)).data);
  return (
    a !== undefined && b !== undefined && a.root === b.root && JSON.stringify(a.leaves) === JSON.stringify(b.leaves)
  );
}
