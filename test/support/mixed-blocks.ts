// Real blocks whose transactions are of all types and each anchor a root.

import { setTimeout as sleep } from 'node:timers/promises';
import { concat, type JsonRpcProvider, sha256, Transaction, type TransactionLike, Wallet } from 'ethers';
import { encodeAnchor } from '../../src/evm/anchor-contract.ts';
import type { TestChain } from './chain.ts';

/** The commitment to a blob of zeros, and its proof, are the point at infinity: no need of a library for it. */
const INFINITY = `0xc0${'00'.repeat(47)}`;

export interface MixedBlock {
  /** 0x-hex. */
  readonly hash: string;
  readonly types: readonly number[];
}

/**
 * Mines one block of `count` transactions from as many accounts as there are types: all call `anchor(root)`.
 * @param types in turn; blob transactions (3) at most two a block
 */
export async function mineMixedBlock(
  { provider, wallet }: Pick<TestChain, 'provider' | 'wallet'>,
  contract: string,
  root: Uint8Array,
  types: readonly number[],
): Promise<MixedBlock> {
  const { number } = (await provider.getBlock('latest')) ?? { number: 0 };
  const single = types.length === 1;
  if (!single) await provider.send('evm_setAutomine', [false]);
  await sendMixed({ provider, wallet }, contract, root, types);
  if (!single) {
    await provider.send('evm_mine', []);
    await provider.send('evm_setAutomine', [true]);
  }
  const block = await mined(provider, number + 1);
  return { hash: block.hash, types: block.transactions.map(({ type }) => Number(type)) };
}

/** Sends such transactions and mines nothing. */
export async function sendMixed(
  { provider, wallet }: Pick<TestChain, 'provider' | 'wallet'>,
  contract: string,
  root: Uint8Array,
  types: readonly number[],
  chainId = 31337,
): Promise<void> {
  const from = await provider.getTransactionCount(wallet.address, 'pending');
  for (const [i, type] of types.entries()) {
    const raw = await sign(wallet, { chainId, nonce: from + i, type, to: contract, data: encodeAnchor(root) });
    await provider.send('eth_sendRawTransaction', [raw]);
  }
}

interface Mined {
  readonly hash: string;
  readonly transactions: readonly { readonly type: string }[];
}

/** Anvil answers to a transaction before it has mined the block of it. */
async function mined(provider: JsonRpcProvider, number: number): Promise<Mined> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const block: Mined | null = await provider.send('eth_getBlockByNumber', [`0x${number.toString(16)}`, true]);
    if (block !== null) return block;
    await sleep(50);
  }
  throw new Error(`the chain mined no block ${number}`);
}

type Call = TransactionLike<string> & { readonly chainId: number };

async function sign(wallet: Wallet, call: Call): Promise<string> {
  const price = 20_000_000_000n;
  // Under Amsterdam a fresh account costs as much as the root that is stored.
  const base = { ...call, gasLimit: call.type === 4 ? 500_000 : 250_000 };
  const fees = { maxFeePerGas: price, maxPriorityFeePerGas: 1_000_000_000n };
  const accessList = [{ address: call.to ?? '', storageKeys: [`0x${'00'.repeat(32)}`] }];
  switch (call.type) {
    case 0:
      return wallet.signTransaction({ ...base, gasPrice: price });
    case 1:
      return wallet.signTransaction({ ...base, gasPrice: price, accessList });
    case 3: {
      const blob = { data: new Uint8Array(131_072), commitment: INFINITY, proof: INFINITY };
      const blobVersionedHashes = [concat(['0x01', `0x${sha256(INFINITY).slice(4)}`])];
      const transaction = Transaction.from({ ...base, ...fees, maxFeePerBlobGas: price, blobVersionedHashes });
      transaction.blobs = [blob];
      transaction.signature = wallet.signingKey.sign(transaction.unsignedHash);
      return transaction.serialized;
    }
    case 4: {
      const authority = Wallet.createRandom();
      const authorization = await authority.authorize({ address: call.to ?? '', nonce: 0, chainId: call.chainId });
      return wallet.signTransaction({ ...base, ...fees, authorizationList: [authorization] });
    }
    default:
      return wallet.signTransaction({ ...base, ...fees, accessList });
  }
}
