import { surviveKilledMoves } from '../support/killed-moves.ts';
import { surviveKills } from '../support/kills.ts';
import { testInLaps } from '../support/laps.ts';

testInLaps('killed 100 times at random points', 10, () => surviveKills(100));
testInLaps('killed 100 times while entries are moved', 10, () => surviveKilledMoves(100));
