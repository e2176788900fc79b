import pg from 'pg';
import { expect, it, vi } from 'vitest';
import { testService } from '../support/service.ts';

it('a thousand rounds are listed with their anchors in a few queries, each as it reads alone', async () => {
  await using service = await testService();
  const { database } = service.foundation;
  await database.query(
    `INSERT INTO rounds (number, closed_at, previous_root, root, size, beacons)
     SELECT n, 1e12 + n, sha256(n::text::bytea), sha256((n + 1)::text::bytea), 1, '[]' FROM generate_series(1, 1000) n`,
  );
  await database.query(
    "INSERT INTO packed_leaves (round, link, checkpoints, digests) SELECT n, '\\x80', '', '' FROM generate_series(1, 1000) n",
  );
  await database.query(
    `INSERT INTO targets (name, chain, kind, contract, mode, ephemeral, first_round, created_at) VALUES
       ('one', 'eip155:1', 'evm', '0x' || repeat('0', 40), 'anchor', false, 1, 0),
       ('two', 'bip122:000000000019d6689c085ae165831e93', 'opentimestamps', NULL, NULL, false, 1, 0)`,
  );
  await database.query(
    `INSERT INTO anchors (target, kind, round, problem, created_at, updated_at)
     SELECT t.name, t.kind, n, 'problem ' || n, n, n FROM targets t, generate_series(2, 1000) n`,
  );
  await database.query(
    `INSERT INTO ots_requests (target, round, kind, calendar, message, created_at, next_at)
     SELECT 'two', n, 'submit', 'https://' || c, sha256('m'), 0, 0 FROM generate_series(2, 1000) n, unnest('{a,b,c}'::text[]) c`,
  );

  const queries = vi.spyOn(pg.Pool.prototype, 'query');
  const { status, at } = await service.send('GET', '/v1/rounds?limit=1000');
  const asked = queries.mock.calls.length;
  queries.mockRestore();
  expect(status).toBe(200);
  expect(asked).toBeLessThan(10);
  for (const [place, number] of [
    [0, 1000],
    [500, 500],
    [999, 1],
  ] as const) {
    const alone = await service.send('GET', `/v1/rounds/${number}`);
    const listed = at('rounds', place);
    expect(alone.json).toEqual({ ...(typeof listed === 'object' ? listed : {}), leaves: ['80'] });
  }
  expect(at('rounds', 0, 'anchors', 1)).toMatchObject({
    target: 'two',
    problem: 'problem 1000',
    calendars: [{ calendar: 'https://a' }, { calendar: 'https://b' }, { calendar: 'https://c' }],
  });
  expect(at('rounds', 999, 'anchors')).toEqual([]);
  console.log(`1,000 rounds with their anchors: ${asked} queries`);
});
