import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonRpcProvider } from 'ethers';
import { expect } from 'vitest';
import { addMissingAnchors } from '../../src/anchor/jobs.ts';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { keySigner } from '../../src/evm/signer.ts';
import type { EvmTarget, EvmTargetOptions } from '../../src/evm/target.ts';
import { type AnchorGround, anchorGround, minedAnchors, type RestartableChain, SENDER_KEY } from './anchoring.ts';
import { anvilChain } from './anvil-chain.ts';
import { type Gate, openGate } from './gate.ts';

/** A block is final once this many are on top of it: `--slots-in-an-epoch 4`. */
export const FINAL_DEPTH = 8;
const NOTHING_WAITS = JSON.stringify({ pending: '0x0', queued: '0x0' });
const FINALITY = ['--slots-in-an-epoch', '4'];

export interface AnvilGround extends AnchorGround {
  /** What the targets' way to the chain goes through. */
  readonly gate: Gate;
  /** Past the gate. */
  readonly provider: JsonRpcProvider;
  readonly clock: { shift: number };
  rpc(method: string, ...params: unknown[]): Promise<unknown>;
  mine(blocks?: number): Promise<void>;
  /** Waits until anvil has mined what it took: it does so some time after it has answered. */
  mined(): Promise<void>;
  /** Rounds that this target is to anchor. */
  prepare(target: EvmTarget, count: number): Promise<number[]>;
  /** Looks and mines until all is final. */
  finish(target: EvmTarget, rounds: readonly number[]): Promise<void>;
  /** One event for each of the rounds, so many nonces, and no more. */
  expectOnce(rounds: readonly number[], nonces?: number): Promise<void>;
}

/** A chain that lasts, on anvil, with a finality that lags, and a database. Nothing is mined unless told where `manual`. */
export async function anvilGround(
  options: { readonly manual?: boolean; readonly chainId?: number; readonly target?: Partial<EvmTargetOptions> } = {},
): Promise<AnvilGround> {
  const { manual = false, chainId = 31337 } = options;
  const chain = await anvilChain(...FINALITY, '--chain-id', String(chainId));
  const gate = await openGate(chain.url);
  const clock = { shift: 0 };
  const { provider } = chain;
  await deployAnchor({ provider, signer: chain.wallet, dryRun: false });
  const rpc = (method: string, ...params: unknown[]): Promise<unknown> => provider.send(method, params);
  if (manual) await rpc('evm_setAutomine', false);
  const restartable: RestartableChain = {
    url: gate.url,
    provider,
    deploy: async () => {},
    down: () => gate.set('shut'),
    up: () => gate.set('open'),
    stop: async () => {
      await gate.close();
      await chain[Symbol.asyncDispose]();
    },
  };
  const ground = await anchorGround(async () => restartable, {
    ephemeral: false,
    firstRound: 1,
    chainId,
    patience: 0,
    now: () => Date.now() + clock.shift,
    ...options.target,
  });
  const mine = async (blocks = 1): Promise<void> => {
    await rpc('anvil_mine', `0x${blocks.toString(16)}`);
  };
  return {
    ...ground,
    gate,
    provider,
    clock,
    rpc,
    mine,
    mined: async () => {
      for (let i = 0; i < 1_000; i++) {
        const pool = await rpc('txpool_status');
        if (JSON.stringify(pool) === NOTHING_WAITS) return;
        await sleep(10);
      }
      throw new Error(`anvil still holds transactions: ${JSON.stringify(await rpc('txpool_content'))}`);
    },
    prepare: async (target, count) => {
      await target.register();
      const rounds = await ground.close(count);
      expect(await addMissingAnchors(ground.database, target.name, Date.now())).toEqual(rounds);
      return rounds;
    },
    finish: async (target, rounds) => {
      for (let i = 0; i < 12; i++) {
        const outcome = await target.advance(rounds);
        if ([...outcome.values()].every((again) => again === null)) return;
        await mine(FINAL_DEPTH);
      }
      const { rows } = await ground.database.query('SELECT round, status, problem FROM anchors ORDER BY round');
      throw new Error(`not final: ${JSON.stringify(rows)}`);
    },
    expectOnce: async (rounds, nonces = rounds.length) => {
      const mined = [...(await minedAnchors({ ...ground, chain: restartable }))].toSorted(([a], [b]) => a - b);
      expect(mined).toEqual(rounds.map((round) => [round, 1]));
      expect(await provider.getTransactionCount(keySigner(SENDER_KEY).address)).toBe(nonces);
    },
  };
}

/** The attempts to anchor a round, oldest first. */
export async function attemptsOf(
  { database }: Pick<AnchorGround, 'database'>,
  round: number,
): Promise<{ nonce: number; status: string; maxFee: bigint; priorityFee: bigint; hash: string; raw: string }[]> {
  const { rows } = await database.query<{
    nonce: number;
    status: string;
    max_fee: string;
    priority_fee: string;
    hash: Buffer;
    raw: Buffer;
  }>('SELECT nonce, status, max_fee, priority_fee, hash, raw FROM evm_transactions WHERE round = $1 ORDER BY id', [
    round,
  ]);
  return rows.map(({ nonce, status, max_fee, priority_fee, hash, raw }) => ({
    nonce,
    status,
    maxFee: BigInt(max_fee),
    priorityFee: BigInt(priority_fee),
    hash: `0x${hash.toString('hex')}`,
    raw: `0x${raw.toString('hex')}`,
  }));
}

/** What stands in the way of a round. */
export async function problemOf({ database }: Pick<AnchorGround, 'database'>, round: number): Promise<string | null> {
  const { rows } = await database.query<{ problem: string | null }>('SELECT problem FROM anchors WHERE round = $1', [
    round,
  ]);
  return rows[0]?.problem ?? null;
}
