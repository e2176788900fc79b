import { expect, test } from 'vitest';
import { LruCache, SharedLimit } from '../../src/core/lru.ts';

test('the least recently used value is dropped first, and a value above the limit is not kept', () => {
  const cache = new LruCache<string, number>(10);
  cache.set('a', 1, 4);
  cache.set('b', 2, 4);
  expect(cache.get('a')).toBe(1);
  cache.set('c', 3, 4);
  expect([cache.get('a'), cache.get('b'), cache.get('c')]).toEqual([1, undefined, 3]);
  cache.set('huge', 4, 50);
  expect([cache.get('a'), cache.get('c'), cache.get('huge')]).toEqual([undefined, undefined, 4]);
  cache.set('small', 5, 1);
  expect([cache.get('huge'), cache.get('small')]).toEqual([undefined, 5]);
});

test('caches with one limit drop what was used least recently, whichever has it', () => {
  const limit = new SharedLimit(10);
  const texts = new LruCache<string, string>(limit);
  const numbers = new LruCache<number, number>(limit);
  texts.set('a', 'one', 4);
  numbers.set(1, 1, 4);
  texts.get('a');
  numbers.set(2, 2, 4);
  expect([texts.get('a'), numbers.get(1), numbers.get(2)]).toEqual(['one', undefined, 2]);
  // What is replaced or removed makes room.
  texts.set('a', 'two', 1);
  numbers.set(3, 3, 5);
  expect([texts.get('a'), numbers.get(2), numbers.get(3)]).toEqual(['two', 2, 3]);
  numbers.delete(3);
  numbers.set(4, 4, 5);
  expect([texts.get('a'), numbers.get(2), numbers.get(3), numbers.get(4)]).toEqual(['two', 2, undefined, 4]);
});

test('a missing value is made once and kept', () => {
  const cache = new LruCache<string, number>(2);
  let made = 0;
  const get = (key: string): number => cache.getOrMake(key, () => ++made);
  expect([get('a'), get('b'), get('a'), get('c'), get('a'), get('b')]).toEqual([1, 2, 1, 3, 1, 4]);
});
