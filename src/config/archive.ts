// Where logs are archived: buckets, how they are reached, and what goes there.

import { z } from 'zod';
import type { BucketAddress } from '../archive/bucket.ts';
import { AntequemError } from '../core/errors.ts';
import { url } from './settings.ts';

/** How long objects are locked by the store. */
export interface ObjectRetention {
  readonly mode: 'GOVERNANCE' | 'COMPLIANCE';
  /** Milliseconds. */
  readonly duration: number;
}

export interface ArchiveConfig {
  /** What anybody may read: tiles, entry bundles, checkpoints, rounds; null: nowhere. */
  readonly publicBucket: BucketAddress | null;
  /** Blocks of entries, encrypted; null: they stay in the database. */
  readonly privateBucket: BucketAddress | null;
  /** Milliseconds after which entries are archived. */
  readonly after: number;
  /** Whether the leaves of rounds and the acts of the service are public. */
  readonly publishRounds: boolean;
  /** Null: no locks. */
  readonly retention: ObjectRetention | null;
}

const DAY_MS = 86_400_000;
const UNITS = new Map([
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', DAY_MS],
]);
const AGE = 'not an age: write 0s, 12h or 30d';
const RETENTION = 'not a retention: write governance:30d or compliance:2555d';

function ageOf(text: string): number | null {
  const [, count = '', unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const ms = UNITS.get(unit);
  return ms === undefined ? null : Number(count) * ms;
}

const age = z.string(AGE).transform((text, context): number => {
  const ms = ageOf(text);
  if (ms !== null && ms <= 36_500 * DAY_MS) return ms;
  context.addIssue({ code: 'custom', message: AGE });
  return z.NEVER;
});

const retention = z.string(RETENTION).transform((text, context): ObjectRetention => {
  const [, mode = '', duration = ''] = /^(governance|compliance):(\w{2,7})$/.exec(text) ?? [];
  const ms = ageOf(duration);
  if (ms !== null && ms >= DAY_MS && ms <= 36_500 * DAY_MS) {
    return { mode: mode === 'governance' ? 'GOVERNANCE' : 'COMPLIANCE', duration: ms };
  }
  context.addIssue({ code: 'custom', message: RETENTION });
  return z.NEVER;
});

const bucketUrl = z
  .string()
  .regex(
    /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[A-Za-z0-9._-]{1,100}){0,8}\/?$/,
    'not s3://bucket or s3://bucket/prefix',
  );

/** The variables of the environment. */
export const archiveVariables = {
  ARCHIVE_URL: bucketUrl
    .optional()
    .describe(
      'A bucket, `s3://bucket/prefix`, in which tiles, entry bundles, checkpoints and rounds are kept as a static log that anybody may read (docs/archive.md). Unset: nothing is published there.',
    ),
  ARCHIVE_PRIVATE_URL: bucketUrl
    .optional()
    .describe(
      'Another bucket, to which old payloads are moved out of the database, encrypted. Nobody but the service needs to read it. Unset: they stay in the database.',
    ),
  ARCHIVE_AFTER: age
    .default(30 * DAY_MS)
    .describe(
      'How old entries are when they are archived, such as `0s`, `12h` or `30d`. Payloads stay in the database for 11 days in any case.',
    ),
  ARCHIVE_PUBLISH_ROUNDS: z
    .enum(['on', 'off'], 'not on or off')
    .default('off')
    .describe(
      'Whether the archive shows the leaves of rounds and the acts of the service too, so that anybody can audit it completely. The service itself shows them to API keys with the scope `read` alone.',
    ),
  ARCHIVE_RETENTION: retention
    .optional()
    .describe(
      'Locks each archived object (S3 Object Lock) for a time, such as `governance:30d` or `compliance:2555d`. The buckets must have Object Lock enabled. Unset: no locks.',
    ),
  AWS_ENDPOINT_URL_S3: url('https', 'http')
    .optional()
    .describe('The address of an S3-compatible store, as the AWS tools name it. Unset: Amazon S3.'),
  AWS_REGION: z
    .string()
    .regex(/^[a-z0-9-]{1,64}$/, 'not a region, such as eu-central-1')
    .default('us-east-1')
    .describe('The region of the buckets.'),
  AWS_ACCESS_KEY_ID: z
    .string()
    .regex(/^[\x21-\x7e]{1,256}$/, 'not an access key')
    .optional()
    .describe('The access key for the buckets.'),
  AWS_SECRET_ACCESS_KEY: z
    .string()
    .regex(/^[\x21-\x7e]{1,1024}$/, 'not a secret access key')
    .optional()
    .describe('The secret of the access key.'),
  AWS_SESSION_TOKEN: z
    .string()
    .regex(/^[\x21-\x7e]{1,8192}$/, 'not a session token')
    .optional()
    .describe('The session token, where the access key is a temporary one.'),
};

