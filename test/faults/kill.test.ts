import { test } from 'vitest';
import { surviveKills } from '../support/kills.ts';

test(
  'killed 10 times at random points: nothing answered is lost, doubled or forked, each round is anchored once',
  () => surviveKills(10),
  120_000,
);
