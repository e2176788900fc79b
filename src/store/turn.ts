// Turns: of all processes one works on a target at a time, so that two do not send the same bytes, nor record what one of
// them saw earlier. What must never happen twice is prevented by row locks and unique indexes. No connection is held meanwhile.

import { setTimeout as sleep } from 'node:timers/promises';
import { AntequemError } from '../core/errors.ts';
import type { Database, Transaction } from './database.ts';

/** The right to work on a target. */
export interface Turn {
  readonly target: string;
  readonly number: number;
}

/** A process that dies in its turn holds others up for so long. */
const TURN_MS = 3_000;
const WAIT_MS = 10_000;
const FIRST_LOOK_MS = 20;
const MAX_LOOK_MS = 200;

/**
 * Works on a target while no other process does.
 * @param turnMs how long a turn lasts that is not renewed; it is, until the work is done
 * @returns null if another process had the turn for ten seconds
 */
export async function takeTurn<T>(
  database: Database,
  target: string,
  work: (turn: Turn) => Promise<T>,
  turnMs: number = TURN_MS,
): Promise<T | null> {
  const turn = await claim(database, target, turnMs);
  if (turn === null) return null;
  const renewing = setInterval(() => void renew(database, turn, turnMs).catch(() => {}), turnMs / 3).unref();
  try {
    return await work(turn);
  } finally {
    clearInterval(renewing);
    await renew(database, turn, 0).catch(() => {});
  }
}

async function claim(database: Database, target: string, turnMs: number): Promise<Turn | null> {
  const end = performance.now() + WAIT_MS;
  for (let pauseMs = FIRST_LOOK_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_LOOK_MS)) {
    const { rows } = await database.query<{ turn: number }>({
      name: 'claim-turn',
      text: `INSERT INTO target_turns AS t (target, turn, until)
             VALUES ($1, 1, clock_timestamp() + $2 * interval '1 millisecond')
             ON CONFLICT (target) DO UPDATE SET turn = t.turn + 1, until = excluded.until
             WHERE t.until <= clock_timestamp() RETURNING turn`,
      values: [target, turnMs],
    });
    const [row] = rows;
    if (row !== undefined) return { target, number: row.turn };
    if (performance.now() + pauseMs > end) return null;
    await sleep(pauseMs);
  }
}

async function renew(database: Database, { target, number }: Turn, turnMs: number): Promise<void> {
  await database.query({
    name: 'renew-turn',
    text: `UPDATE target_turns SET until = clock_timestamp() + $3 * interval '1 millisecond'
           WHERE target = $1 AND turn = $2`,
    values: [target, number, turnMs],
  });
}

/** Until the transaction ends nobody else takes the turn. @throws AntequemError `turn-lost` where somebody else has */
export async function holdTurn(tx: Transaction, { target, number }: Turn): Promise<void> {
  const { rows } = await tx.query('SELECT FROM target_turns WHERE target = $1 AND turn = $2 FOR SHARE', [
    target,
    number,
  ]);
  if (rows.length > 0) return;
  throw new AntequemError('turn-lost', `another process works on ${target} by now: what was seen here is not recorded`);
}
