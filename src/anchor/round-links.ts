import { type Step, treeSteps } from '../core/path.ts';
import { linkStep } from '../core/round.ts';
import type { RoundTrees } from './roundtrees.ts';

/**
 * The path from the root of one round to that of a later one: leaf 0 of each round holds the root of the round before.
 * @throws AntequemError `round-damaged`
 */
export async function stepsBetween(trees: RoundTrees, from: number, to: number): Promise<Step[]> {
  const steps: Step[] = [];
  for (let number = from + 1; number <= to; number++) {
    const { round, tree } = await trees.read(number);
    steps.push(linkStep(round), ...treeSteps(0, round.size, tree.inclusionPath(0)));
  }
  return steps;
}
