// After all the kills: is everything there that was answered, once, in a tree that verifies, and was each round anchored once?

import { expect } from 'vitest';
import { decodeAnchoredLog } from '../../src/core/anchored-event.ts';
import { toHex } from '../../src/core/bytes.ts';
import { firstPreviousRoot } from '../../src/core/round.ts';
import { ANCHOR_ADDRESS } from '../../src/evm/anchor-contract.ts';
import type { PublishedStore } from '../../src/log/outside/published.ts';
import { auditDatabase, trustedNode } from './audit.ts';
import type { Fleet } from './fleet.ts';
import { type Instance, ORIGIN, openInstance } from './instance.ts';
import { recompute } from './recompute.ts';

export interface Findings {
  readonly entries: number;
  readonly rounds: number;
}

/** Compares database, store and chain with what clients were told, once all rounds are final. */
export async function checkFleet(fleet: Fleet, databaseUrl: string, store: PublishedStore): Promise<Findings> {
  const instance = await openInstance(databaseUrl, { published: store });
  try {
    await allFinal(instance);
    expect(instance.guard.rollback.finding).toBeNull();
    expect(await instance.guard.losses()).toEqual([]);
    const entries = await checkEntries(fleet, instance);
    const { findings, verdict } = await auditDatabase(databaseUrl, { nodes: [trustedNode(fleet.chain.url)] });
    expect([findings, verdict.result]).toEqual([[], 'proven']);
    return { entries, rounds: await checkRounds(fleet, instance) };
  } finally {
    await instance.guard.close();
    await instance.end();
  }
}

/** Every entry in a round, every round anchored for good. */
async function allFinal({ database }: Instance): Promise<void> {
  const open = async (): Promise<number> => {
    const { rows } = await database.query<{ open: number }>(
      `SELECT (SELECT count(*) FROM rounds r LEFT JOIN anchors a ON a.round = r.number
               WHERE a.status IS DISTINCT FROM 'finalized')
            + (SELECT count(*) FROM log_states l LEFT JOIN round_heads h ON h.log = l.id
               WHERE l.name <> '_system' AND h.size IS DISTINCT FROM l.size) AS open`,
    );
    return rows[0]?.open ?? -1;
  };
  await expect.poll(open, { timeout: 60_000, interval: 200 }).toBe(0);
}

async function checkEntries(fleet: Fleet, instance: Instance): Promise<number> {
  let count = 0;
  for (const name of new Set(fleet.told.map(({ log }) => log))) {
    const log = await instance.registry.find(name);
    if (log === null) throw new Error(`the log ${name} is gone`);
    const { rows } = await recompute(instance.database, log);
    const texts = rows.map(({ payload }) => payload?.toString() ?? null);
    const told = fleet.told.filter((each) => each.log === name);
    for (const each of told) {
      expect(texts.slice(each.index, each.index + each.texts.length)).toEqual(each.texts);
    }
    // Nothing is there twice, and nothing else than what was answered and whole batches that were not.
    const kept = texts.filter((text) => text !== null);
    expect(new Set(kept).size).toBe(kept.length);
    const begins = new Map(texts.map((text, index) => [text, index]));
    const others = fleet.unanswered.flatMap((each) => {
      const index = each.log === name ? begins.get(each.texts[0] ?? null) : undefined;
      return index === undefined ? [] : [{ ...each, index }];
    });
    for (const { index, texts: batch } of others) expect(texts.slice(index, index + batch.length)).toEqual(batch);
    expect(texts.length).toBe([...told, ...others].reduce((sum, each) => sum + each.texts.length, 0));
    count += texts.length;
  }
  return count;
}

async function checkRounds(fleet: Fleet, { database, registry }: Instance): Promise<number> {
  const { rows: rounds } = await database.query<{ number: number; previous_root: Buffer; root: Buffer }>(
    'SELECT number, substr(link, 18, 32) AS previous_root, root FROM whole_rounds ORDER BY number',
  );
  let previous = toHex(firstPreviousRoot(ORIGIN));
  for (const [i, round] of rounds.entries()) {
    expect(round.number).toBe(i + 1);
    expect(round.previous_root.toString('hex')).toBe(previous);
    previous = round.root.toString('hex');
  }
  const system = await recompute(database, registry.system);
  const acts = system.rows.map(({ payload }) => JSON.parse(payload?.toString() ?? '{}'));
  // However often it was asked for.
  expect(acts.filter(({ act }) => act === 'entry-erased')).toHaveLength(fleet.counts.erased);
  const closed = acts.filter(({ act }) => act === 'round-closed').map(({ root }) => root);
  const roots = rounds.map(({ root }) => root.toString('hex'));
  expect(closed).toEqual(roots);

  const logs = await fleet.chain.provider.getLogs({ address: ANCHOR_ADDRESS, fromBlock: 0 });
  const mined = logs.map((log) => {
    const event = decodeAnchoredLog(log);
    if (event === null) throw new Error('an event that is not ours');
    return toHex(event.root);
  });
  expect(mined.toSorted()).toEqual(roots.toSorted());
  return rounds.length;
}
