// The deterministic deployment proxy (github.com/Arachnid/deterministic-deployment-proxy): one transaction, signed
// without a chain id by a key nobody has, creates it at one address on every chain. Calldata `salt ‖ init code`
// then creates a contract whose address depends on these alone.

import { type Provider, parseEther, type Signer, Transaction, type TransactionReceipt } from 'ethers';
import { AntequemError } from '../core/errors.ts';
import { rejectionReason } from './rejection.ts';

export const FACTORY_ADDRESS = '0x4e59b44847b379578588920cA78FbF26c0B4956C';

/** Sender of the presigned transaction, as its signature says (tested). Coins sent to any other address are lost. */
export const FACTORY_DEPLOYER = '0x3fAB184622Dc19b6109349B94811493BF2a45362';

/** 100,000 gas at 100 gwei, both fixed by the signature. */
export const FACTORY_DEPLOYER_NEEDS: bigint = parseEther('0.01');

export const FACTORY_TRANSACTION =
  '0xf8a58085174876e800830186a08080b853604580600e600039806000f350fe7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf31ba02222222222222222222222222222222222222222222222222222222222222222a02222222222222222222222222222222222222222222222222222222222222222';

/** Keccak-256 of the proxy's code. */
export const FACTORY_CODE_HASH = '0x2fa86add0aed31f33a762c9d88e807c475bd51d0f52bd0955754b2608f7e4989';

const FACTORY_GAS_PRICE = 100_000_000_000n;
const FACTORY_GAS = 100_000n;
/** What works without the proxy. */
export const ORDINARY =
  'the contract can still be deployed at an address of this chain alone: antequem deploy --ordinary, then set ' +
  'EVM_CONTRACT (contract in TARGETS_FILE) to the address that it prints';

export interface SentTransaction {
  readonly purpose: 'fund-factory-deployer' | 'create-factory' | 'create-contract';
  /** 0x-hex. */
  readonly hash: string;
}

/**
 * Sends what is needed for the proxy to stand: its deployer's 0.01 coins (less what it has), then the presigned
 * transaction. Asks the node first what creating the proxy takes, and whether it takes that transaction at all, so that
 * nothing is spent where it would be in vain.
 * @throws AntequemError `factory-spent`, `factory-fee`, `factory-gas`, `factory-refused`, `factory-funding`
 */
export async function createFactory(provider: Provider, signer: Signer): Promise<SentTransaction[]> {
  const sent: SentTransaction[] = [];
  if ((await provider.getTransactionCount(FACTORY_DEPLOYER)) > 0) throw spent();
  const baseFee = (await provider.getBlock('latest'))?.baseFeePerGas ?? 0n;
  if (baseFee > FACTORY_GAS_PRICE) {
    throw new AntequemError(
      'factory-fee',
      `the base fee is ${baseFee} wei, the deployment proxy's presigned transaction pays ${FACTORY_GAS_PRICE}: try again when fees are lower`,
    );
  }
  const obstacle = await gasObstacle(provider);
  if (obstacle !== null) throw new AntequemError('factory-gas', `${obstacle} Nothing was sent; ${ORDINARY}`);
  let hash = await broadcast(provider, 'asking');
  const missing = FACTORY_DEPLOYER_NEEDS - (await provider.getBalance(FACTORY_DEPLOYER));
  if (hash === null && missing > 0n) {
    const funding = await signer.sendTransaction({ to: FACTORY_DEPLOYER, value: missing }).catch((cause: unknown) => {
      throw new AntequemError(
        'factory-funding',
        `the account could not send 0.01 coins to ${FACTORY_DEPLOYER}, which creates the deployment proxy: ${rejectionReason(cause)}; fund the account, then run this again`,
        { cause },
      );
    });
    await funding.wait();
    sent.push({ purpose: 'fund-factory-deployer', hash: funding.hash });
  }
  hash ??= await broadcast(provider, 'funded');
  if (hash !== null) {
    const receipt: TransactionReceipt | null = await provider.waitForTransaction(hash);
    if (receipt?.status !== 1) throw spent();
    sent.push({ purpose: 'create-factory', hash });
  }
  return sent;
}

/**
 * Why the presigned transaction has too little gas to create the proxy; null where it has enough. Its gas is fixed, and what
 * a chain charges for code is not (EIP-8037).
 */
export async function gasObstacle(provider: Provider): Promise<string | null> {
  const { data } = Transaction.from(FACTORY_TRANSACTION);
  let takes: string;
  try {
    const gas = await provider.estimateGas({ data });
    if (gas <= FACTORY_GAS) return null;
    takes = `takes ${gas} gas here`;
  } catch (cause) {
    takes = `cannot be estimated here (${rejectionReason(cause)})`;
  }
  return (
    `creating the deployment proxy ${takes}, and its presigned transaction has ${FACTORY_GAS}: it would fail, and the ` +
    '0.01 coins for it would be lost.'
  );
}

/** The hash, or null if the node would take the transaction but its sender lacks the funds yet. */
async function broadcast(provider: Provider, stage: 'asking' | 'funded'): Promise<string | null> {
  try {
    return (await provider.broadcastTransaction(FACTORY_TRANSACTION)).hash;
  } catch (cause) {
    const why = rejectionReason(cause);
    if (/already known|known transaction|already imported/i.test(why))
      return Transaction.from(FACTORY_TRANSACTION).hash;
    const refused = /replay|protected|eip-?155|chain ?id/i.test(why);
    if (stage === 'asking' && !refused) return null;
    throw new AntequemError(
      'factory-refused',
      `this node refuses the deployment proxy's presigned transaction (${why}). It has no chain id (it is older than ` +
        `EIP-155), which gives the proxy one address on every chain. Use an RPC endpoint of this chain that takes it ` +
        `(geth: --rpc.allow-unprotected-txs), or have someone create the proxy at ${FACTORY_ADDRESS}; then run this again. ` +
        `Without the proxy ${ORDINARY}`,
      { cause },
    );
  }
}

function spent(): AntequemError {
  return new AntequemError(
    'factory-spent',
    `the deployment proxy cannot be created at ${FACTORY_ADDRESS} on this chain: its deployer ${FACTORY_DEPLOYER} has ` +
      `used up its presigned transaction without success; ${ORDINARY}`,
  );
}
