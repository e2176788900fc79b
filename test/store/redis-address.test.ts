import { expect, test } from 'vitest';
import { isRedisUrl, redisAddress } from '../../src/store/redis-address.ts';

test('one server, with login, database and TLS', () => {
  expect(redisAddress('redis://cache')).toEqual({
    name: 'Redis at cache',
    options: { host: 'cache', port: 6_379, db: 0 },
  });
  expect(redisAddress('rediss://us%40er:p%2Fss@[::1]:7000/3')).toEqual({
    name: 'Redis at [::1]:7000',
    options: { host: '::1', port: 7_000, username: 'us@er', password: 'p/ss', db: 3, tls: {} },
  });
  expect(redisAddress('redis://:secret@cache:1').options).toMatchObject({ password: 'secret' });
});

test('sentinels, and what they ask of their clients', () => {
  expect(redisAddress('redis+sentinel://:secret@one,two:5000/main/2?sentinelPassword=other')).toEqual({
    name: 'Redis main by the sentinels one,two:5000',
    options: {
      password: 'secret',
      db: 2,
      sentinels: [
        { host: 'one', port: 26_379 },
        { host: 'two', port: 5_000 },
      ],
      name: 'main',
      sentinelPassword: 'other',
    },
  });
  expect(redisAddress('rediss+sentinel://one/main').options).toMatchObject({ enableTLSForSentinelMode: true, tls: {} });
});

test.each([
  'redis',
  'http://cache',
  'redis://one,two',
  'redis://cache/zero',
  'redis://cache:99999',
  'redis+sentinel://one,two',
  'redis+sentinel://one/main/0/more',
  'redis://a%ZZ:secret@cache',
])('%s is refused, and the message has no secret', (url) => {
  expect(isRedisUrl(url)).toBe(false);
  expect(() => redisAddress(url)).toThrow(expect.objectContaining({ code: 'config-invalid' }));
  expect(() => redisAddress(url)).not.toThrow(/secret/);
});
