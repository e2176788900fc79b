import { afterAll, beforeAll, expect, it } from 'vitest';
import { type TestService, testService } from '../support/service.ts';

const BLOCK = Buffer.alloc(32, 0xb1);
const TIME = Date.UTC(2026, 6, 1);

let service: TestService;

beforeAll(async () => {
  service = await testService();
  const { database } = service.foundation;
  for (const target of ['one', 'two']) {
    await database.query(
      `INSERT INTO targets (name, chain, contract, mode, ephemeral, first_round, created_at)
       VALUES ($1, 'eip155:1', $2, 'anchor', false, 1, 0)`,
      [target, `0x${'5a'.repeat(20)}`],
    );
  }
});
afterAll(() => service[Symbol.asyncDispose]());

const append = (log: string, lines: number): Promise<unknown> =>
  service.send('POST', `/v1/logs/${log}/entries?split=lines`, { body: 'x\n'.repeat(lines) });

async function anchor(target: string, round: number, status: 'submitted' | 'included' | 'finalized'): Promise<void> {
  const inBlock = status !== 'submitted';
  await service.foundation.database.query(
    `INSERT INTO anchors (target, round, status, transaction, block_number, block_hash, block_time, created_at, finalized_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, 0)`,
    [
      target,
      round,
      status,
      BLOCK,
      inBlock ? round : null,
      inBlock ? BLOCK : null,
      inBlock ? TIME + round * 1_000 : null,
      status === 'finalized' ? 0 : null,
    ],
  );
}

it('tells of each log how much of it is in a block, and how surely', async () => {
  for (const log of ['early', 'late', 'idle']) await service.send('PUT', `/v1/logs/${log}`);
  const standing = async (log: string): Promise<unknown> =>
    (await service.send('GET', `/v1/logs/${log}`)).at('anchored');

  await append('early', 2);
  await service.closeRound();
  expect(await standing('early')).toBeUndefined();
  await anchor('one', 1, 'submitted');
  expect(await standing('early')).toBeUndefined();
  await anchor('two', 1, 'finalized');
  const first = { size: 2, round: 1, status: 'finalized', time: '2026-07-01T00:00:01.000Z' };
  expect(await standing('early')).toEqual(first);

  await append('early', 3);
  await append('late', 1);
  await service.closeRound();
  // The newest round counts as soon as it is in any block, not before.
  expect(await standing('early')).toEqual(first);
  await anchor('one', 2, 'included');
  expect(await standing('early')).toEqual({ size: 5, round: 2, status: 'included', time: '2026-07-01T00:00:02.000Z' });
  await anchor('two', 2, 'finalized');
  expect(await standing('early')).toMatchObject({ round: 2, status: 'finalized' });
  expect(await standing('late')).toMatchObject({ size: 1, round: 2 });
  expect(await standing('idle')).toBeUndefined();
  expect((await service.send('GET', '/v1/logs?limit=1')).at('logs', 0, 'anchored')).toMatchObject({ round: 2 });
});
