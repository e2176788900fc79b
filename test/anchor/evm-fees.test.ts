import { Transaction } from 'ethers';
import { afterEach, describe, expect, test } from 'vitest';
import { MEASURED_GAS } from '../../src/evm/deploy.ts';
import { gasLimit, raiseFees } from '../../src/evm/fees.ts';
import { rpcNode } from '../../src/evm/node.ts';
import { SENDER, statuses } from '../support/anchoring.ts';
import { noAnvil } from '../support/anvil-chain.ts';
import { type AnvilGround, anvilGround, attemptsOf, problemOf } from '../support/anvil-ground.ts';

const GWEI = 1_000_000_000n;
const MINUTE = 60_000;
const caps = { maxFee: 100n * GWEI, priorityFee: 10n * GWEI };

let ground: AnvilGround;
afterEach(() => ground?.stop());

async function setBaseFee(wei: bigint): Promise<void> {
  await ground.rpc('anvil_setNextBlockBaseFeePerGas', `0x${wei.toString(16)}`);
  await ground.mine();
}

test('a replacement raises both fees by an eighth at least, up to the caps and no wei above', () => {
  const quote = { maxFee: 10n, priorityFee: 1n, legacy: false };
  expect(raiseFees({ maxFee: 801n, priorityFee: 0n }, quote, caps)).toEqual({
    maxFee: 902n,
    priorityFee: 1n,
    legacy: false,
  });
  expect(raiseFees({ maxFee: 8n, priorityFee: 8n }, { maxFee: 50n, priorityFee: 30n, legacy: false }, caps)).toEqual({
    maxFee: 50n,
    priorityFee: 30n,
    legacy: false,
  });
  // One price: the cap of tips says nothing of it.
  const price = { maxFee: 10n, priorityFee: 10n, legacy: true };
  expect(raiseFees({ maxFee: 80n, priorityFee: 80n }, price, { maxFee: 90n, priorityFee: 1n })).toEqual({
    maxFee: 90n,
    priorityFee: 90n,
    legacy: true,
  });
  const tight = { maxFee: 901n, priorityFee: 9n };
  expect(() => raiseFees({ maxFee: 801n, priorityFee: 1n }, quote, tight)).toThrow(
    /takes 902 wei: more than the cap of 901/,
  );
  expect(() => raiseFees({ maxFee: 8n, priorityFee: 9n }, quote, tight)).toThrow(
    /a tip of 11 wei: more than the cap of 9/,
  );
});

test('the gas limit covers the floor of the calldata, the estimate and what was measured, a quarter added', () => {
  for (const mode of ['anchor', 'announce'] as const) {
    const data = `0x${'ff'.repeat(36)}`;
    expect(gasLimit(0n, data, mode) * 4n >= MEASURED_GAS[mode] * 5n).toBe(true);
    expect(gasLimit(1_000_000n, data, mode)).toBe(1_250_000n);
    expect(gasLimit(0n, `0x${'ff'.repeat(1_000)}`, mode)).toBe(61_000n);
  }
});

