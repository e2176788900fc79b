import { test } from 'vitest';
import { surviveKilledMoves } from '../support/killed-moves.ts';
import { surviveKills } from '../support/kills.ts';

test('killed 1,000 times at random points', () => surviveKills(1_000), 3_600_000);
test('killed 1,000 times while entries are moved', () => surviveKilledMoves(1_000), 3_600_000);
