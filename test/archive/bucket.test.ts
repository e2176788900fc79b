import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Bucket, demandConditionalWrites } from '../../src/archive/bucket.ts';
import { utf8 } from '../../src/core/bytes.ts';
import type { AntequemError } from '../../src/core/errors.ts';
import { bucketNowhere, KEYS, objectStoreMissing, type TestStore, testStore } from '../support/object-store.ts';

const when = test.skipIf(objectStoreMissing !== null);
let store: TestStore;

beforeAll(async () => {
  if (objectStoreMissing === null) store = await testStore();
});
afterAll(() => store?.stop());

async function all(names: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const name of names) found.push(name);
  return found;
}

when('objects are written once, read, listed and deleted', async () => {
  const bucket = new Bucket({ ...(await store.bucket('plain')), prefix: 'a/b' });
  expect(await bucket.putNew('logs/x/tile/0/000', utf8('one'))).toBe('written');
  expect(await bucket.putNew('logs/x/tile/0/000', utf8('one'))).toBe('present');
  await expect(bucket.putNew('logs/x/tile/0/000', utf8('two'))).rejects.toMatchObject({ code: 'archive-conflict' });
  expect(await bucket.get('logs/x/tile/0/000', 3)).toEqual(utf8('one'));
  await expect(bucket.get('logs/x/tile/0/000', 2)).rejects.toMatchObject({ code: 'archive-damaged' });
  expect(await bucket.get('logs/x/tile/0/001', 3)).toBeNull();
  for (const name of ['m/1', 'm/2', 'n/1']) await bucket.put(name, utf8(name));
  expect(await all(bucket.list('m/'))).toEqual(['m/1', 'm/2']);
  expect(await all(bucket.list('m/', 'm/1'))).toEqual(['m/2']);
  expect(await bucket.remove('m/1')).toBe('deleted');
  expect(await bucket.get('m/1', 10)).toBeNull();
  await demandConditionalWrites(bucket, 'probe');
  expect(await bucket.get('probe', 100)).toBeNull();
});

when('a locked object is not deleted', async () => {
  const bucket = new Bucket(await store.bucket('locked', true));
  await bucket.putNew('x', utf8('kept'), { mode: 'GOVERNANCE', until: Date.now() + 3_600_000 });
  expect(await bucket.remove('x')).toBe('locked');
  expect(await bucket.get('x', 10)).toEqual(utf8('kept'));
});

/** A server that answers each request with the same, except those that it is told to answer otherwise. */
async function answering(
  status: number,
  body: string,
  work: (bucket: Bucket) => Promise<void>,
  others: Readonly<Record<string, readonly [number, string]>> = {},
): Promise<void> {
  const server: Server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      if (status === 0) return;
      const [code, text] = others[request.method ?? ''] ?? [status, body];
      response.writeHead(code).end(text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const address = {
    endpoint: `http://127.0.0.1:${port}`,
    region: 'us-east-1',
    bucket: 'b',
    prefix: '',
    sessionToken: null,
  };
  try {
    await work(new Bucket({ ...address, ...KEYS }, 200));
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test.each([
  [500, '', 'archive-unavailable'],
  [503, '<Error><Code>SlowDown</Code></Error>', 'archive-unavailable'],
  [403, '<Error><Code>AccessDenied</Code><Message>antequem-secret</Message></Error>', 'archive-refused'],
  [507, '<Error><Code>InsufficientStorage</Code></Error>', 'archive-unavailable'],
  [0, '', 'archive-unavailable'],
])('a store that answers %i is told apart, without secrets', async (status, body, code) => {
  await answering(status, body, async (bucket) => {
    for (const ask of [() => bucket.get('x', 100), () => bucket.putNew('x', utf8('x'))]) {
      const error: unknown = await ask().catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code });
      expect(String(error)).not.toContain('secret');
    }
  });
});

test.each([
  ['locked', 403, 'AccessDenied'],
  ['locked', 400, 'InvalidRequest'],
  ['archive-refused', 400, 'InvalidArgument'],
])('%s: a store that answers %i %s to a deletion', async (expected, status, code) => {
  const answer = [status, `<Error><Code>${code}</Code></Error>`] as const;
  const remove = async (bucket: Bucket): Promise<void> => {
    expect(await bucket.remove('x').catch((error: AntequemError) => error.code)).toBe(expected);
  };
  // It does not list versions.
  await answering(501, '', remove, { DELETE: answer });
});

test('a store that ignores If-None-Match is refused', async () => {
  await answering(200, '', async (bucket) => {
    await expect(demandConditionalWrites(bucket, 'probe')).rejects.toMatchObject({
      code: 'archive-conditions-ignored',
    });
  });
});

test('a store that is not there is told apart', async () => {
  await expect(bucketNowhere().get('x', 1)).rejects.toMatchObject({ code: 'archive-unavailable' });
});
