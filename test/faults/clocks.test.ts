import { expect, test } from 'vitest';
import { aheadAndBack, workerAhead } from '../support/clock-scenarios.ts';
import { ClockGround } from '../support/clocks.ts';

// The others take minutes: test/scale/clocks.scale.ts.
test.each([
  ['a worker an hour ahead closes no round, keeps no other from closing them, and is told', workerAhead],
  ['two days ahead and back: appends and rounds go on, and the times in the future are told', aheadAndBack],
])('%s', { timeout: 180_000 }, async (_, scenario) => {
  await using ground = await ClockGround.open('PostgreSQL');
  const seen = await scenario(ground);
  expect(seen).toContain('told after');
  console.log(seen);
});
