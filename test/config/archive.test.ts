import { expect, test } from 'vitest';
import { readArchive } from '../../src/config/archive.ts';
import { messageOf } from '../../src/core/errors.ts';

const KEYS = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'very-secret' };
const DAY_MS = 86_400_000;

function faultOf(env: Record<string, string>): string {
  try {
    readArchive({ ...KEYS, ...env });
  } catch (error) {
    return messageOf(error);
  }
  return '';
}

test('without buckets there is no archive', () => {
  expect(readArchive({})).toBeNull();
  expect(readArchive({ ARCHIVE_AFTER: '1d' })).toBeNull();
});

test('buckets, ages and retention are read', () => {
  const archive = readArchive({
    ...KEYS,
    ARCHIVE_URL: 's3://open/of/it/',
    ARCHIVE_PRIVATE_URL: 's3://closed',
    ARCHIVE_AFTER: '12h',
    ARCHIVE_RETENTION: 'compliance:2555d',
    ARCHIVE_PUBLISH_ROUNDS: 'on',
    AWS_ENDPOINT_URL_S3: 'https://s3.example.org/',
    ARCHIVE_SECOND_PRIVATE_URL: 's3://closed',
    ARCHIVE_SECOND_ACCESS_KEY_ID: 'other',
    ARCHIVE_SECOND_SECRET_ACCESS_KEY: 'other-secret',
    ARCHIVE_SECOND_REGION: 'eu-west-1',
  });
  expect(archive).toMatchObject({
    publicBuckets: [{ endpoint: 'https://s3.example.org', bucket: 'open', prefix: 'of/it', accessKeyId: 'key' }],
    privateBuckets: [
      { endpoint: 'https://s3.example.org', region: 'us-east-1', bucket: 'closed', prefix: '' },
      { endpoint: null, region: 'eu-west-1', bucket: 'closed', accessKeyId: 'other', sessionToken: null },
    ],
    after: DAY_MS / 2,
    publishRounds: true,
    retention: { mode: 'COMPLIANCE', duration: 2_555 * DAY_MS },
  });
});

test.each([
  [
    { ARCHIVE_URL: 's3://abc', ARCHIVE_PRIVATE_URL: 's3://abc' },
    'ARCHIVE_PRIVATE_URL: must lie outside of ARCHIVE_URL',
  ],
  [
    { ARCHIVE_URL: 's3://abc', ARCHIVE_PRIVATE_URL: 's3://abc/b/' },
    'ARCHIVE_PRIVATE_URL: must lie outside of ARCHIVE_URL',
  ],
  [
    { ARCHIVE_URL: 's3://abc/b', ARCHIVE_PRIVATE_URL: 's3://abc' },
    'ARCHIVE_PRIVATE_URL: must lie outside of ARCHIVE_URL',
  ],
  [
    { ARCHIVE_URL: 's3://abc', ARCHIVE_SECOND_URL: 's3://abc' },
    'ARCHIVE_SECOND_ACCESS_KEY_ID: must be set beside ARCHIVE_SECOND_URL',
  ],
  [{ ARCHIVE_SECOND_PRIVATE_URL: 's3://abc' }, 'ARCHIVE_PRIVATE_URL: must be set beside ARCHIVE_SECOND_PRIVATE_URL'],
  [{ ARCHIVE_URL: 's3://abc', AWS_SECRET_ACCESS_KEY: '' }, 'AWS_SECRET_ACCESS_KEY: must be set beside ARCHIVE_URL'],
  [{ ARCHIVE_URL: 'https://a' }, 'ARCHIVE_URL: not s3://bucket'],
  [{ ARCHIVE_URL: 's3://abc/../b' }, 'ARCHIVE_URL: not s3://bucket'],
  [{ ARCHIVE_URL: 's3://abc', ARCHIVE_AFTER: '30' }, 'ARCHIVE_AFTER: not an age'],
  [{ ARCHIVE_URL: 's3://abc', ARCHIVE_RETENTION: 'forever' }, 'ARCHIVE_RETENTION: not a retention'],
])('%j is refused', (env, says) => {
  const fault = faultOf(env);
  expect(fault).toContain(says);
  expect(fault).not.toContain('very-secret');
});

test('the same bucket name at another store is another bucket', () => {
  const second = { ARCHIVE_SECOND_ACCESS_KEY_ID: 'k', ARCHIVE_SECOND_SECRET_ACCESS_KEY: 's' };
  const env = { ARCHIVE_URL: 's3://abc', ARCHIVE_SECOND_URL: 's3://abc', ...second };
  expect(faultOf(env)).toContain('ARCHIVE_SECOND_URL: must lie outside of ARCHIVE_URL');
  expect(faultOf({ ...env, ARCHIVE_SECOND_ENDPOINT_URL: 'https://other.example.org' })).toBe('');
});
