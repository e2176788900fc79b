import { expect, it } from 'vitest';
import { AddressRate, subscriberOf } from '../../src/api/rate-limit.ts';

const secret = new Uint8Array(32).fill(3);

it('lets an address ask so often at once, and so often a minute', () => {
  let now = 0;
  const rate = new AddressRate({ perMinute: 60, now: () => now, secret });
  const asks = (count: number): (number | null)[] => Array.from({ length: count }, () => rate.take('192.0.2.1'));
  expect(asks(60)).toEqual(Array(60).fill(null));
  expect(rate.take('192.0.2.1')).toBe(1);
  expect(rate.take('192.0.2.2')).toBeNull();
  now += 5_000;
  expect(asks(6)).toEqual([null, null, null, null, null, 1]);
  now += 3_600_000;
  expect(asks(61).filter((wait) => wait === null)).toHaveLength(60);
});

it('tells how long to wait, also of a rate below one a second', () => {
  let now = 0;
  const rate = new AddressRate({ perMinute: 2, now: () => now, secret });
  expect([rate.take('a'), rate.take('a'), rate.take('a')]).toEqual([null, null, 30]);
  now += 29_000;
  expect(rate.take('a')).toBe(1);
  now += 1_000;
  expect(rate.take('a')).toBeNull();
});

it('does not grow with the addresses, and hardly mixes them up', () => {
  const rate = new AddressRate({ perMinute: 1, now: () => 0, secret });
  const refused = Array.from({ length: 5_000 }, (_, i) => rate.take(`10.0.${i >> 8}.${i & 255}`)).filter(
    (wait) => wait !== null,
  );
  // Of 5,000 in 65,536 buckets some 185 meet another.
  expect(refused.length).toBeLessThan(400);
});

it.each([
  ['192.0.2.7', '192.0.2.7'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:DB8:1:2::6', '2001:db8:1:2'],
  ['2001:db8::1', '2001:db8:0:0'],
  ['2001:0db8:0000::', '2001:db8:0:0'],
  ['::1', '0:0:0:0'],
  ['::', '0:0:0:0'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
  ['1::2:3:4:5:6:7', '1:0:2:3'],
  ['64:ff9b::192.0.2.7', '64:ff9b:0:0'],
  ['', ''],
  ['unknown', 'unknown'],
])('counts %s as %s', (address, subscriber) => {
  expect(subscriberOf(address)).toBe(subscriber);
});
