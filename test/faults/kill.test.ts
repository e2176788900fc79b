import { test } from 'vitest';
import { surviveKilledMoves } from '../support/killed-moves.ts';
import { surviveKills } from '../support/kills.ts';

test(
  'killed 10 times at random points: nothing answered is lost, doubled or forked, each round is anchored once',
  () => surviveKills(10),
  120_000,
);

test('killed 10 times while the entries of an older release are moved into blocks: all is as before', () =>
  surviveKilledMoves(10));
