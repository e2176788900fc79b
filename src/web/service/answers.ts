// The API's answers, as far as the pages show them. Unknown members are ignored.

import * as z from 'zod/mini';

const anchored = z.object({
  size: z.number(),
  round: z.number(),
  status: z.enum(['included', 'finalized']),
  time: z.string(),
});

export const logAnswer = z.object({
  name: z.string(),
  origin: z.string(),
  logId: z.string(),
  verifierKey: z.string(),
  blinded: z.boolean(),
  createdAt: z.string(),
  size: z.number(),
  root: z.string(),
  anchored: z.optional(anchored),
});
export const retentionAnswer = z.object({
  period: z.nullable(z.string()),
  erased: z.number(),
  dueSince: z.nullable(z.string()),
  unconfirmedSince: z.nullable(z.string()),
});
export type RetentionAnswer = z.output<typeof retentionAnswer>;
const holdAnswer = z.object({
  id: z.string(),
  from: z.nullable(z.string()),
  to: z.nullable(z.string()),
  reason: z.string(),
  addedAt: z.string(),
});
export type HoldAnswer = z.output<typeof holdAnswer>;
export const holdsAnswer = z.object({ holds: z.array(holdAnswer) });

const source = {
  id: z.string(),
  name: z.string(),
  scheme: z.string(),
  log: z.string(),
  path: z.string(),
  receivedAt: z.nullable(z.string()),
  refusedAt: z.nullable(z.string()),
  refusal: z.nullable(z.string()),
  secrets: z.array(z.object({ number: z.number() })),
};
const sourceAnswer = z.object(source);
export type SourceAnswer = z.output<typeof sourceAnswer>;
export const sourcesAnswer = z.object({ sources: z.array(sourceAnswer) });
export const sourceWithSecret = z.object({ ...source, secret: z.nullable(z.string()) });

const setting = z.object({
  name: z.string(),
  type: z.string(),
  says: z.string(),
  required: z.boolean(),
  nullable: z.boolean(),
  default: z.json(),
  values: z.array(z.string()),
});
export type SettingAnswer = z.output<typeof setting>;
const scheme = z.object({
  name: z.string(),
  kind: z.string(),
  secret: z.enum(['made', 'given', 'none']),
  settings: z.array(setting),
});
export type SchemeAnswer = z.output<typeof scheme>;
export const schemesAnswer = z.object({ schemes: z.array(scheme) });

export const logsAnswer = z.object({ logs: z.array(logAnswer), next: z.optional(z.string()) });

const block = z.object({ number: z.number(), hash: z.string(), time: z.string() });
const anchorState = z.object({
  type: z.string(),
  target: z.string(),
  chain: z.string(),
  status: z.enum(['pending', 'submitted', 'included', 'finalized']),
  block: z.nullable(block),
  problem: z.nullable(z.string()),
  submittedAt: z.nullable(z.string()),
  finalizedAt: z.nullable(z.string()),
  contract: z.optional(z.string()),
  transaction: z.optional(z.nullable(z.string())),
  proofProblem: z.optional(z.nullable(z.string())),
  cost: z.optional(z.nullable(z.string())),
});

const roundFields = {
  number: z.number(),
  closedAt: z.string(),
  previousRoot: z.string(),
  root: z.string(),
  size: z.number(),
  beacons: z.array(z.object({ chain: z.string(), height: z.number(), hash: z.string() })),
  anchors: z.array(anchorState),
};
export const roundAnswer = z.object({ ...roundFields, leaves: z.array(z.string()) });
export const roundsAnswer = z.object({ rounds: z.array(z.object(roundFields)), next: z.optional(z.number()) });

export const entryAnswer = z.object({
  log: z.string(),
  index: z.number(),
  receivedAt: z.string(),
  digest: z.nullable(z.string()),
  nonce: z.nullable(z.string()),
  commitment: z.string(),
  leafHash: z.string(),
  payloadSize: z.nullable(z.number()),
  erased: z.boolean(),
});
export const entriesAnswer = z.object({
  size: z.number(),
  entries: z.array(entryAnswer),
  next: z.optional(z.number()),
});
export const placesAnswer = z.object({
  entries: z.array(z.object({ log: z.string(), index: z.number(), receivedAt: z.string() })),
});
export const appendedAnswer = z.object({ index: z.number() });

export const sessionAnswer = z.object({
  open: z.boolean(),
  key: z.nullable(
    z.object({
      id: z.string(),
      name: z.string(),
      scopes: z.array(z.string()),
      logs: z.nullable(z.array(z.string())),
    }),
  ),
  origin: z.optional(z.string()),
  roundInterval: z.optional(z.number()),
});

export const problemAnswer = z.object({ code: z.string(), detail: z.string() });

export type LogAnswer = z.infer<typeof logAnswer>;
export type ListedRound = z.infer<(typeof roundsAnswer)['shape']['rounds']>[number];
export type AnchorState = z.infer<typeof anchorState>;
export type EntryAnswer = z.infer<typeof entryAnswer>;
export type SessionAnswer = z.infer<typeof sessionAnswer>;
