import { Wallet } from 'ethers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { resumeTarget } from '../../src/anchor/resume.ts';
import { ANCHOR_ADDRESS, encodeAnchor } from '../../src/evm/anchor-contract.ts';
import { rpcNode } from '../../src/evm/node.ts';
import { KINDS } from '../../src/kinds.ts';
import { SENDER, SENDER_KEY, statuses } from '../support/anchoring.ts';
import { noAnvil } from '../support/anvil-chain.ts';
import { type AnvilGround, anvilGround, attemptsOf, problemOf } from '../support/anvil-ground.ts';
import { readBacklog } from '../support/backlog.ts';

describe.skipIf(noAnvil !== null)(`an account, on anvil${noAnvil === null ? '' : ` (skipped: ${noAnvil})`}`, () => {
  let ground: AnvilGround;
  beforeEach(async () => {
    ground = await anvilGround();
  });
  afterEach(() => ground.stop());

  /** Somebody else sends from our account. */
  async function foreign(nonce?: number): Promise<void> {
    const wallet = new Wallet(SENDER_KEY, ground.provider);
    await wallet.sendTransaction({ to: SENDER, value: 1n, ...(nonce === undefined ? {} : { nonce }) });
  }

  const stopped = async () => (await readBacklog(ground.database))[0]?.stopped?.code ?? null;
  const resume = () => resumeTarget(KINDS, ground.database, 'local', Date.now());
  const signed = async () => (await ground.database.query('SELECT 1 FROM evm_transactions')).rowCount;

  test('that somebody else uses: the target stops, and goes on at the command, behind what is final', async () => {
    const target = ground.target();
    const [first = 0] = await ground.prepare(target, 1);
    await target.advance([first]);
    await foreign();
    const more = await ground.prepare(target, 3);
    await target.advance([first, ...more]);
    expect(await stopped()).toBe('nonce-foreign');
    expect(await problemOf(ground, 2)).toMatch(
      /has 2 transactions on eip155:31337, and 1 are of this database; the first of the others is 0x[0-9a-f]{64} in block \d+: another service or person/,
    );
    expect(await signed()).toBe(1);
    // What was sent before is seen through all the same.
    await ground.mine(8);
    await target.advance([first, ...more]);
    expect(await statuses(ground.database)).toEqual({ finalized: 1, pending: 3 });

    await foreign();
    await expect(resume()).resolves.toMatchObject({ code: 'nonce-foreign' });
    // One more than the operator was told of: stops anew.
    await target.advance(more);
    expect(await stopped()).toBe('nonce-foreign');
    await resume();
    await expect(resume()).rejects.toMatchObject({ code: 'target-running' });
    await target.advance(more);
    expect(await stopped()).toBeNull();
    expect(await problemOf(ground, 2)).toContain('going on once the others are final');
    expect(await signed()).toBe(1);
    await ground.mine(8);
    await ground.finish(target, more);
    await ground.expectOnce([first, ...more], 6);
    const { rows } = await ground.database.query('SELECT code, cleared_at IS NOT NULL AS cleared FROM target_alarms');
    expect(rows).toEqual([
      { code: 'nonce-foreign', cleared: true },
      { code: 'nonce-foreign', cleared: true },
    ]);
  });

  test('whose stored nonce is taken: alarm at once, a new nonce only once the other is final', async () => {
    const cut = { ...rpcNode({ url: ground.gate.url }), send: () => Promise.reject(new Error('cut')) };
    const rounds = await ground.prepare(ground.target(), 2);
    await ground.target({ nodes: [cut] }).advance(rounds);
    expect(await signed()).toBe(2);
    await foreign(0);
    const target = ground.target();
    await target.advance(rounds);
    expect(await stopped()).toBeNull();
    const [more = 0] = await ground.prepare(target, 1);
    await target.advance([...rounds, more]);
    expect(await stopped()).toBe('nonce-foreign');
    expect(await problemOf(ground, 1)).toMatch(/has taken the nonce of 0x[0-9a-f]{64} \(round 1\)/);
    expect(await signed()).toBe(2);

    await resume();
    await target.advance([...rounds, more]);
    expect(await stopped()).toBeNull();
    expect((await attemptsOf(ground, 1)).map(({ status }) => status)).toEqual(['signed']);
    await ground.mine(8);
    await ground.finish(target, [...rounds, more]);
    await ground.expectOnce([...rounds, more], 4);
    expect((await attemptsOf(ground, 1)).map(({ nonce, status }) => [nonce, status])).toEqual([
      [0, 'abandoned'],
      [3, 'finalized'],
    ]);
    expect((await ground.database.query('SELECT event, round FROM anchor_history')).rows).toEqual([
      { event: 'abandoned', round: 1 },
    ]);
  });

  test('whose taken nonce a reorganisation gives back sends the stored bytes, and nothing new', async () => {
    const cut = { ...rpcNode({ url: ground.gate.url }), send: () => Promise.reject(new Error('cut')) };
    const rounds = await ground.prepare(ground.target(), 1);
    await ground.target({ nodes: [cut] }).advance(rounds);
    await foreign(0);
    const target = ground.target({ patience: 60_000 });
    await target.advance(rounds);
    expect(await problemOf(ground, 1)).toContain('seems lost: nothing is signed until that is clear');
    await ground.rpc('anvil_reorg', 1, []);
    await ground.finish(target, rounds);
    expect(await stopped()).toBeNull();
    await ground.expectOnce(rounds);
    expect(await signed()).toBe(1);
  });

  test('that seemed to be used by somebody else goes on by itself once the chain shows it no longer', async () => {
    const target = ground.target();
    const [first = 0] = await ground.prepare(target, 1);
    await ground.finish(target, [first]);
    await foreign();
    const [more = 0] = await ground.prepare(target, 1);
    await target.advance([more]);
    expect(await stopped()).toBe('nonce-foreign');
    await target.inspect();
    expect(await stopped()).toBe('nonce-foreign');
    await ground.rpc('anvil_reorg', 1, []);
    await ground.rpc('anvil_dropAllTransactions');
    await target.inspect();
    expect(await stopped()).toBeNull();
    await ground.finish(target, [more]);
    await ground.expectOnce([first, more]);
    expect((await ground.database.query('SELECT cleared_at IS NULL AS open FROM target_alarms')).rows).toEqual([
      { open: false },
    ]);
  });

  test('whose transactions come to nothing stops before more of them do', async () => {
    const target = ground.target();
    const [first = 0] = await ground.prepare(target, 1);
    // A contract that takes every call and says nothing.
    const contract = ANCHOR_ADDRESS;
    const code = await ground.provider.getCode(contract);
    await ground.rpc('anvil_setCode', contract, '0x00');
    await expect
      .poll(async () => {
        await target.advance([first]);
        return stopped();
      })
      .toBe('anchor-without-effect');
    const [second = 0] = await ground.prepare(target, 1);
    await target.advance([first, second]);
    expect(await signed()).toBe(1);
    await ground.rpc('anvil_setCode', contract, code);
    await ground.mine(8);
    await resume();
    await ground.finish(target, [first, second]);
    await ground.expectOnce([first, second], 3);
  });

  test('is never asked to sign by a node that thinks little of gas', async () => {
    const node = rpcNode({ url: ground.gate.url });
    const target = ground.target({ nodes: [{ ...node, estimateGas: async () => 21_000n }] });
    const rounds = await ground.prepare(target, 1);
    await ground.finish(target, rounds);
    await ground.expectOnce(rounds);
    expect(
      await ground.provider.estimateGas({ to: SENDER, data: encodeAnchor(new Uint8Array(32).fill(255)) }),
    ).toBeGreaterThan(21_000n);
  });
});
