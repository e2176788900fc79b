import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getCreateAddress, keccak256, parseEther, Transaction, Wallet } from 'ethers';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { ANCHOR_ADDRESS, ANCHOR_RUNTIME_CODE_HASH } from '../../src/evm/anchor-contract.ts';
import { deployAnchor, formatDeployResult } from '../../src/evm/deploy.ts';
import {
  createFactory,
  FACTORY_ADDRESS,
  FACTORY_CODE_HASH,
  FACTORY_DEPLOYER,
  FACTORY_DEPLOYER_NEEDS,
  FACTORY_TRANSACTION,
} from '../../src/evm/factory.ts';
import { openProvider, testChain } from '../support/chain.ts';

const code = (codeName: string) => expect.objectContaining({ code: codeName });

test('the addresses of the deployment proxy follow from its presigned transaction', () => {
  const transaction = Transaction.from(FACTORY_TRANSACTION);
  expect(transaction.from).toBe(FACTORY_DEPLOYER);
  expect(getCreateAddress({ from: FACTORY_DEPLOYER, nonce: 0 })).toBe(FACTORY_ADDRESS);
  expect(transaction.nonce).toBe(0);
  expect(transaction.gasLimit * (transaction.gasPrice ?? 0n)).toBe(FACTORY_DEPLOYER_NEEDS);
});

test('a dry run on a bare chain sends nothing, with a key and without', async () => {
  await using chain = await testChain();
  const { provider, wallet } = chain;
  for (const signer of [{}, { signer: wallet }]) {
    const result = await deployAnchor({ provider, ...signer, dryRun: true, roundIntervalMs: 60_000 });
    expect(result).toMatchObject({
      chain: 'eip155:31337',
      status: 'would-deploy',
      factory: 'missing',
      factoryWei: parseEther('0.01'),
      gasFrom: 'measured',
      transactions: [],
    });
    expect(result.anchor.wei).toBe(result.anchor.gas * result.gasPrice);
    expect(result.gasPrice).toBeGreaterThan(0n);
    expect(result.anchor.weiPerMonth).toBe(result.anchor.wei * 43_200n);
    expect(result.announce.weiPerMonth).toBe(result.announce.wei * 43_200n);
    expect(formatDeployResult(result)).toContain('not deployed yet; nothing was sent');
  }
  expect(await provider.getTransactionCount(wallet.address)).toBe(0);
  expect(await provider.getBlockNumber()).toBe(0);
});

test('a deployment brings the proxy and the contract; a second one sends nothing', async () => {
  await using chain = await testChain();
  const { provider, wallet } = chain;
  const first = await deployAnchor({ provider, signer: wallet, dryRun: false });
  expect(first).toMatchObject({ address: ANCHOR_ADDRESS, status: 'deployed', factory: 'missing', gasFrom: 'chain' });
  const purposes = first.transactions.map(({ purpose }) => purpose);
  expect(purposes).toEqual(['fund-factory-deployer', 'create-factory', 'create-contract']);
  for (const { hash } of first.transactions) {
    expect((await provider.getTransactionReceipt(hash))?.status).toBe(1);
    expect(formatDeployResult(first)).toContain(hash);
  }
  expect(keccak256(await provider.getCode(FACTORY_ADDRESS))).toBe(FACTORY_CODE_HASH);
  expect(keccak256(await provider.getCode(ANCHOR_ADDRESS))).toBe(ANCHOR_RUNTIME_CODE_HASH);
  const nonce = await provider.getTransactionCount(wallet.address);
  expect(nonce).toBe(2);

  for (const options of [{ signer: wallet, dryRun: false }, { signer: wallet, dryRun: true }, { dryRun: false }]) {
    const again = await deployAnchor({ provider, ...options });
    expect(again).toMatchObject({ status: 'already-deployed', factory: 'present', factoryWei: 0n, transactions: [] });
    expect(again.anchor.gas).toBe(first.anchor.gas);
    expect(formatDeployResult(again)).toContain('stands already; nothing was sent');
  }
  expect(await provider.getTransactionCount(wallet.address)).toBe(nonce);
  expect(await provider.getBlockNumber()).toBe(3);
});

