import { describe, expect, test } from 'vitest';
import { aheadAndBack, behindAChain, jumpAndBack, lyingNode, workerAhead } from '../support/clock-scenarios.ts';
import { ClockGround } from '../support/clocks.ts';
import { redisMissing } from '../support/redis.ts';

describe.each(['PostgreSQL', 'Redis'] as const)('with the queue on %s', (on) => {
  test.skipIf(on === 'Redis' && redisMissing !== null).each([
    ['a worker an hour ahead closes no round, keeps no other from closing them, and is told', workerAhead],
    ['two days ahead and back: appends and rounds go on, and the times in the future are told', aheadAndBack],
    ['a jump of both of two days and back within a minute spoils no log', jumpAndBack],
    ['both an hour behind a chain that is right is told within a minute, and nothing is refused', behindAChain],
    ['a node that lies about the time is told, and nothing is refused', lyingNode],
  ])('%s', async (_, scenario) => {
    await using ground = await ClockGround.open(on);
    const seen = await scenario(ground);
    expect(seen).toContain('rounds');
    console.log(seen);
  });
});