type Variables = z.output<z.ZodObject<typeof archiveVariables>>;

/** Settings that only make sense together. */
export function archiveFaults(set: Readonly<Record<string, string | undefined>>): string[] {
  const { ARCHIVE_URL: open, ARCHIVE_PRIVATE_URL: secret } = set;
  if (open === undefined && secret === undefined) return [];
  const faults: string[] = [];
  const isWithin = (one: string, other: string): boolean => `${one}/`.startsWith(other.replace(/\/*$/, '/'));
  if (open !== undefined && secret !== undefined && (isWithin(open, secret) || isWithin(secret, open))) {
    faults.push('ARCHIVE_PRIVATE_URL: must lie outside of ARCHIVE_URL, which anybody may read: use another bucket');
  }
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']) {
    if (set[name] === undefined) faults.push(`${name}: must be set beside ARCHIVE_URL or ARCHIVE_PRIVATE_URL`);
  }
  return faults;
}

/** Null: there is no archive. */
export function archiveOf(data: Variables): ArchiveConfig | null {
  if (data.ARCHIVE_URL === undefined && data.ARCHIVE_PRIVATE_URL === undefined) return null;
  return {
    publicBucket: addressOf(data.ARCHIVE_URL, data),
    privateBucket: addressOf(data.ARCHIVE_PRIVATE_URL, data),
    after: data.ARCHIVE_AFTER,
    publishRounds: data.ARCHIVE_PUBLISH_ROUNDS === 'on',
    retention: data.ARCHIVE_RETENTION ?? null,
  };
}

/**
 * The archive that the environment names, for commands that work on the database alone; null: none.
 * @throws AntequemError `config-invalid`
 */
export function readArchive(env: Readonly<Record<string, string | undefined>>): ArchiveConfig | null {
  const names = Object.keys(archiveVariables);
  const set = Object.fromEntries(names.flatMap((name) => (env[name] ? [[name, env[name]]] : [])));
  const parsed = z.object(archiveVariables).safeParse(set);
  const issues = parsed.error?.issues ?? [];
  const faults = [...issues.map(({ path, message }) => `${String(path[0])}: ${message}`), ...archiveFaults(set)];
  if (parsed.success && faults.length === 0) return archiveOf(parsed.data);
  throw new AntequemError('config-invalid', `the settings of the archive are invalid:\n  ${faults.join('\n  ')}`);
}

function addressOf(text: string | undefined, data: Variables): BucketAddress | null {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = data;
  if (text === undefined || accessKeyId === undefined || secretAccessKey === undefined) return null;
  const [bucket = '', ...prefix] = text.slice('s3://'.length).replace(/\/$/, '').split('/');
  return {
    endpoint: data.AWS_ENDPOINT_URL_S3?.replace(/\/+$/, '') ?? null,
    region: data.AWS_REGION,
    bucket,
    prefix: prefix.join('/'),
    accessKeyId,
    secretAccessKey,
    sessionToken: data.AWS_SESSION_TOKEN ?? null,
  };
}