test('a deployer that has part of the funds is given the rest, one that has all of them nothing', async () => {
  for (const [has, sent] of [
    ['0.004', ['fund-factory-deployer', 'create-factory', 'create-contract']],
    ['0.01', ['create-factory', 'create-contract']],
  ] as const) {
    await using chain = await testChain();
    const { provider, wallet } = chain;
    await (await wallet.sendTransaction({ to: FACTORY_DEPLOYER, value: parseEther(has) })).wait();
    const { transactions } = await deployAnchor({ provider, signer: wallet, dryRun: false });
    expect(transactions.map(({ purpose }) => purpose)).toEqual(sent);
    const funding = transactions.find(({ purpose }) => purpose === 'fund-factory-deployer');
    if (funding) expect((await provider.getTransaction(funding.hash))?.value).toBe(parseEther('0.006'));
  }
});

test('without a key, without funds and with foreign code at the address it says what to do', async () => {
  await using chain = await testChain();
  const { provider, wallet } = chain;
  await expect(deployAnchor({ provider, dryRun: false })).rejects.toThrow(code('deploy-key-missing'));
  const poor = new Wallet(`0x${'01'.repeat(32)}`, provider);
  await expect(deployAnchor({ provider, signer: poor, dryRun: false })).rejects.toThrow(code('factory-funding'));
  await provider.send('hardhat_setCode', [ANCHOR_ADDRESS, '0x00']);
  await expect(deployAnchor({ provider, signer: wallet, dryRun: false })).rejects.toThrow(code('deploy-code-differs'));
  await provider.send('hardhat_setCode', [ANCHOR_ADDRESS, '0x']);
  await provider.send('hardhat_setNonce', [FACTORY_DEPLOYER, '0x1']);
  await expect(deployAnchor({ provider, signer: wallet, dryRun: false })).rejects.toThrow(code('factory-spent'));
  await provider.send('hardhat_setCode', [FACTORY_ADDRESS, '0x00']);
  await expect(deployAnchor({ provider, signer: wallet, dryRun: false })).rejects.toThrow(
    code('deploy-factory-differs'),
  );
  expect(await provider.getTransactionCount(wallet.address)).toBe(0);
});

test('an account that cannot pay for the contract is told so', async () => {
  await using chain = await testChain();
  const { provider, wallet } = chain;
  await createFactory(provider, wallet);
  const poor = new Wallet(`0x${'01'.repeat(32)}`, provider);
  await expect(deployAnchor({ provider, signer: poor, dryRun: false })).rejects.toThrow(code('deploy-funds'));
});

test('a base fee above what the presigned transaction pays stops before anything is spent', async () => {
  await using chain = await testChain();
  const { provider, wallet } = chain;
  await provider.send('hardhat_setNextBlockBaseFeePerGas', ['0x2e90edd000']);
  await provider.send('hardhat_mine', []);
  await expect(deployAnchor({ provider, signer: wallet, dryRun: false })).rejects.toThrow(code('factory-fee'));
  expect(await provider.getTransactionCount(wallet.address)).toBe(0);
});

test('a node that refuses transactions without a chain id costs nothing and the reason is told', async () => {
  await using chain = await testChain();
  const guarded = await refusingUnprotected(chain.url);
  const provider = openProvider(guarded.url);
  try {
    const deployment = deployAnchor({ provider, signer: chain.wallet.connect(provider), dryRun: false });
    await expect(deployment).rejects.toThrow(code('factory-refused'));
    await expect(deployment).rejects.toThrow(/pre-eip-155 .*--rpc\.allow-unprotected-txs/);
    expect(await provider.getTransactionCount(chain.wallet.address)).toBe(0);
  } finally {
    provider.destroy();
    await guarded.stop();
  }
});

