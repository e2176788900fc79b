import { afterAll, beforeAll, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { toHex, utf8 } from '../../src/core/bytes.ts';
import { registerTarget } from '../../src/evm/state.ts';
import { registerOts } from '../../src/ots/state.ts';
import { registerAuthority } from '../../src/tsa/tokens.ts';
import { type Instance, openInstance } from '../support/instance.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

let server: TestDatabase;
let one: Instance;

beforeAll(async () => {
  server = await testDatabase();
  one = await openInstance(server.url, { connections: 10 });
});

afterAll(async () => {
  await one?.end();
  await server?.drop();
});

test('processes that start at once add a target together', async () => {
  const contract = `0x${'ab'.repeat(20)}`;
  const evm = { firstRound: null, storeEvery: 'always', now: 1 } as const;
  const sender = (name: string): string => `0x${toHex(sha256(utf8(name))).slice(0, 40)}`;
  const kinds: ((name: string) => Promise<void>)[] = [
    (name) =>
      registerTarget(
        one.database,
        { name, chain: 'eip155:1', contract, ephemeral: false },
        { ...evm, sender: sender(name) },
      ),
    (name) => registerOts(one.database, { name, chain: 'bip122:00', ephemeral: false }, { firstRound: null, now: 1 }),
    (name) => registerAuthority(one.database, { name, chain: 'rfc3161', ephemeral: false, firstRound: null, now: 1 }),
  ];
  const names: string[] = [];
  for (const [i, register] of kinds.entries()) {
    for (let n = 0; n < 20; n++) {
      const name = `target-${i}-${n}`;
      names.push(name);
      await Promise.all(Array.from({ length: 10 }, () => register(name)));
    }
  }
  const { rows } = await one.database.query<{ name: string }>('SELECT name FROM targets ORDER BY name');
  expect(rows.map(({ name }) => name)).toEqual(names.toSorted());
});
