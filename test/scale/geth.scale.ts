import { setTimeout as sleep } from 'node:timers/promises';
import { parseEther } from 'ethers';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { addMissingAnchors } from '../../src/anchor/jobs.ts';
import { newWorkBudget } from '../../src/core/anchor-verifier.ts';
import { toHex } from '../../src/core/bytes.ts';
import { readEvmAnchors } from '../../src/evm/anchors.ts';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { keySigner } from '../../src/evm/signer.ts';
import type { EvmTarget } from '../../src/evm/target.ts';
import { evmVerifier } from '../../src/evm/verifier.ts';
import { type AnchorGround, anchorGround, type RestartableChain, SENDER_KEY } from '../support/anchoring.ts';
import type { TestChain } from '../support/chain.ts';
import { GETH_CHAIN_ID, gethChain } from '../support/geth.ts';
import { sendMixed } from '../support/mixed-blocks.ts';
import { goMissing } from '../support/omniwitness.ts';
import { seeded } from '../support/receipts.ts';

const blockForm = z.object({ transactions: z.array(z.object({ type: z.string() })) });
const ROUNDS = 20;
/** Account 2 of Hardhat's chains. */
const OTHER_KEY = '0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a';

/** geth's development chains have the deployment proxy. */
async function deploy({ provider, wallet }: TestChain): Promise<void> {
  const { deployment, status } = await deployAnchor({ provider, signer: wallet, dryRun: false });
  expect(status).toBe('deployed');
  console.log(`deployed with ${deployment.gas} gas`);
}

async function anchorAll(ground: AnchorGround, chain: TestChain, target: EvmTarget, mode: string): Promise<number> {
  await target.register();
  const rounds = await ground.close(ROUNDS);
  await addMissingAnchors(ground.database, target.name, Date.now());
  // Of others in the same blocks, some of them setting code (EIP-7702).
  const others = async (): Promise<void> => {
    for (let i = 0; i < 8; i++) {
      await sendMixed(chain, chain.wallet.address, seeded('others'), [4, 2, 4, 0, 4, 1], GETH_CHAIN_ID);
      await sleep(300);
    }
  };
  await Promise.all([target.advance(rounds), others()]);
  await expect
    .poll(async () => [...(await target.advance(rounds)).values()].every((again) => again === null), {
      interval: 500,
      timeout: 300_000,
    })
    .toBe(true);
  const gas: bigint[] = [];
  let beside = 0;
  for (const round of rounds) {
    const [anchor] = await readEvmAnchors(ground.database, round);
    if (anchor?.status !== 'finalized' || anchor.proof === undefined) throw new Error(`round ${round} is not proven`);
    const { rows } = await ground.database.query<{ root: Buffer }>('SELECT root FROM rounds WHERE number = $1', [
      round,
    ]);
    const root = toHex(rows[0]?.root ?? new Uint8Array(0));
    const trusted = {
      evm: { byChain: new Map(), failures: [] },
      bitcoin: [],
      sameInstance: new Set<object>(),
      work: newWorkBudget(),
      blockHashes: [anchor.block.hash],
      authorities: [],
    };
    const [finding] = await evmVerifier.check(anchor, root, trusted, 1);
    expect(finding?.claim).toMatchObject({ status: 'verified', code: 'anchor-proven', grounds: 'block-hash' });
    const receipt = await chain.provider.getTransactionReceipt(anchor.transaction);
    gas.push(receipt?.gasUsed ?? 0n);
    const block = blockForm.parse(await chain.provider.send('eth_getBlockByHash', [anchor.block.hash, true]));
    beside += block.transactions.filter(({ type }) => type === '0x4').length;
  }
  expect(beside).toBeGreaterThan(0);
  const least = gas.reduce((a, b) => (b < a ? b : a));
  const most = gas.reduce((a, b) => (b > a ? b : a));
  console.log(`${mode}: ${rounds.length} rounds final and proven by block hash alone; gas ${least} to ${most}`);
  return Number(most);
}

test.skipIf(goMissing !== null).each(['osaka', 'amsterdam'] as const)('geth under %s', async (fork) => {
  await using chain = await gethChain(fork);
  for (const key of [SENDER_KEY, OTHER_KEY]) {
    await (await chain.wallet.sendTransaction({ to: keySigner(key).address, value: parseEther('100') })).wait();
  }
  await deploy(chain);
  const restartable: RestartableChain = {
    ...chain,
    deploy: async () => {},
    down: async () => {},
    up: async () => {},
    stop: async () => {},
  };
  const ground = await anchorGround(async () => restartable, {
    chainId: GETH_CHAIN_ID,
    ephemeral: false,
    firstRound: 1,
    pollInterval: 500,
  });
  try {
    const newest: unknown = await chain.provider.send('eth_getBlockByNumber', ['latest', false]);
    expect(Object.keys(z.looseObject({}).parse(newest)).includes('blockAccessListHash')).toBe(fork === 'amsterdam');
    console.log(fork);
    const stored = await anchorAll(ground, chain, ground.target({ storeEvery: 'always' }), 'stored');
    // What the rules of the fork make of storing, and not just its headers.
    if (fork === 'osaka') expect(stored).toBeLessThan(50_000);
    else expect(stored).toBeGreaterThan(100_000);
    const announce = ground.target({
      name: 'cheap',
      storeEvery: 'never',
      signer: keySigner(OTHER_KEY),
      firstRound: 21,
    });
    const announced = await anchorAll(ground, chain, announce, 'announced');
    const mean = (59 * announced + stored) / 60;
    console.log(`a round a minute, one an hour stored: ${(mean / announced).toFixed(3)} times the gas of announcing`);
    expect(mean).toBeLessThan(1.15 * announced);
  } finally {
    await ground.stop();
  }
});
