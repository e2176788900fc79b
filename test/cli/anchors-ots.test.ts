import { expect, test } from 'vitest';
import { z } from 'zod';
import { otsGround } from '../support/ots.ts';
import { run } from './command.ts';

const answer = z.array(
  z.looseObject({
    name: z.string(),
    type: z.string(),
    contract: z.null(),
    anchors: z.record(z.string(), z.number()),
    calendars: z.array(z.unknown()),
  }),
);

test('antequem anchors shows the open work of calendars', async () => {
  await using ground = await otsGround(2);
  const [fine, failing] = ground.calendars;
  if (fine === undefined || failing === undefined) throw new Error('no calendars');
  failing.behaviour = (_request, response) => void response.writeHead(500).end();
  const target = ground.target();
  await target.register();
  await target.advance(await ground.close(3));
  const env = { DATABASE_URL: ground.databaseUrl };
  const { stdout } = await run(['anchors'], { env });
  expect(stdout).toContain(`opentimestamps  ${target.chain}  by calendars  running\n`);
  expect(stdout).toContain('  rounds    3 pending, 0 submitted, 0 included, 0 finalized; oldest open: round 1');
  expect(stdout).toContain(`  calendar  ${fine.url} has yet to complete 3 proofs\n`);
  expect(stdout).toContain(
    `  calendar  ${failing.url} has not answered for 3 rounds: ${failing.url} answered with status 500\n`,
  );
  expect(stdout).toContain('  problem   3 rounds: 1 of the 2 calendars that are enough have answered\n');
  const [shown] = answer.parse(JSON.parse((await run(['anchors', '--json'], { env })).stdout));
  expect(shown).toMatchObject({
    name: 'opentimestamps',
    type: 'opentimestamps',
    anchors: { pending: 3 },
    calendars: expect.arrayContaining([
      { calendar: fine.url, submissions: 0, upgrades: 3, problem: null },
      { calendar: failing.url, submissions: 3, upgrades: 0, problem: `${failing.url} answered with status 500` },
    ]),
  });
});
