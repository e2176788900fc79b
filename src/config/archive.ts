// Where logs are archived: buckets, how they are reached, and what goes there.

import { z } from 'zod';
import type { BucketAddress, ObjectLock } from '../archive/bucket.ts';
import { AntequemError } from '../core/errors.ts';
import { url } from './settings.ts';

/** How long objects are locked by the store. */
export interface ObjectRetention {
  readonly mode: 'GOVERNANCE' | 'COMPLIANCE';
  /** Milliseconds. */
  readonly duration: number;
}

export interface ArchiveConfig {
  /** What anybody may read: tiles, entry bundles, checkpoints, rounds. All hold the same; none: nothing is published. */
  readonly publicBuckets: readonly BucketAddress[];
  /** Blocks of entries, encrypted. All hold the same; none: they stay in the database. */
  readonly privateBuckets: readonly BucketAddress[];
  /** Milliseconds after which entries are archived. */
  readonly after: number;
  /** Whether the leaves of rounds and the acts of the service are public. */
  readonly publishRounds: boolean;
  /** Null: no locks. */
  readonly retention: ObjectRetention | null;
}

/** The lock of what is written at a time. @param now milliseconds since the Unix epoch */
export function lockAt({ retention }: Pick<ArchiveConfig, 'retention'>, now: number): ObjectLock | null {
  return retention === null ? null : { mode: retention.mode, until: now + retention.duration };
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
    /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}){0,8}\/?$/,
    'not s3://bucket or s3://bucket/prefix',
  );

const region = z.string().regex(/^[a-z0-9-]{1,64}$/, 'not a region, such as eu-central-1');
const accessKey = z.string().regex(/^[\x21-\x7e]{1,256}$/, 'not an access key');
const secretKey = z.string().regex(/^[\x21-\x7e]{1,1024}$/, 'not a secret access key');

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
  AWS_REGION: region.default('us-east-1').describe('The region of the buckets.'),
  AWS_ACCESS_KEY_ID: accessKey.optional().describe('The access key for the buckets.'),
  AWS_SECRET_ACCESS_KEY: secretKey.optional().describe('The secret of the access key.'),
  AWS_SESSION_TOKEN: z
    .string()
    .regex(/^[\x21-\x7e]{1,8192}$/, 'not a session token')
    .optional()
    .describe('The session token, where the access key is a temporary one.'),
  ARCHIVE_SECOND_URL: bucketUrl
    .optional()
    .describe('A second bucket, of another provider, that holds the same as `ARCHIVE_URL`.'),
  ARCHIVE_SECOND_PRIVATE_URL: bucketUrl
    .optional()
    .describe('A second bucket, of another provider, that holds the same as `ARCHIVE_PRIVATE_URL`.'),
  ARCHIVE_SECOND_ENDPOINT_URL: url('https', 'http')
    .optional()
    .describe('The address of the store with the second buckets. Unset: Amazon S3.'),
  ARCHIVE_SECOND_REGION: region.default('us-east-1').describe('The region of the second buckets.'),
  ARCHIVE_SECOND_ACCESS_KEY_ID: accessKey.optional().describe('The access key for the second buckets.'),
  ARCHIVE_SECOND_SECRET_ACCESS_KEY: secretKey.optional().describe('The secret of that access key.'),
};

/** The buckets of each store, and what they need. */
const FIRST = {
  urls: ['ARCHIVE_URL', 'ARCHIVE_PRIVATE_URL'],
  keys: ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'],
} as const;
const SECOND = {
  urls: ['ARCHIVE_SECOND_URL', 'ARCHIVE_SECOND_PRIVATE_URL'],
  keys: ['ARCHIVE_SECOND_ACCESS_KEY_ID', 'ARCHIVE_SECOND_SECRET_ACCESS_KEY'],
} as const;

type Variables = z.output<z.ZodObject<typeof archiveVariables>>;

/** Settings that only make sense together. */
export function archiveFaults(set: Readonly<Record<string, string | undefined>>): string[] {
  const faults: string[] = [];
  for (const { urls, keys } of [FIRST, SECOND]) {
    if (urls.every((name) => set[name] === undefined)) continue;
    for (const name of keys)
      if (set[name] === undefined) faults.push(`${name}: must be set beside ${urls.join(' or ')}`);
  }
  for (const [second, first] of SECOND.urls.map((name, i) => [name, FIRST.urls[i] ?? ''] as const)) {
    if (set[second] !== undefined && set[first] === undefined) faults.push(`${first}: must be set beside ${second}`);
  }
  const places = [...FIRST.urls, ...SECOND.urls].flatMap((name) => {
    const text = set[name];
    const endpoint = name.startsWith('ARCHIVE_SECOND') ? set.ARCHIVE_SECOND_ENDPOINT_URL : set.AWS_ENDPOINT_URL_S3;
    return text === undefined ? [] : [{ name, place: `${endpoint ?? ''} ${text.replace(/\/*$/, '/')}` }];
  });
  for (const [i, { name, place }] of places.entries()) {
    const other = places.slice(0, i).find((each) => place.startsWith(each.place) || each.place.startsWith(place));
    if (other !== undefined) faults.push(`${name}: must lie outside of ${other.name}: use another bucket`);
  }
  return faults;
}

/** Null: there is no archive. */
export function archiveOf(data: Variables): ArchiveConfig | null {
  if (data.ARCHIVE_URL === undefined && data.ARCHIVE_PRIVATE_URL === undefined) return null;
  const first = {
    endpoint: data.AWS_ENDPOINT_URL_S3,
    region: data.AWS_REGION,
    accessKeyId: data.AWS_ACCESS_KEY_ID,
    secretAccessKey: data.AWS_SECRET_ACCESS_KEY,
    sessionToken: data.AWS_SESSION_TOKEN,
  };
  const second = {
    endpoint: data.ARCHIVE_SECOND_ENDPOINT_URL,
    region: data.ARCHIVE_SECOND_REGION,
    accessKeyId: data.ARCHIVE_SECOND_ACCESS_KEY_ID,
    secretAccessKey: data.ARCHIVE_SECOND_SECRET_ACCESS_KEY,
    sessionToken: undefined,
  };
  return {
    publicBuckets: [...addressOf(data.ARCHIVE_URL, first), ...addressOf(data.ARCHIVE_SECOND_URL, second)],
    privateBuckets: [
      ...addressOf(data.ARCHIVE_PRIVATE_URL, first),
      ...addressOf(data.ARCHIVE_SECOND_PRIVATE_URL, second),
    ],
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

/** How a store is reached, as far as it is set. */
interface StoreAccess {
  readonly endpoint: string | undefined;
  readonly region: string;
  readonly accessKeyId: string | undefined;
  readonly secretAccessKey: string | undefined;
  readonly sessionToken: string | undefined;
}

function addressOf(text: string | undefined, access: StoreAccess): BucketAddress[] {
  const { accessKeyId, secretAccessKey } = access;
  if (text === undefined || accessKeyId === undefined || secretAccessKey === undefined) return [];
  const [bucket = '', ...prefix] = text.slice('s3://'.length).replace(/\/$/, '').split('/');
  return [
    {
      endpoint: access.endpoint?.replace(/\/+$/, '') ?? null,
      region: access.region,
      bucket,
      prefix: prefix.join('/'),
      accessKeyId,
      secretAccessKey,
      sessionToken: access.sessionToken ?? null,
    },
  ];
}
