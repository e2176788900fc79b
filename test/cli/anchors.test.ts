import { Wallet } from 'ethers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { SENDER, SENDER_KEY } from '../support/anchoring.ts';
import { noAnvil } from '../support/anvil-chain.ts';
import { type AnvilGround, anvilGround } from '../support/anvil-ground.ts';
import { run } from './command.ts';

const answer = z.array(
  z.looseObject({
    name: z.string(),
    stopped: z.nullable(z.looseObject({ code: z.string() })),
    anchors: z.record(z.string(), z.number()),
    accounts: z.array(
      z.looseObject({ spentIn24Hours: z.string(), balance: z.nullable(z.looseObject({ low: z.boolean() })) }),
    ),
  }),
);

describe.skipIf(noAnvil !== null)(
  `antequem anchors, on anvil${noAnvil === null ? '' : ` (skipped: ${noAnvil})`}`,
  () => {
    let ground: AnvilGround;
    beforeAll(async () => {
      ground = await anvilGround({ target: { name: 'main', lowBalance: 10n ** 24n } });
    });
    afterAll(() => ground?.stop());

    const anchors = (...args: string[]) => run(['anchors', ...args], { env: { DATABASE_URL: ground.databaseUrl } });

    test('shows the state of targets, and resumes a stopped one', async () => {
      expect(await anchors()).toEqual({
        code: 0,
        stdout: '',
        stderr: 'there is no target yet: the worker adds the configured ones when it starts\n',
      });
      const target = ground.target();
      const rounds = await ground.prepare(target, 2);
      await ground.finish(target, rounds);
      await target.inspect();
      const running = await anchors();
      expect(running.stdout).toMatch(/^main {2}eip155:31337 {2}anchor at 0x[0-9a-f]{40} {2}running\n/);
      expect(running.stdout).toContain('  rounds    0 pending, 0 submitted, 0 included, 2 finalized\n');
      expect(running.stdout).toMatch(
        new RegExp(
          `  account   ${SENDER} holds 9999\\.\\d+; 0\\.000\\d+ spent or promised in 24 hours \\(low: send it more\\)\n`,
        ),
      );
      expect(await anchors('resume', 'main')).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('main is not stopped'),
      });
      expect(await anchors('resume', 'other')).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('no target "other"'),
      });

      const wallet = new Wallet(SENDER_KEY, ground.provider);
      await wallet.sendTransaction({ to: SENDER, value: 1n });
      const more = await ground.prepare(target, 1);
      await target.advance(more);
      const stopped = await anchors();
      expect([stopped.code, running.code]).toEqual([1, 0]);
      expect(stopped.stdout).toContain('STOPPED (nonce-foreign)\n');
      expect(stopped.stdout).toContain('  then      antequem anchors resume main\n');
      expect(stopped.stdout).toMatch(/1 pending, .*; oldest open: round 3, closed 2023-/);
      const [json] = answer.parse(JSON.parse((await anchors('--json')).stdout));
      expect(json).toMatchObject({ stopped: { code: 'nonce-foreign' }, anchors: { pending: 1, finalized: 2 } });

      const resumed = await anchors('resume', 'main');
      expect(resumed).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^main continues; it had stopped because of nonce-foreign: /),
      });
      await ground.mine(8);
      await ground.finish(target, more);
      await ground.expectOnce([...rounds, ...more], 4);
    });

    test('without a database it says what to set', async () => {
      expect(await run(['anchors'], { cwd: '/', env: { DATABASE_URL: '' } })).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('set DATABASE_URL'),
      });
    });
  },
);
