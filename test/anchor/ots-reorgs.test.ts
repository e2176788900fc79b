// A Bitcoin node on a chain of its own, a calendar that stamps into it, and blocks that are reorganised away.

import { expect, test } from 'vitest';
import { receiptAnchors, roundAnchors } from '../../src/anchor/anchors.ts';
import { nodeSource } from '../../src/bitcoin/header-sources.ts';
import { REGTEST } from '../../src/core/bitcoin-header.ts';
import { toHex } from '../../src/core/bytes.ts';
import { KINDS } from '../../src/kinds.ts';
import { testBitcoin, testCalendar } from '../support/bitcoin.ts';
import { otsGround, until } from '../support/ots.ts';

async function reorgGround(confirmations = 6) {
  const [node, ground] = await Promise.all([testBitcoin(), otsGround(0)]);
  const calendar = await testCalendar(node);
  const target = ground.target({
    chain: REGTEST,
    source: nodeSource(node.rpcUrl, REGTEST),
    calendars: [{ url: calendar.url, uris: [] }],
    minCalendars: 1,
    confirmations,
  });
  await target.register();
  const [round = 0] = await ground.close(1);
  const state = async () => (await roundAnchors(KINDS, ground.database, round))[0];
  const anchor = async () => (await receiptAnchors(KINDS, ground.database, round))[0];
  const untilStatus = (status: string) => until(target, [round], async () => (await state())?.status === status);
  const moved = async () =>
    (
      await ground.database.query<{ event: string; status: string; block_number: number; block_hash: Buffer }>(
        'SELECT event, status, block_number, block_hash FROM anchor_history ORDER BY id',
      )
    ).rows.map((row) => ({ ...row, block_hash: row.block_hash.toString('hex') }));
  const end = async (): Promise<void> => {
    await ground[Symbol.asyncDispose]();
    await calendar.close();
    await node.close();
  };
  return { node, ground, calendar, target, round, state, anchor, untilStatus, moved, end };
}

test('the confirming block is reorganised away: pending again, then confirmed in the new block', async () => {
  const { node, calendar, target, round, state, anchor, untilStatus, moved, end } = await reorgGround();
  try {
    await target.advance([round]);
    await calendar.turn();
    await untilStatus('included');
    expect((await anchor())?.status).toBe('pending');
    await node.mine(5);
    await untilStatus('finalized');
    const before = await state();
    const first = await anchor();
    expect(first).toMatchObject({ status: 'confirmed' });
    expect(before?.block?.number).toBe(node.height - 5);

    await node.reorganize(6);
    await untilStatus('submitted');
    expect((await anchor())?.status).toBe('pending');
    expect(await moved()).toEqual([
      {
        event: 'reorganized',
        status: 'finalized',
        block_number: before?.block?.number,
        block_hash: before?.block?.hash,
      },
    ]);

    // The transaction waits again, and is mined in another block.
    await calendar.turn();
    await untilStatus('included');
    await node.mine(5);
    await untilStatus('finalized');
    const now = await state();
    const second = await anchor();
    expect(now?.block?.number).toBeGreaterThan(before?.block?.number ?? 0);
    expect(second?.type === 'opentimestamps' && second.status === 'confirmed' && second.blocks).toEqual([
      {
        chain: REGTEST,
        height: now?.block?.number,
        header: toHex(await node.header(now?.block?.number ?? 0)),
        time: now?.block?.time,
      },
    ]);
    expect(await moved()).toHaveLength(1);
  } finally {
    await end();
  }
});

test('buried deep enough it is not looked at any more, and the database holds it', async () => {
  const { node, calendar, target, round, ground, untilStatus, state, end } = await reorgGround(1);
  try {
    await target.advance([round]);
    await calendar.turn();
    await untilStatus('finalized');
    await node.mine(99);
    await until(target, [round], async () => {
      const { rows } = await ground.database.query<{ state: string }>('SELECT state FROM ots_attestations');
      return rows[0]?.state === 'buried';
    });
    const { rows } = await ground.database.query<{ block_number: number }>('SELECT block_number FROM anchors');
    expect(rows[0]?.block_number).toBe((await state())?.block?.number);
    await expect(
      ground.database.query(
        `UPDATE anchors SET status = 'submitted', block_number = NULL, block_hash = NULL, block_time = NULL, finalized_at = NULL`,
      ),
    ).rejects.toMatchObject({ code: '23001' });
    await expect(ground.database.query(`UPDATE ots_attestations SET state = 'confirmed'`)).rejects.toMatchObject({
      code: '23001',
    });
    await expect(ground.database.query('DELETE FROM ots_answers')).rejects.toMatchObject({ code: '23001' });
  } finally {
    await end();
  }
});

test('the node follows another chain: nothing is confirmed by it, and that shows', async () => {
  const { node, calendar, ground, round, state, end } = await reorgGround(1);
  try {
    const target = ground.target({
      source: nodeSource(node.rpcUrl, ground.target().chain),
      calendars: [{ url: calendar.url, uris: [] }],
      minCalendars: 1,
      confirmations: 1,
    });
    await target.advance([round]);
    await calendar.turn();
    await until(target, [round], async () => (await state())?.problem !== null);
    expect(await state()).toMatchObject({
      status: 'submitted',
      problem: expect.stringContaining(`follows ${REGTEST}, not ${target.chain}`),
    });
    expect(await target.newestFinalBlock()).toBeNull();
  } finally {
    await end();
  }
});
