import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Database, openDatabase, transaction } from '../../src/store/database.ts';
import { type TestDatabase, testDatabase } from '../support/postgres.ts';

let server: TestDatabase;
let database: Database;

beforeAll(async () => {
  server = await testDatabase({ empty: true });
  database = openDatabase(server.url, { connections: 2, name: 'under test' });
  await database.query('CREATE TABLE t (n bigint PRIMARY KEY CHECK (n <> 13))');
});

afterAll(async () => {
  await database?.end();
  await server?.drop();
});

const insert = 'INSERT INTO t VALUES ($1)';
const kept = async (): Promise<number[]> =>
  (await database.query<{ n: number }>('SELECT n FROM t ORDER BY n')).rows.map(({ n }) => n);

test('bigint is a number below 2^53, bytea bytes, and beyond 2^53 an error', async () => {
  const { rows } = await database.query(`SELECT 9007199254740991::bigint AS big, '\\x00ff'::bytea AS bytes`);
  expect(rows).toEqual([{ big: Number.MAX_SAFE_INTEGER, bytes: Buffer.from([0, 255]) }]);
  await expect(database.query('SELECT 9007199254740992::bigint')).rejects.toMatchObject({ code: 'integer-range' });
  expect((await database.query('SELECT -1::bigint AS n')).rows).toEqual([{ n: -1 }]);
});

describe('a transaction', () => {
  test('keeps what it did when it returns', async () => {
    expect(await transaction(database, async (tx) => void (await tx.query(insert, [1])))).toBeUndefined();
    expect(await kept()).toEqual([1]);
  });

  test('keeps nothing when it throws, whatever it throws', async () => {
    const boom = new Error('boom');
    for (let i = 0; i < 5; i++) {
      const work = transaction(database, async (tx) => {
        await tx.query(insert, [2]);
        throw boom;
      });
      await expect(work).rejects.toBe(boom);
    }
    expect(await kept()).toEqual([1]);
    expect(database.totalCount).toBeLessThanOrEqual(2);
  });

  test('that swallowed the error of a statement is not reported as done', async () => {
    const work = transaction(database, async (tx) => {
      await tx.query(insert, [3]);
      await tx.query(insert, [13]).catch(() => {});
    });
    await expect(work).rejects.toMatchObject({ code: 'commit-refused' });
    expect(await kept()).toEqual([1]);
  });

  test('whose deferred statement fails keeps nothing, and says which failed', async () => {
    const work = transaction(database, async (tx, defer) => {
      defer(() => tx.query(insert, [4]));
      defer(() => tx.query(insert, [13]));
      defer(() => tx.query(insert, [5]));
    });
    await expect(work).rejects.toMatchObject({ code: '23514' });
    expect(await kept()).toEqual([1]);
    await transaction(database, async (tx, defer) => {
      defer(() => tx.query(insert, [6]));
      defer(() => tx.query(insert, [7]));
    });
    expect(await kept()).toEqual([1, 6, 7]);
  });

  test('whose deferred statement never reached the server keeps nothing', async () => {
    const unsent = new Error('not to be encoded');
    const work = transaction(database, async (tx, defer) => {
      const encode = async (): Promise<void> => {
        throw unsent;
      };
      defer(() => tx.query(insert, [20]));
      defer(encode);
      defer(() => tx.query(insert, [21]));
    });
    await expect(work).rejects.toBe(unsent);
    expect(await kept()).toEqual([1, 6, 7]);
  });

  test('whose connection dies is an error, and its connection is not used again', async () => {
    const work = transaction(database, async (tx) => {
      await tx.query(insert, [8]);
      const { rows } = await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      await database.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid]);
      await tx.query(insert, [9]);
    });
    await expect(work).rejects.toThrow();
    for (let i = 0; i < 5; i++) expect(await kept()).toEqual([1, 6, 7]);
  });
});

test('a database that is not there is an error that names it, without the password', async () => {
  const nowhere = openDatabase('postgres://nobody:secret@127.0.0.1:1/nothing');
  await expect(transaction(nowhere, async () => {})).rejects.toMatchObject({
    code: 'database-unavailable',
    message: 'the database nobody@127.0.0.1:1/nothing cannot be used: connect ECONNREFUSED 127.0.0.1:1',
  });
  await expect(nowhere.query('SELECT 1')).rejects.toMatchObject({ code: 'database-unavailable' });
  await nowhere.end();
});
