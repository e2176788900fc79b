import { Wallet } from 'ethers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LOCAL_CHAIN_KEY } from '../../scripts/local/chain.ts';
import { statuses } from '../support/anchoring.ts';
import { noAnvil } from '../support/anvil-chain.ts';
import { type AnvilGround, anvilGround, attemptsOf, FINAL_DEPTH } from '../support/anvil-ground.ts';

interface Anchored {
  readonly status: string;
  readonly number: number | null;
  readonly hash: string | null;
}

describe.skipIf(noAnvil !== null)(`reorganisations on anvil${noAnvil === null ? '' : ` (skipped: ${noAnvil})`}`, () => {
  let ground: AnvilGround;
  beforeEach(async () => {
    ground = await anvilGround();
  });
  afterEach(() => ground.stop());

  async function anchored(round: number): Promise<Anchored> {
    const { rows } = await ground.database.query<{ status: string; block_number: number; block_hash: Buffer | null }>(
      'SELECT status, block_number, block_hash FROM anchors WHERE round = $1',
      [round],
    );
    const { status = '', block_number = null, block_hash = null } = rows[0] ?? {};
    return { status, number: block_number, hash: block_hash === null ? null : `0x${block_hash.toString('hex')}` };
  }

  const hashAt = async (number: number | null) => (await ground.provider.getBlock(number ?? -1))?.hash ?? null;

  /** A transaction of somebody else, signed. */
  async function another(): Promise<string> {
    const wallet = new Wallet(LOCAL_CHAIN_KEY, ground.provider);
    return wallet.signTransaction(await wallet.populateTransaction({ to: wallet.address, value: 1n }));
  }

  const FATES = ['dropped', 'moved', 'kept'] as const;

  test('of depth 1 to 8, the transaction dropped, moved or kept: mined once, final where it is, all of it on record', async () => {
    const target = ground.target();
    const results: string[] = [];
    const rounds: number[] = [];
    for (const fate of FATES) {
      const cells: string[] = [];
      for (let depth = 1; depth <= FINAL_DEPTH; depth++) {
        const [round = 0] = await ground.prepare(target, 1);
        rounds.push(round);
        await target.advance([round]);
        await ground.mined();
        // Depth counts the block of the transaction, but where it is kept: then all above is replaced.
        await ground.mine(fate === 'kept' ? depth : depth - 1);
        await target.advance([round]);
        const before = await anchored(round);
        const [attempt] = await attemptsOf(ground, round);
        const { rows: historyBefore } = await ground.database.query('SELECT 1 FROM anchor_history');
        // With another one before it, so that the block is another even where its height is the same.
        const place = Math.floor(depth / 2);
        const moved = async () => [
          [await another(), place],
          [attempt?.raw, place],
        ];
        await ground.rpc('anvil_reorg', depth, fate === 'moved' ? await moved() : []);
        await target.advance([round]);
        await ground.mined();
        await target.advance([round]);
        const after = await anchored(round);
        const { rows: historyAfter } = await ground.database.query('SELECT 1 FROM anchor_history');
        const status = fate === 'kept' && depth === FINAL_DEPTH ? 'finalized' : 'included';
        expect(after.status, `depth ${depth}, ${fate}`).toBe(status);
        expect(after.hash).toBe(await hashAt(after.number));
        if (fate === 'kept') expect(after).toEqual(before);
        else expect(after.hash).not.toBe(before.hash);
        expect(historyAfter.length - historyBefore.length).toBe(fate === 'kept' ? 0 : 1);
        await ground.mine(FINAL_DEPTH);
        await target.advance([round]);
        const final = await anchored(round);
        expect(final).toEqual({ ...after, status: 'finalized' });
        expect(await attemptsOf(ground, round)).toHaveLength(1);
        cells.push(`${before.number}→${after.number}`);
      }
      results.push(`${fate.padEnd(8)}${cells.map((cell) => cell.padStart(9)).join('')}`);
    }
    await ground.expectOnce(rounds);
    // Nothing that was called final has moved since.
    for (const round of rounds) {
      const { number, hash } = await anchored(round);
      expect(hash).toBe(await hashAt(number));
    }
    const depths = Array.from({ length: FINAL_DEPTH }, (_, i) => `${i + 1}`.padStart(9)).join('');
    console.log(`reorganisations, block before→after, all final once\ndepth   ${depths}\n${results.join('\n')}`);
  });

  test('final never goes back: the deepest reorganisation above it changes nothing, nor does a statement', async () => {
    const target = ground.target();
    const rounds = await ground.prepare(target, 2);
    await ground.finish(target, rounds);
    const before = await Promise.all(rounds.map(anchored));
    await ground.rpc('anvil_reorg', FINAL_DEPTH, []);
    await target.inspect();
    const [more = 0] = await ground.prepare(target, 1);
    await ground.finish(target, [...rounds, more]);
    expect(await Promise.all(rounds.map(anchored))).toEqual(before);
    await expect(
      ground.database.query(`UPDATE anchors SET status = 'included', finalized_at = NULL WHERE round = 1`),
    ).rejects.toThrow('the anchor of round 1 with local is final');
    await expect(ground.database.query('DELETE FROM anchors')).rejects.toThrow();
    expect(await statuses(ground.database)).toEqual({ finalized: 3 });
  });

  test('by depth: final is what has that many blocks on it, under the hash that is stored', async () => {
    const target = ground.target({ finality: { by: 'depth', blocks: 3 } });
    const [round = 0] = await ground.prepare(target, 1);
    await target.advance([round]);
    await ground.mined();
    await ground.mine();
    await ground.rpc('anvil_reorg', 2, []);
    await ground.mine(2);
    await target.advance([round]);
    expect((await anchored(round)).status).toBe('submitted');
    await ground.mined();
    await target.advance([round]);
    expect((await anchored(round)).status).toBe('included');
    await ground.mine(2);
    await target.advance([round]);
    const { status, number, hash } = await anchored(round);
    expect([status, hash]).toEqual(['finalized', await hashAt(number)]);
    await ground.expectOnce([round]);
  });
});
