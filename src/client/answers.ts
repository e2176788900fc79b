// What the service's answers must hold for the client to use them. Fields beyond these are let through unread:
// a newer service may say more.

import * as z from 'zod';

const size = z.int().nonnegative();

/** 201 of `POST …/entries` and `…/digests`: for a batch `index` is the first, `digest` and `leafHash` the last. */
export const appended = z.object({
  log: z.string(),
  index: size,
  count: z.int().positive(),
  digest: z.string(),
  leafHash: z.string(),
  receivedAt: z.string(),
  receipt: z.string(),
});
export type Appended = z.infer<typeof appended>;

/** 200 of `DELETE …/entries/{index}/payload`. */
export const erased = z.object({ log: z.string(), index: size, erased: z.literal(true) });
export type Erased = z.infer<typeof erased>;

/** `PUT` and `GET /v1/logs/{log}`. */
export const logDescription = z.object({
  origin: z.string(),
  logId: z.string(),
  /** The newest of those below. */
  verifierKey: z.string(),
  /** All keys that sign the log now, the oldest first. */
  verifierKeys: z.array(z.string()).optional(),
  size: size.optional(),
  root: z.string().optional(),
});
export type LogDescription = z.infer<typeof logDescription>;