describe.skipIf(noAnvil !== null)(`on anvil${noAnvil === null ? '' : ` (skipped: ${noAnvil})`}`, () => {
  test('a base fee above the cap is waited out, before and after signing', async () => {
    ground = await anvilGround({ manual: true, target: { caps, replaceAfter: 3 * MINUTE } });
    const target = ground.target();
    await setBaseFee(150n * GWEI);
    const [round = 0] = await ground.prepare(target, 1);
    await target.advance([round]);
    expect(await problemOf(ground, round)).toMatch(
      /base fee is \d+ wei .* more than the cap of 100000000000; waiting until fees fall, or EVM_MAX_FEE_GWEI is raised/,
    );
    expect(await attemptsOf(ground, round)).toEqual([]);

    await setBaseFee(20n * GWEI);
    await target.advance([round]);
    const [sent] = await attemptsOf(ground, round);
    expect(sent?.status).toBe('broadcast');
    expect(await problemOf(ground, round)).toBeNull();

    // It stays where it is while the base fee is above what it offers, then above the cap.
    await setBaseFee(150n * GWEI);
    ground.clock.shift += 10 * MINUTE;
    await target.advance([round]);
    expect(await problemOf(ground, round)).toContain('more than the cap');
    expect(await attemptsOf(ground, round)).toEqual([sent]);

    await setBaseFee(20n * GWEI);
    await target.advance([round]);
    await ground.finish(target, [round]);
    await ground.expectOnce([round]);
  });

  test('a stuck transaction is outbid again and again, never above the cap; one of them is mined', async () => {
    const caps = { maxFee: 9n * GWEI, priorityFee: 4n * GWEI };
    ground = await anvilGround({ manual: true, target: { caps, replaceAfter: 3 * MINUTE } });
    const target = ground.target();
    const [round = 0, behind = 0] = await ground.prepare(target, 2);
    await target.advance([round, behind]);
    ground.clock.shift += 2 * MINUTE;
    await target.advance([round, behind]);
    expect(await attemptsOf(ground, round)).toHaveLength(1);
    for (let i = 0; i < 14; i++) {
      ground.clock.shift += 3 * MINUTE;
      await target.advance([round, behind]);
    }
    const attempts = await attemptsOf(ground, round);
    console.log(
      `replacements: ${attempts.length - 1}, gwei ${attempts.map(({ maxFee }) => (Number(maxFee) / 1e9).toFixed(1)).join(' ')}`,
    );
    expect(attempts.length).toBeGreaterThan(4);
    expect(new Set(attempts.map(({ nonce }) => nonce))).toEqual(new Set([0]));
    for (const [i, { maxFee, priorityFee }] of attempts.entries()) {
      expect(maxFee <= caps.maxFee && priorityFee <= caps.priorityFee).toBe(true);
      const before = attempts[i - 1];
      if (before === undefined) continue;
      expect(maxFee * 8n >= before.maxFee * 9n && priorityFee * 8n >= before.priorityFee * 9n).toBe(true);
    }
    expect(attempts.map(({ status }) => status)).toEqual([...attempts.slice(1).map(() => 'replaced'), 'broadcast']);
    // What only waits behind it is left alone.
    expect(await attemptsOf(ground, behind)).toHaveLength(1);
    expect(await problemOf(ground, round)).toMatch(/round 1 waits with nonce 0; .* more than the cap/);
    const calls = attempts.map(({ raw }) => Transaction.from(raw));
    expect(new Set(calls.map(({ to, data, chainId, gasLimit }) => `${to} ${data} ${chainId} ${gasLimit}`)).size).toBe(
      1,
    );

    await ground.mine();
    await ground.finish(target, [round, behind]);
    await ground.expectOnce([round, behind]);
    expect((await attemptsOf(ground, round)).map(({ status }) => status)).toEqual([
      ...attempts.slice(1).map(() => 'abandoned'),
      'finalized',
    ]);
  });

  test('what was outbid and is mined all the same is the anchor, over reorganisations too', async () => {
    ground = await anvilGround({ manual: true, target: { caps, replaceAfter: 3 * MINUTE } });
    const target = ground.target();
    const [round = 0] = await ground.prepare(target, 1);
    await target.advance([round]);
    ground.clock.shift += 4 * MINUTE;
    await target.advance([round]);
    const [first, second] = await attemptsOf(ground, round);
    if (first === undefined || second === undefined) throw new Error('not outbid');
    await ground.rpc('anvil_dropTransaction', second.hash);
    await ground.rpc('eth_sendRawTransaction', first.raw);
    await ground.mine();
    await target.advance([round]);
    const at = async () =>
      (
        await ground.database.query<{ transaction: Buffer; status: string }>('SELECT status, transaction FROM anchors')
      ).rows.map(({ status, transaction }) => ({ status, transaction: `0x${transaction?.toString('hex')}` }));
    expect(await at()).toEqual([{ status: 'included', transaction: first.hash }]);
    expect((await attemptsOf(ground, round)).map(({ status }) => status)).toEqual(['included', 'replaced']);

    // Gone again, and then the other one is mined.
    await ground.rpc('anvil_reorg', 1, [[second.raw, 0]]);
    await target.advance([round]);
    expect(await at()).toEqual([{ status: 'included', transaction: second.hash }]);
    const { rows } = await ground.database.query('SELECT event, status FROM anchor_history');
    expect(rows).toEqual([{ event: 'reorganized', status: 'included' }]);
    await ground.finish(target, [round]);
    await ground.expectOnce([round]);
    expect((await attemptsOf(ground, round)).map(({ status }) => status)).toEqual(['abandoned', 'finalized']);
  });

  test('a transaction that nodes do not take at its fees is outbid too', async () => {
    ground = await anvilGround({ manual: true, target: { caps, replaceAfter: 3 * MINUTE } });
    const [round = 0] = await ground.prepare(ground.target(), 1);
    const node = rpcNode({ url: ground.gate.url });
    const refusing = ground.target({
      nodes: [{ ...node, send: () => Promise.reject(new Error('transaction underpriced')) }],
    });
    await refusing.advance([round]);
    expect(await problemOf(ground, round)).toMatch(/^not taken: transaction underpriced; .*EVM_MAX_PRIORITY_FEE_GWEI/);
    ground.clock.shift += 4 * MINUTE;
    const target = ground.target({ nodes: [node] });
    await ground.finish(target, [round]);
    await ground.expectOnce([round]);
  });

  test('the budget of 24 hours is spent and no more; the rest waits, and says so', async () => {
    ground = await anvilGround();
    const probe = ground.target();
    const [first = 0] = await ground.prepare(probe, 1);
    await ground.finish(probe, [first]);
    const { rows } = await ground.database.query<{ cost: string; most: string }>(
      'SELECT cost, (gas_limit * max_fee)::text AS most FROM evm_transactions',
    );
    const cost = BigInt(rows[0]?.cost ?? 0);
    const most = BigInt(rows[0]?.most ?? 0);
    expect(cost).toBeGreaterThan(0n);
    expect(most).toBeGreaterThan(cost);

    // What the first cost, and two more at the most they may cost.
    const target = ground.target({ dailyBudget: cost + 2n * most });
    const rounds = await ground.prepare(target, 10);
    const spent = async (): Promise<bigint> => {
      const { rows: sums } = await ground.database.query<{ wei: string }>(
        'SELECT coalesce(sum(coalesce(cost, gas_limit * max_fee)), 0)::text AS wei FROM evm_transactions',
      );
      return BigInt(sums[0]?.wei ?? 0);
    };
    for (let i = 0; i < 12; i++) {
      await target.advance(rounds);
      await ground.mine();
      expect((await spent()) <= cost + 2n * most).toBe(true);
    }
    const sentToday = (await ground.database.query('SELECT 1 FROM evm_transactions')).rowCount ?? 0;
    const waiting = (await statuses(ground.database)).pending ?? 0;
    expect(sentToday).toBeGreaterThan(2);
    expect(waiting).toBe(11 - sentToday);
    expect(await problemOf(ground, 11)).toMatch(
      /of the [\d.]+ that 0x[0-9a-f]{40} may spend in 24 hours .*: the rest waits$/,
    );
    console.log(`budget: ${sentToday} rounds sent for ${await spent()} of ${cost + 2n * most} wei, ${waiting} wait`);

    for (let day = 0; day < 20 && ((await statuses(ground.database)).pending ?? 0) > 0; day++) {
      ground.clock.shift += 24 * 60 * MINUTE;
      for (let i = 0; i < 5; i++) {
        await target.advance(rounds);
        await ground.mine();
      }
    }
    await ground.finish(target, rounds);
    await ground.expectOnce([first, ...rounds]);
  });

  test('an account that runs low is told of early, and one that cannot pay signs nothing', async () => {
    ground = await anvilGround({ target: { lowBalance: 10n ** 18n } });
    const target = ground.target();
    const rounds = await ground.prepare(target, 3);
    const account = async () =>
      (await ground.database.query('SELECT balance_low FROM evm_accounts WHERE address = $1', [SENDER])).rows[0];
    await target.inspect();
    expect(await account()).toEqual({ balance_low: false });
    await ground.rpc('anvil_setBalance', SENDER, '0xde0b6b3a763ffff');
    await target.inspect();
    expect(await account()).toEqual({ balance_low: true });
    await ground.rpc('anvil_setBalance', SENDER, '0x1');
    await target.advance(rounds);
    expect(await problemOf(ground, 1)).toMatch(
      /has 0\.000000000000000001 to spare, at up to [\d.]+ a transaction: send it more/,
    );
    expect((await ground.database.query('SELECT 1 FROM evm_transactions')).rows).toEqual([]);
    await ground.rpc('anvil_setBalance', SENDER, '0xde0b6b3a7640000');
    await target.inspect();
    expect(await account()).toEqual({ balance_low: false });
    await ground.finish(target, rounds);
    await ground.expectOnce(rounds);
  });
});
