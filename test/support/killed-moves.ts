// The test of kills while the entries of an older release are moved into blocks, as often as told.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { createDatabase, dropDatabase, run, testDatabase } from './postgres.ts';
import { expectAsBefore, ROWS_SQL } from './rows-fixture.ts';
import { message } from './service-child.ts';

/** Milliseconds from the first statement of a move to its last, about. */
const MOVE_MS = 150;

/** Kills processes that move entries, two at a time, at random points, until all is moved; and so on with another copy. */
export async function surviveKilledMoves(kills: number): Promise<void> {
  const rows = await testDatabase({ empty: true });
  await run(rows.url, ROWS_SQL);
  let killed = 0;
  let copies = 0;
  try {
    while (killed < kills) {
      const name = `${rows.name}_${++copies}`;
      const url = await createDatabase(rows.url, name, rows.name);
      for (let moved = false; !moved; ) {
        const ended = await Promise.all([moveOrDie(url, killed < kills), moveOrDie(url, killed < kills)]);
        killed += ended.filter((done) => !done).length;
        moved = ended.includes(true);
      }
      await expectAsBefore(url);
      await dropDatabase(rows.url, name);
    }
  } finally {
    await rows.drop();
  }
  expect(killed).toBeGreaterThanOrEqual(kills);
  console.log(
    `${killed} kills while entries were moved into blocks, ${copies} databases moved, each as before and audited`,
  );
}

/** @returns whether all is moved */
async function moveOrDie(url: string, dies: boolean): Promise<boolean> {
  const child = fork(new URL('move-process.ts', import.meta.url), [url], {
    env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache') },
  });
  const ended = once(child, 'exit');
  await message(child);
  if (dies) {
    await Promise.race([sleep(Math.random() * MOVE_MS), ended]);
    child.kill('SIGKILL');
  }
  const [code, signal] = await ended;
  if (signal === null) expect(code).toBe(0);
  return signal === null;
}
