import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { receiptAnchors } from '../../src/anchor/anchors.ts';
import { nodeSource } from '../../src/bitcoin/header-sources.ts';
import { BITCOIN } from '../../src/core/bitcoin-header.ts';
import { AntequemError } from '../../src/core/errors.ts';
import { inParallel } from '../../src/evm/parallel.ts';
import { KINDS } from '../../src/kinds.ts';
import { CalendarError, calendarClient } from '../../src/ots/calendar-client.ts';
import type { OtsTarget } from '../../src/ots/target.ts';
import { type OtsGround, otsGround } from '../support/ots.ts';
import { OTS_EFFECTS, type OtsEffect, withOtsFault } from '../support/ots-faults.ts';
import { FAST } from '../support/ots-pace.ts';
import { MOMENTS, type Moment } from '../support/spoil.ts';

const PROCESS = join(import.meta.dirname, '../support/ots-process.ts');
const THEN = ['goes on', 'process killed'] as const;
const ROUNDS = 2;

/** Calendars that stamp whatever they have promised into a block of their own, soon below six others. */
function stampAlways(ground: OtsGround): NodeJS.Timeout {
  let newest = 0;
  return setInterval(() => {
    for (const calendar of ground.calendars) {
      if (calendar.waiting().length === 0) continue;
      newest = ground.headers.length;
      ground.mine(1, calendar.stamped(newest));
    }
    if (ground.headers.length < newest + 8) ground.mine(1);
  }, 30);
}

async function runProcess(
  ground: OtsGround,
  rounds: readonly number[],
  fault: { effect: OtsEffect; moment: Moment; occurrence: number },
): Promise<boolean> {
  const { databaseUrl, node, calendars } = ground;
  const settings = { databaseUrl, rpcUrl: node.url, calendars: calendars.map(({ url }) => url), rounds, fault };
  const child = spawn(process.execPath, [PROCESS, JSON.stringify(settings)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code, signal] = await once(child, 'close');
  if (signal !== 'SIGKILL') expect(code).toBe(0);
  return signal === 'SIGKILL';
}

/** As a worker does: what it throws is looked at again. */
async function untilDone(target: OtsTarget, rounds: readonly number[]): Promise<void> {
  let looks: Map<number, number | null> | null = null;
  for (const end = performance.now() + 30_000; performance.now() < end; ) {
    looks = await target.advance(rounds).catch(() => null);
    if (looks !== null && [...looks.values()].every((again) => again === null)) return;
    await pause(10);
  }
  throw new Error(`it came to no end: ${JSON.stringify([...(looks ?? [])])}`);
}

/** Counts submissions of what a stored answer was there for already. */
function watchSubmissions({ calendars, database }: OtsGround): { needless: number } {
  const watched = { needless: 0 };
  for (const calendar of calendars) {
    calendar.onSubmit = async (digest) => {
      const { rows } = await database.query(
        `SELECT FROM ots_answers n JOIN ots_requests q ON q.id = n.request
         WHERE q.kind = 'submit' AND q.calendar = $1 AND q.message = $2`,
        [calendar.url, Buffer.from(digest)],
      );
      watched.needless += rows.length;
    };
  }
  return watched;
}

/** Every root is confirmed by both calendars, and every answer that ever was stored is there. */
async function judge(ground: OtsGround, rounds: readonly number[]): Promise<string> {
  const { database, calendars } = ground;
  const { rows } = await database.query<{ status: string; submissions: number; stored: number; confirmed: number }>(
    `SELECT a.status, count(*) FILTER (WHERE q.kind = 'submit') AS submissions,
            count(*) FILTER (WHERE q.kind = 'submit' AND q.answered_at IS NOT NULL) AS stored,
            (SELECT count(DISTINCT t.request) FROM ots_attestations t JOIN ots_requests u ON u.id = t.request
             WHERE u.round = a.round AND t.state IN ('confirmed', 'buried')) AS confirmed
     FROM anchors a JOIN ots_requests q USING (target, round) GROUP BY a.target, a.round ORDER BY a.round`,
  );
  expect(rows).toEqual(
    rounds.map(() => ({
      status: 'finalized',
      submissions: calendars.length,
      stored: calendars.length,
      confirmed: calendars.length,
    })),
  );
  for (const round of rounds) {
    expect(await receiptAnchors(KINDS, database, round)).toMatchObject([
      { type: 'opentimestamps', status: 'confirmed' },
    ]);
  }
  const posts = calendars.map(({ asked }) => asked.filter((each) => each.startsWith('POST')).length);
  const extra = posts.reduce((sum, count) => sum + count, 0) - rounds.length * calendars.length;
  return `${rounds.length}/${rounds.length} confirmed, +${extra}`;
}

test('each step of submit, upgrade and confirm, failed or done but reported failed, the process going on or killed', async () => {
  const cells = OTS_EFFECTS.flatMap((effect) =>
    THEN.flatMap((then) => MOMENTS.map((moment) => ({ effect, moment, then }))),
  );
  const verdicts = await inParallel(cells, 3, async (cell) => {
    const { effect, moment, then } = cell;
    const ground = await otsGround(2);
    const stamping = stampAlways(ground);
    try {
      const target = ground.target();
      await target.register();
      const rounds = await ground.close(ROUNDS);
      const watched = watchSubmissions(ground);
      let struck = 0;
      if (then === 'goes on') {
        const strike = async (): Promise<never> => {
          struck += 1;
          const why = `${effect}: ${moment}`;
          if (effect === 'submit' || effect === 'upgrade') throw new CalendarError(why);
          throw effect === 'header' ? new AntequemError('bitcoin-failed', why) : new Error(why);
        };
        const whole = {
          client: calendarClient({ timeout: FAST.timeout }),
          source: nodeSource(ground.node.url, BITCOIN, { timeout: 2_000 }),
          database: ground.database,
        };
        await untilDone(
          ground.target(withOtsFault(whole, { effect, moment, due: (n) => n % 2 === 1 && n < 6, strike })),
          rounds,
        );
      } else {
        // At the first of its kind, then amid several.
        for (const occurrence of effect === 'submit' ? [1, 2] : [1])
          if (await runProcess(ground, rounds, { effect, moment, occurrence })) struck += 1;
        await untilDone(target, rounds);
      }
      expect(struck, 'nothing failed').toBeGreaterThan(0);
      expect(watched.needless, 'submitted needlessly').toBe(0);
      return `${await judge(ground, rounds)} (${struck}×)`;
    } catch (error) {
      throw new Error(`${effect}, ${moment}, ${then}`, { cause: error });
    } finally {
      clearInterval(stamping);
      await ground[Symbol.asyncDispose]();
    }
  });
  const width = 28;
  const head = THEN.flatMap((then) => MOMENTS.map((moment) => [then, moment] as const));
  const lines = [
    ['', ...head.map(([then]) => then)],
    ['', ...head.map(([, moment]) => moment)],
    ...OTS_EFFECTS.map((effect, i) => [effect, ...verdicts.slice(i * head.length, (i + 1) * head.length)]),
  ];
  const table = lines.map(([name = '', ...rest]) => name.padEnd(20) + rest.map((text) => text.padEnd(width)).join(''));
  console.log(
    `faults in stamping, ${ROUNDS} rounds and 2 calendars a cell: rounds confirmed by both, submissions beyond one each (how often it failed)\n${table.join('\n')}`,
  );
}, 180_000);
