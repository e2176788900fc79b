import { test } from 'vitest';
import { surviveKills } from '../support/kills.ts';

test('killed 1,000 times at random points', () => surviveKills(1_000), 3_600_000);
