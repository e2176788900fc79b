// Roots signed for COSE receipts: which, by which keys, and what is never signed.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cbor, decodeCbor, isCborArray, isCborMap } from '../../src/core/cbor.ts';
import { coseMessage } from '../../src/core/cose-receipt.ts';
import { verifyEd25519 } from '../../src/core/ed25519.node.ts';
import { setListed } from '../../src/log/listing.ts';
import type { Log } from '../../src/log/log.ts';
import { ReceiptKeys } from '../../src/log/receipt-keys.ts';
import { RootSigning, type SignedRoot } from '../../src/log/root-signing.ts';
import { addKeys, retireKeys } from '../../src/log/rotation.ts';
import { LogSeed } from '../../src/log/seed.ts';
import { asAdministrator } from '../support/history.ts';
import { type Instance, ORIGIN, openInstance, SEED } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

let server: TestDatabase;
let instance: Instance;

beforeAll(async () => {
  server = await testDatabase();
  instance = await openInstance(server.url);
});
afterAll(async () => {
  await instance?.end();
  await server?.drop();
});

/** As a process that was just started has it. */
const signing = ({ registry, publisher, tiles, guard }: Instance) =>
  new RootSigning({ registry, publisher, tiles, rollback: guard.rollback });

/** Which of the keys 1 to 3 of the seed signed the root. */
function signedBy(log: Log, { root, signature, ...header }: SignedRoot): number[] {
  return [1, 2, 3].filter((number) => {
    const { publicKey } = SEED.signer(log.origin, number).cose;
    return verifyEd25519(signature, coseMessage(header, root), publicKey);
  });
}

test('the root of a checkpoint is signed, of an older one too; of another size nothing', async () => {
  const log = await instance.makeLog('roots');
  await instance.append(log, 'a', 'b');
  const two = await instance.publisher.current(log);
  await instance.append(log, 'c');
  await instance.append(log, 'd');
  const roots = signing(instance);
  const signed = await roots.sign(log, 2);
  expect(signed).toMatchObject({ root: two.root, issuer: ORIGIN, log: log.origin });
  expect(signedBy(log, signed)).toEqual([1]);
  expect(await roots.sign(log, 2)).toBe(signed);
  await instance.publisher.current(log);
  await expect(roots.sign(log, 3)).rejects.toMatchObject({ code: 'size-not-signed' });
  await expect(roots.sign(log, 5)).rejects.toMatchObject({ code: 'size-not-signed' });
  expect(signedBy(log, await roots.sign(log, 4))).toEqual([1]);
});

test('the oldest key signs until it is retired, then the next', async () => {
  const log = await instance.makeLog('rotated');
  await instance.append(log, 'a', 'b');
  await instance.publisher.current(log);
  const roots = signing(instance);
  const sign = async () => signedBy(log, await roots.sign(log, 2));
  expect(await sign()).toEqual([1]);
  await addKeys(instance, [log]);
  expect(await sign()).toEqual([1]);
  await retireKeys(instance, [{ log, number: 1 }], true);
  expect(await sign()).toEqual([2]);
});

test('a root that was written into the database is not signed', async () => {
  const log = await instance.makeLog('altered');
  await instance.append(log, 'a', 'b');
  await instance.publisher.current(log);
  await instance.append(log, 'c');
  await instance.publisher.current(log);
  await asAdministrator(server.url, (admin) =>
    admin.query('UPDATE checkpoints SET root = sha256(root) WHERE log = $1', [log.id]),
  );
  for (const size of [2, 3]) {
    await expect(signing(instance).sign(log, size)).rejects.toMatchObject({ code: 'checkpoint-conflict' });
  }
});

test('nothing is signed once the database is known to be set back', async () => {
  const test = await testDatabase();
  const other = await openInstance(test.url);
  try {
    const log = await other.makeLog('back');
    await other.append(log, 'a', 'b');
    await other.publisher.current(log);
    const roots = signing(other);
    await roots.sign(log, 2);
    other.guard.rollback.note();
    await expect(roots.sign(log, 2)).rejects.toMatchObject({ code: 'database-set-back' });
  } finally {
    await other.end();
    await test.drop();
  }
});

test('keys are shown of listed logs alone, retired ones as long as there is their seed', async () => {
  const { database, registry, sequencing } = instance;
  const [shown, hidden] = [await instance.makeLog('shown'), await instance.makeLog('hidden')];
  const list = (listed: boolean) => setListed(database, registry.system, sequencing, shown, listed);
  let now = 0;
  const keys = new ReceiptKeys(database, registry, () => now);
  const ids = async (): Promise<Cbor[]> => {
    const set = decodeCbor(await keys.set());
    return isCborArray(set) ? set.map((key) => (isCborMap(key) ? (key.get(2) ?? null) : null)) : [];
  };
  const id = (log: Log, number: number) => SEED.signer(log.origin, number).cose.keyId;
  expect(await ids()).toEqual([]);
  await list(true);
  // Found before.
  expect(await ids()).toEqual([]);
  now += 10_000;
  expect(await ids()).toEqual([id(shown, 1)]);
  await addKeys(instance, [shown, hidden]);
  await retireKeys(instance, [{ log: shown, number: 1 }], true);
  now += 10_000;
  expect(await ids()).toEqual([id(shown, 1), id(shown, 2)]);
  // A row that no seed makes.
  await asAdministrator(server.url, (admin) =>
    admin.query(`INSERT INTO log_keys (log, number, public_key, created_at) VALUES ($1, 3, sha256('x'), 1)`, [
      shown.id,
    ]),
  );
  const later = new ReceiptKeys(database, registry, () => now);
  expect(decodeCbor(await later.set())).toHaveLength(2);
  await asAdministrator(server.url, (admin) => admin.query('DELETE FROM log_keys WHERE number = 3'));
  await list(false);
  now += 10_000;
  expect(await ids()).toEqual([]);
});

test('a key of an older seed goes on signing receipts, and a new seed makes others', () => {
  const both = new LogSeed(new Uint8Array(32).fill(7), new Uint8Array(32).fill(8));
  const old = SEED.signer('log.example.org/logs/a');
  expect(both.signer('log.example.org/logs/a', 1, old.publicKey).cose.publicKey).toEqual(old.cose.publicKey);
  expect(both.signer('log.example.org/logs/a').cose.publicKey).not.toEqual(old.cose.publicKey);
});
