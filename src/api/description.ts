import type { RequestHandler } from 'express';
import { z } from 'zod';
import type { Scope } from '../access/keys.ts';
import type { ProblemCode } from '../core/problem-codes.ts';

/** Where the reference lists an operation, in this order. */
export const TAGS = [
  ['Logs', 'Making and describing logs.'],
  ['Append', 'Taking in entries: as they are, by digest, or in the formats that senders have.'],
  ['Sources', 'Signed webhooks of others, taken as they are sent.'],
  ['Entries', 'Reading back, searching, exporting and erasing.'],
  ['Retention', 'How long entries are kept, and legal holds that keep them longer.'],
  ['Receipts', 'What proves an entry, to anyone and without us.'],
  ['Rounds', 'Rounds and their anchors.'],
  ['Tiles', 'The tree of a log as static files (C2SP tlog-tiles), and proofs of it.'],
  ['Verification', 'Verdicts on receipts and on logs.'],
  ['Calendar', 'The OpenTimestamps calendar.'],
  ['Webhooks', 'Notifications of rounds and anchors.'],
  ['Operation', 'Health, metrics, sessions and this reference.'],
] as const;
export type Tag = (typeof TAGS)[number][0];

/** What a body or an answer consists of: JSON of a schema, or bytes or text that no schema describes. */
export type Content = z.core.$ZodType | 'bytes' | 'text';

/** An answer that is no problem. */
export interface Answer {
  /** One sentence. */
  readonly says: string;
  /** By media type; absent: no body. */
  readonly content?: Readonly<Record<string, Content>>;
  /** What each header of it says. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * What the reference says about a route. Schemas are the very ones that the handler validates with; answers are those
 * that it gives. Problems that follow from the form of a route are added by themselves: see `problemsOf` in openapi.ts.
 */
export interface Description {
  /** Unique, a verb first: `listLogs`. */
  readonly id: string;
  readonly tag: Tag;
  /** A few words. */
  readonly summary: string;
  /** What else there is to know, in plain sentences. */
  readonly description?: string;
  /** The scope an API key needs; `any`: any key will do; `public`: none is asked for. */
  readonly access: Scope | 'any' | 'public';
  /** Of path parameters that are not in `PATH_PARAMETERS`. */
  readonly path?: Readonly<Record<string, z.core.$ZodType>>;
  readonly query?: z.ZodObject;
  /** Headers that the handler looks at. */
  readonly headers?: z.ZodObject;
  /** By media type; the key `*` means any type. */
  readonly body?: Readonly<Record<string, Content>>;
  /** Whether a request without a body will do. */
  readonly bodyOptional?: boolean;
  /** By status. */
  readonly answers: Readonly<Record<number, Answer>>;
  readonly problems?: readonly ProblemCode[];
  /** What problems come as besides JSON, to senders that read none. */
  readonly problemsAs?: Readonly<Record<string, Content>>;
}

const descriptions = new WeakMap<RequestHandler, Description>();

/** Describes the route it is put into, beside its handler: `router.get(path, described({ … }), handler)`. */
export function described(description: Description): RequestHandler {
  const handler: RequestHandler = (_request, _response, next) => next();
  descriptions.set(handler, description);
  return handler;
}

/** What a handler of a route was made with; undefined for handlers of other kinds. */
export function descriptionOf(handler: RequestHandler): Description | undefined {
  return descriptions.get(handler);
}

/** The parameters that several paths have. */
export const PATH_PARAMETERS: Readonly<Record<string, z.core.$ZodType>> = {
  log: z
    .string()
    .regex(/^(_system|[a-z0-9][a-z0-9._-]{0,62})$/)
    .meta({ description: 'The name of a log.' }),
  index: z.int().nonnegative().meta({ description: 'The index of an entry, from 0.' }),
  number: z.int().positive().meta({ description: 'The number of a round, from 1.' }),
};

/** JSON, as nearly every answer is. */
export function jsonAnswer(says: string, schema: z.core.$ZodType): Answer {
  return { says, content: { 'application/json': schema } };
}
