import { expect, test } from 'vitest';
import { BucketReader } from '../../src/archive/bucket-reader.ts';
import { AntequemError } from '../../src/core/errors.ts';
import { bucketNowhere } from '../support/object-store.ts';

const bucket = bucketNowhere();
const AT_ONCE = 8;

/** Reads that have begun, to be ended by the test. */
function reads(reader: BucketReader, count: number) {
  const begun: PromiseWithResolvers<string>[] = [];
  const results = Array.from({ length: count }, () =>
    reader
      .read(() => {
        const read = Promise.withResolvers<string>();
        begun.push(read);
        return read.promise;
      })
      .catch((error: AntequemError) => error.code),
  );
  return { begun, results };
}

const away = (): AntequemError => new AntequemError('archive-unavailable', 'it took too long');
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('who waited for long is not kept waiting for a store that does not answer', async () => {
  const reader = new BucketReader([bucket], 0);
  const { begun, results } = reads(reader, 100);
  expect(begun).toHaveLength(AT_ONCE);
  for (const read of [...begun]) read.reject(away());
  expect(new Set(await Promise.all(results))).toEqual(new Set(['archive-unavailable']));
  expect(begun).toHaveLength(AT_ONCE);
  // It is asked again by those who come then, as many at the same time as before.
  const later = reads(reader, 20);
  expect(later.begun).toHaveLength(AT_ONCE);
  for (let i = 0; i < 20; i++) {
    later.begun[i]?.resolve('there');
    await settled();
  }
  expect(await Promise.all(later.results)).toEqual(Array.from({ length: 20 }, () => 'there'));
});

test.each([
  ['a store that is slow, and answers', 0, (read: PromiseWithResolvers<string>) => read.resolve('there'), 'there'],
  ['what is damaged', 0, damage, 'archive-damaged'],
  ['a short failure', 60_000, (read: PromiseWithResolvers<string>) => read.reject(away()), 'archive-unavailable'],
])('all wait their turn behind %s', async (_, patience, end, expected) => {
  const { begun, results } = reads(new BucketReader([bucket], patience), 30);
  for (let i = 0; i < 30; i++) {
    const read = begun[i];
    if (read !== undefined) end(read);
    await settled();
  }
  expect(begun).toHaveLength(30);
  expect(await Promise.all(results)).toEqual(Array.from({ length: 30 }, () => expected));
});

function damage(read: PromiseWithResolvers<string>): void {
  read.reject(new AntequemError('archive-damaged', 'x is gone'));
}
