// The acts of the service, as entries of `_system` tell them.

import * as z from 'zod/mini';
import { parsed } from '../../core/errors.ts';
import { hashHex } from '../../core/hex.ts';
import { parseJson } from '../../core/json.ts';
import { logOrigin } from '../../core/origin.ts';
import { isTime, parseTime } from '../../core/time.ts';

const count = z.int().check(z.nonnegative());
const time = z.string().check(z.refine(isTime));
/** A public key of ML-DSA-44. */
export const mlDsaKeyHex = z.string().check(z.regex(/^[0-9a-f]{2624}$/));
const range = { first: count, count };
const any = z.looseObject({ at: time, act: z.string() });
const known = z.discriminatedUnion('act', [
  z.looseObject({ act: z.literal('log-created'), log: z.string(), blinded: z.boolean(), publicKey: hashHex }),
  z.looseObject({ act: z.literal('log-key-added'), log: z.string(), number: count, publicKey: hashHex }),
  z.looseObject({ act: z.literal('log-key-retired'), log: z.string(), number: count, publicKey: hashHex }),
  z.looseObject({
    act: z.literal('log-ml-dsa'),
    log: z.string(),
    on: z.boolean(),
    keys: z.array(z.looseObject({ number: count, publicKey: mlDsaKeyHex })),
  }),
  z.looseObject({ act: z.literal('log-listed'), log: z.string(), listed: z.boolean() }),
  z.looseObject({
    act: z.literal('key-created'),
    key: z.string(),
    name: z.string(),
    scopes: z.array(z.string()),
    logs: z.nullable(z.array(z.string())),
    secretHash: hashHex,
  }),
  z.looseObject({ act: z.literal('key-revoked'), key: z.string() }),
  z.looseObject({
    act: z.literal('source-created'),
    source: z.string(),
    name: z.string(),
    log: z.string(),
    scheme: z.string(),
    settings: z.looseObject({}),
  }),
  z.looseObject({ act: z.literal('source-changed'), source: z.string(), settings: z.nullable(z.looseObject({})) }),
  z.looseObject({ act: z.literal('source-removed'), source: z.string() }),
  z.looseObject({ act: z.literal('sender-declared'), chain: z.string(), address: z.string() }),
  z.looseObject({ act: z.literal('entry-erased'), log: z.string(), index: count }),
  z.looseObject({ act: z.literal('retention-set'), log: z.string(), period: count }),
  z.looseObject({ act: z.literal('retention-cleared'), log: z.string() }),
  z.looseObject({
    act: z.literal('entries-erased'),
    run: count,
    ranges: z.array(z.looseObject({ log: z.string(), ...range, before: time })),
  }),
  z.looseObject({
    act: z.literal('hold-added'),
    hold: z.string(),
    log: z.string(),
    since: z.nullable(time),
    until: z.nullable(time),
    reason: z.string(),
    kept: z.array(z.looseObject(range)),
  }),
  z.looseObject({ act: z.literal('hold-removed'), hold: z.string(), log: z.string() }),
  z.looseObject({ act: z.literal('holds-confirmed'), holds: z.array(z.string()) }),
  z.looseObject({ act: z.literal('round-closed'), number: count, root: hashHex }),
  z.looseObject({ act: z.literal('recovered'), holds: z.optional(z.string()) }),
]);
type Known = z.infer<typeof known>;

/** `entry` is its index in `_system`, `at` milliseconds. */
export type Act = Known & { readonly entry: number; readonly at: number };
export type ActOf<K extends Known['act']> = Extract<Known, { act: K }> & {
  readonly entry: number;
  readonly at: number;
};

const KINDS = new Set<string>(known.def.options.flatMap((option) => [...option.def.shape.act.def.values]));

/** The act in a payload of `_system`; null where a newer release made it; text: why it is none. */
export function readAct(entry: number, payload: Uint8Array): Act | string | null {
  const json = parseJson(payload);
  const act = any.safeParse(json);
  if (!act.success) return 'is not an act';
  const read = known.safeParse(json);
  if (read.success) return { ...read.data, entry, at: parseTime(act.data.at) };
  // Acts that a newer release made are passed over.
  return KINDS.has(act.data.act) ? `is a malformed ${act.data.act}` : null;
}

/** The name of the log with this origin; null where the service has no such log. */
export function logNameOf(serviceOrigin: string, origin: string): string | null {
  const name = origin.slice(`${serviceOrigin}/logs/`.length);
  return parsed(() => logOrigin(serviceOrigin, name)) === origin ? name : null;
}

/** How far apart an act and the time in its tables may be: a transaction may have waited. */
const ACT_TOLERANCE_MS = 60_000;

/** Whether two times, milliseconds, can be of one act; null: it did not take place. */
export function near(a: number | null, b: number | null): boolean {
  return a === null || b === null ? a === b : Math.abs(a - b) <= ACT_TOLERANCE_MS;
}
