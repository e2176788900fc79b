import { expect, test } from 'vitest';
import { z } from 'zod';
import { addMissingAnchors } from '../../src/anchor/jobs.ts';
import { newWorkBudget } from '../../src/core/anchor-verifier.ts';
import { toHex } from '../../src/core/bytes.ts';
import { ANCHOR_INIT_CODE } from '../../src/evm/anchor-contract.ts';
import { readEvmAnchors } from '../../src/evm/anchors.ts';
import { keySigner } from '../../src/evm/signer.ts';
import type { EvmTarget } from '../../src/evm/target.ts';
import { evmVerifier } from '../../src/evm/verifier.ts';
import { type AnchorGround, anchorGround, type RestartableChain, SENDER_KEY } from '../support/anchoring.ts';
import type { TestChain } from '../support/chain.ts';
import { fund, GETH_CHAIN_ID, gethChain } from '../support/geth.ts';
import { sendMixed } from '../support/mixed-blocks.ts';
import { goMissing } from '../support/omniwitness.ts';
import { seeded } from '../support/receipts.ts';

const blockForm = z.object({ transactions: z.array(z.object({ type: z.string() })) });
const ROUNDS = 20;
/** Account 2 of Hardhat's chains. */
const OTHER_KEY = '0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a';

/** Where the presigned transaction of the deployment proxy cannot be mined, the contract has another address. */
async function deploy({ wallet }: TestChain): Promise<string> {
  const mined = await (await wallet.sendTransaction({ data: ANCHOR_INIT_CODE })).wait();
  if (mined?.contractAddress == null) throw new Error('not deployed');
  console.log(`deployed with ${mined.gasUsed} gas`);
  return mined.contractAddress.toLowerCase();
}

async function anchorAll(ground: AnchorGround, chain: TestChain, target: EvmTarget, mode: string): Promise<void> {
  await target.register();
  const rounds = await ground.close(ROUNDS);
  await addMissingAnchors(ground.database, target.name, Date.now());
  await target.advance(rounds);
  // Of others in the same blocks, some of them setting code (EIP-7702).
  await sendMixed(chain, chain.wallet.address, seeded('others'), [4, 2, 4, 0, 4, 1], GETH_CHAIN_ID);
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
}

test.skipIf(goMissing !== null).each(['osaka', 'amsterdam'] as const)('geth under %s', async (fork) => {
  await using chain = await gethChain(fork);
  for (const key of [SENDER_KEY, OTHER_KEY]) await fund(chain.provider, keySigner(key).address);
  const contract = await deploy(chain);
  const restartable: RestartableChain = {
    ...chain,
    deploy: async () => {},
    down: async () => {},
    up: async () => {},
    stop: async () => {},
  };
  const ground = await anchorGround(async () => restartable, {
    chainId: GETH_CHAIN_ID,
    contract,
    ephemeral: false,
    firstRound: 1,
    pollInterval: 500,
  });
  try {
    const newest: unknown = await chain.provider.send('eth_getBlockByNumber', ['latest', false]);
    expect(Object.keys(z.looseObject({}).parse(newest)).includes('blockAccessListHash')).toBe(fork === 'amsterdam');
    console.log(fork);
    await anchorAll(ground, chain, ground.target({ storeEvery: 'always' }), 'stored');
    const announce = ground.target({
      name: 'cheap',
      storeEvery: 'never',
      signer: keySigner(OTHER_KEY),
      firstRound: 21,
    });
    await anchorAll(ground, chain, announce, 'announced');
  } finally {
    await ground.stop();
  }
});
