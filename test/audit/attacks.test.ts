// Attacks by SQL, and lies about what is shown: both audits are tried on each, and must agree wherever both can see it.

import { afterAll, describe, expect, test } from 'vitest';
import { databaseAttacks } from './database-attacks.ts';
import { Outcomes } from './outcomes.ts';
import { remoteAttacks } from './remote-attacks.ts';

const outcomes = new Outcomes();

afterAll(() => console.log(outcomes.print()));

describe('attacks by SQL, up to a history rebuilt with the seed', () => databaseAttacks(outcomes));
describe('lies about what is shown, up to two signed histories', () => remoteAttacks(outcomes));

test('each of them is in the table', () => {
  expect(outcomes.count).toBeGreaterThanOrEqual(76 + 45);
});
