// What a public archive shows beside a mirror: what it is, and its rounds without leaves.

import * as z from 'zod/mini';
import { hasCode } from '../../core/errors.ts';
import { hashHex } from '../../core/hex.ts';
import { parseJson } from '../../core/json.ts';
import { isServiceOrigin } from '../../core/origin.ts';
import { countSchema } from '../../core/receipt-schema.ts';
import { readService, roundMembers } from './answers.ts';
import { MANIFEST, MAX_MANIFEST, MAX_ROUND, rootPath } from './layout.ts';
import type { AuditSource } from './source.ts';

const manifest = z.looseObject({
  format: z.literal('antequem-archive/v1'),
  origin: z.string().check(z.refine(isServiceOrigin)),
  rounds: countSchema(0),
});

const bareRound = z.looseObject({
  ...roundMembers,
  format: z.literal('antequem-round/v1'),
  link: z.array(hashHex).check(z.maxLength(64)),
});

/** A round without its leaves; `link` is the path of its leaf 0 to the root. */
export type BareRound = z.infer<typeof bareRound>;

/** What a mirror or an archive is of. */
export interface Place {
  /** Of the service. */
  readonly origin: string;
  /** The newest round that it has. */
  readonly rounds: number;
  /** Whether it has the leaves of rounds. */
  readonly leaves: boolean;
}

/** What there is to read; null: neither a mirror nor an archive. @throws AntequemError what the source fails with */
export async function readPlace(source: AuditSource): Promise<Place | null> {
  const service = await unlessRefused(readService(source));
  if (service !== null) return { origin: service.origin, rounds: service.rounds, leaves: true };
  const bytes = await unlessRefused(source.read(MANIFEST, MAX_MANIFEST));
  const parsed = bytes === null ? null : manifest.safeParse(parseJson(bytes));
  return parsed?.success ? { origin: parsed.data.origin, rounds: parsed.data.rounds, leaves: false } : null;
}

/** A round of an archive: `missing` where there is none, `broken` where something else is in its place. */
export async function readBareRound(source: AuditSource, number: number): Promise<BareRound | 'missing' | 'broken'> {
  const bytes = await unlessRefused(source.read(rootPath(number), MAX_ROUND));
  if (bytes === null) return 'missing';
  const parsed = bareRound.safeParse(parseJson(bytes));
  return parsed.success && parsed.data.number === number ? parsed.data : 'broken';
}

/** Stores that may not be listed answer 403 where there is nothing. */
async function unlessRefused<T>(reading: Promise<T | null>): Promise<T | null> {
  try {
    return await reading;
  } catch (error) {
    if (hasCode(error, 'service-refused')) return null;
    throw error;
  }
}