test('under Amsterdam, where the presigned transaction has too little gas, nothing is burnt; an ordinary deployment works', async () => {
  await using chain = await testChain({ hardfork: 'amsterdam' });
  const { provider, wallet: signer } = chain;
  const refused = deployAnchor({ provider, signer, dryRun: false });
  await expect(refused).rejects.toThrow(code('factory-gas'));
  await expect(refused).rejects.toThrow(
    /takes \d{6} gas here, .*Nothing was sent; .*antequem deploy --ordinary, then set EVM_CONTRACT/,
  );
  const proxied = await deployAnchor({ provider, signer, dryRun: true });
  expect(formatDeployResult(proxied)).toMatch(/^factory +missing: .*would fail.* antequem deploy --ordinary/m);
  expect(await provider.getTransactionCount(signer.address)).toBe(0);
  expect(await provider.getBalance(FACTORY_DEPLOYER)).toBe(0n);
  expect(await provider.getBlockNumber()).toBe(0);

  const dry = await deployAnchor({ provider, signer, dryRun: true, ordinary: true });
  expect(dry).toMatchObject({ status: 'would-deploy', address: null, ordinary: true, factoryWei: 0n });
  const result = await deployAnchor({ provider, signer, dryRun: false, ordinary: true });
  expect(result).toMatchObject({ status: 'deployed', ordinary: true, transactions: [{ purpose: 'create-contract' }] });
  expect(result.address).not.toBe(ANCHOR_ADDRESS);
  expect(keccak256(await provider.getCode(result.address ?? ''))).toBe(ANCHOR_RUNTIME_CODE_HASH);
  expect(formatDeployResult(result)).toContain(`EVM_CONTRACT=${result.address}`);
  expect(await provider.getCode(FACTORY_ADDRESS)).toBe('0x');
  // By what the node estimates.
  expect(result.gasFrom).toBe('chain');
  expect(dry.deployment.gas).toBeGreaterThan(1_000_000n);
  expect(result.anchor.gas).toBeGreaterThan(100_000n);
  expect(result.announce.gas).toBeLessThan(30_000n);
  console.log(
    `Amsterdam on Hardhat: deployment ${result.deployment.gas} gas (estimated ${dry.deployment.gas}), ` +
      `anchor ${result.anchor.gas}, announce ${result.announce.gas}`,
  );
});

const rpcRequest = z.object({ id: z.number(), method: z.string(), params: z.array(z.unknown()) });
const rpcRequests = z.union([rpcRequest.transform((one) => [one]), z.array(rpcRequest)]);

/** A gate before the chain that answers as geth does without --rpc.allow-unprotected-txs. */
function refusingUnprotected(upstream: string): Promise<{ url: string; stop(): Promise<void> }> {
  const message = 'only replay-protected (EIP-155) transactions allowed over RPC';
  return changed(upstream, ({ method, params }) =>
    method === 'eth_sendRawTransaction' && params[0] === FACTORY_TRANSACTION
      ? { error: { code: -32000, message } }
      : null,
  );
}

/** A gate before the chain with other answers where `answer` gives one. */
async function changed(
  upstream: string,
  answer: (request: z.infer<typeof rpcRequest>) => object | null,
): Promise<{ url: string; stop(): Promise<void> }> {
  const server = createServer(async (request, response) => {
    const ask = async (one: z.infer<typeof rpcRequest>): Promise<object> => {
      const other = answer(one);
      if (other !== null) return { jsonrpc: '2.0', id: one.id, ...other };
      const body = JSON.stringify({ jsonrpc: '2.0', ...one });
      return z.looseObject({}).parse(await (await fetch(upstream, { method: 'POST', body })).json());
    };
    const json: unknown = JSON.parse((await request.toArray()).join(''));
    const answers = await Promise.all(rpcRequests.parse(json).map(ask));
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(Array.isArray(json) ? answers : answers[0]));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const stop = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://127.0.0.1:${address.port}`, stop };
}
