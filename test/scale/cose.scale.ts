// COSE receipts of every entry of logs of telling sizes, verified by three libraries of others.

import { createPublicKey } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeCbor } from '../../src/core/cbor.ts';
import { encodeCoseReceipt } from '../../src/core/cose-receipt.ts';
import { ENTRY_SIZE, encodeOpenEntry } from '../../src/core/entry.ts';
import { ed25519Spki } from '../../src/core/note.ts';
import type { Log } from '../../src/log/log.ts';
import { RootSigning } from '../../src/log/root-signing.ts';
import { auth0Cose, goCose, goCoseMissing, scittCose } from '../support/cose-strangers.ts';
import { drafts, type Instance, openInstance, SEED } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

const SIZES = [2, 3, 255, 256, 257, 100_000];
const BATCH = 10_000;
const AT_ONCE = 200;

let server: TestDatabase;
let instance: Instance;
const table: string[] = [];

beforeAll(async () => {
  server = await testDatabase();
  instance = await openInstance(server.url);
});
afterAll(async () => {
  await instance?.end();
  await server?.drop();
  console.log(
    ['size      receipts  accepted  changed entry refused  changed byte refused  other size or index', ...table].join(
      '\n',
    ),
  );
});

interface Made {
  readonly receipt: Uint8Array;
  readonly entry: Uint8Array;
  readonly root: Uint8Array;
}

async function receiptsOf(log: Log, size: number): Promise<Made[]> {
  const { registry, publisher, tiles, guard, receipts } = instance;
  const roots = new RootSigning({ registry, publisher, tiles, rollback: guard.rollback });
  const make = async (index: number): Promise<Made> => {
    const { entry, treeSize, path } = await receipts.place(log, index);
    expect(treeSize).toBe(size);
    const { root, ...signed } = await roots.sign(log, treeSize);
    const receipt = encodeCoseReceipt({ ...signed, proof: { kind: 'inclusion', treeSize, index, path }, entry: null });
    return { receipt, entry: encodeOpenEntry(entry).slice(0, ENTRY_SIZE), root };
  };
  const made: Made[] = [];
  for (let from = 0; from < size; from += AT_ONCE) {
    const indexes = Array.from({ length: Math.min(AT_ONCE, size - from) }, (_, i) => from + i);
    made.push(...(await Promise.all(indexes.map(make))));
  }
  return made;
}

test.each(SIZES)('a log of %s entries', async (size) => {
  const log = await instance.makeLog(`cose-${size}`);
  for (let from = 0; from < size; from += BATCH) {
    const count = Math.min(BATCH, size - from);
    await instance.appender.append(log, { drafts: drafts(count, `of ${from}`), idempotency: null });
  }
  await instance.publisher.current(log);
  const made = await receiptsOf(log, size);
  const { publicKey, keyId } = SEED.signer(log.origin).cose;

  const pem = createPublicKey({ key: Buffer.from(ed25519Spki(publicKey)), format: 'der', type: 'spki' });
  const seen = await scittCose(made, pem.export({ format: 'pem', type: 'spki' }).toString());
  const { accepted, entriesRefused, refused, relabelled } = seen;
  const columns = [size, seen.total, accepted, entriesRefused, refused, relabelled];
  table.push(columns.map((value, i) => value.toLocaleString('en').padEnd([10, 10, 10, 23, 22, 0][i] ?? 0)).join(''));
  expect(seen).toEqual({ total: size, accepted: size, entriesRefused: size, refused, relabelled, wrong: [] });
  expect(refused + relabelled).toBe(size);

  if (goCoseMissing === null) expect(await goCose(made, publicKey)).toBe(`${size} none`);
  else console.warn(`not verified by go-cose: ${goCoseMissing}`);

  const verify = auth0Cose();
  const key = encodeCbor(
    new Map<number, number | Uint8Array>([
      [1, 1],
      [2, keyId],
      [3, -8],
      [-1, 6],
      [-2, publicKey],
    ]),
  );
  for (const { receipt, root } of made.filter((_, i) => i % 97 === 0)) {
    expect(await verify(receipt, root, key)).toBe(true);
    expect(await verify(receipt, new Uint8Array(32), key)).toBe(false);
  }
});
