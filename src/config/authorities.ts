// The timestamp authorities (RFC 3161) that stamp rounds.

import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../core/errors.ts';
import { readCertificates } from '../tsa/certificate.ts';
import type { AuthorityConfig } from '../tsa/target.ts';
import { duration, url } from './settings.ts';

/** A receipt has room for 16 anchors. */
const MOST_AUTHORITIES = 8;
const LONGEST_PACE_MS = 3_600_000;

export const authorityVariables = {
  TSA_FILE: z
    .string()
    .min(1)
    .optional()
    .describe(
      'Timestamp authorities (RFC 3161) that stamp every round: a JSON list of `{"name", "url", "caFile"}`, with `"policy"` (an OID) and `"pace"` (the least time between two requests) if wanted; docs/operations.md.',
    ),
};

const NAME = 'not a name: [a-z][a-z0-9-]{0,31}';

const authority = z.strictObject({
  name: z.string(NAME).regex(/^[a-z][a-z0-9-]{0,31}$/, NAME),
  url: url('http', 'https').refine((text) => new URL(text).username === '', 'cannot have a user or password'),
  caFile: z.string('not the name of a file').min(1, 'not the name of a file'),
  policy: z
    .string()
    .regex(/^[0-2](?:\.(?:0|[1-9]\d{0,15})){1,20}$/, 'not an OID, such as 1.2.3.4')
    .optional(),
  pace: duration.refine((ms) => ms <= LONGEST_PACE_MS, 'more than an hour').default(0),
});

/** The authorities of the file, and everything that is wrong with it. */
export interface AuthoritiesFile {
  readonly authorities: readonly AuthorityConfig[];
  readonly faults: readonly string[];
}

/** Paths in it are relative to its folder. Never throws. @param file undefined: there is none */
export function readAuthorities(file: string | undefined): AuthoritiesFile {
  if (file === undefined) return { authorities: [], faults: [] };
  const fault = (says: string): AuthoritiesFile => ({ authorities: [], faults: [`TSA_FILE: ${file} ${says}`] });
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    return fault(`cannot be read as JSON: ${messageOf(cause)}`);
  }
  if (!Array.isArray(content) || content.length === 0) {
    return fault('is not a list of authorities: [{"name": "one", "url": "https://…", "caFile": "ca.pem"}]');
  }
  if (content.length > MOST_AUTHORITIES) return fault(`has more than ${MOST_AUTHORITIES} authorities`);
  const read = content.map((each: unknown, i) => readOne(each, `authority ${i + 1}`, dirname(resolve(file))));
  const names = read.flatMap(({ authorities }) => authorities.map(({ name }) => name));
  const twice = names
    .filter((name, i) => names.indexOf(name) < i)
    .map((name) => `two authorities have the name ${name}`);
  return {
    authorities: read.flatMap(({ authorities }) => authorities),
    faults: [...read.flatMap(({ faults }) => faults), ...twice].map((says) => `TSA_FILE: ${file}: ${says}`),
  };
}

function readOne(json: unknown, label: string, folder: string): AuthoritiesFile {
  const parsed = authority.safeParse(json);
  if (!parsed.success) {
    // Without the values: a URL may hold a key.
    const faults = parsed.error.issues.map((issue) =>
      issue.code === 'unrecognized_keys'
        ? `${label}: there is no setting ${issue.keys.join(', ')}`
        : `${label}, ${issue.path.join('.')}: ${issue.message}`,
    );
    return { authorities: [], faults };
  }
  const { caFile, policy = null, ...rest } = parsed.data;
  try {
    const certificates = new Uint8Array(readFileSync(resolve(folder, caFile)));
    readCertificates(certificates);
    return { authorities: [{ ...rest, policy, certificates, ephemeral: false }], faults: [] };
  } catch (cause) {
    return { authorities: [], faults: [`${label}, caFile: ${caFile} cannot be used: ${messageOf(cause)}`] };
  }
}
