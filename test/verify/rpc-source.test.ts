// Receipts against real nodes.

import { createServer } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startChain } from '../../scripts/local/chain.ts';
import { ANCHORED_TOPIC } from '../../src/core/anchored-event.ts';
import { toHex } from '../../src/core/bytes.ts';
import type { RoundReceipt } from '../../src/core/receipt-schema.ts';
import { formatTime } from '../../src/core/time.ts';
import { ANCHOR_ADDRESS, encodeAnchor } from '../../src/evm/anchor-contract.ts';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { rpcSource } from '../../src/evm/rpc-source.ts';
import { verifyReceipt } from '../../src/verify/verify.ts';
import { type TestChain, testChain } from '../support/chain.ts';
import { provenReceipt, seeded } from '../support/receipts.ts';

const { log, round, payload } = provenReceipt();
let chain: TestChain;
let receipt: RoundReceipt;
let transaction: string;
let blockNumber: number;

beforeAll(async () => {
  chain = await testChain();
  await deployAnchor({ provider: chain.provider, signer: chain.wallet, dryRun: false });
  const sent = await chain.wallet.sendTransaction({ to: ANCHOR_ADDRESS, data: encodeAnchor(round.root) });
  const mined = await sent.wait();
  const block = await mined?.getBlock();
  if (mined == null || block == null || block.hash === null) throw new Error('not mined');
  transaction = mined.hash;
  blockNumber = mined.blockNumber;
  receipt = round.receipt(log, 5, [
    {
      type: 'evm',
      chain: 'eip155:31337',
      contract: ANCHOR_ADDRESS.toLowerCase(),
      transaction,
      status: 'included',
      block: { number: blockNumber, hash: block.hash, time: formatTime(block.timestamp * 1000) },
    },
  ]);
});

afterAll(async () => {
  await chain?.[Symbol.asyncDispose]();
});

describe('the local chain', () => {
  test('tells its id, blocks, transactions and finality', async () => {
    const source = rpcSource(chain.url);
    expect(source.describe()).toBe(`the node at ${new URL(chain.url).host}`);
    expect(await source.chainId()).toBe('eip155:31337');
    expect(await source.finalized()).toBe(blockNumber);
    // Where the chain says what is final, that counts.
    expect(await rpcSource(chain.url, { confirmations: 1_000 }).finalized()).toBe(blockNumber);
    const found = await source.transaction(transaction);
    expect(found).toMatchObject({ blockNumber, status: 1 });
    expect(found?.logs).toHaveLength(1);
    expect(found?.logs[0]?.topics[0]).toBe(ANCHORED_TOPIC);
    expect(found?.logs[0]?.topics[2]).toBe(`0x${toHex(round.root)}`);
    const block = await source.block(blockNumber);
    expect(block).toMatchObject({ number: blockNumber, hash: found?.blockHash, transactions: [transaction] });
    expect(await source.block(blockNumber + 1)).toBeNull();
    expect(await source.transaction(`0x${toHex(seeded('nothing'))}`)).toBeNull();
  });

  test('proves a receipt', async () => {
    const trust = { key: log.verifierKey, evm: [rpcSource(chain.url)] };
    const verdict = await verifyReceipt({ receipt, payload }, trust);
    expect(verdict.result).toBe('proven');
    expect(verdict.existedBefore).toMatchObject({ block: { number: blockNumber } });
  });

  test('started anew it leaves the receipt unproven', async () => {
    const anew = await startChain();
    try {
      const verdict = await verifyReceipt({ receipt, payload }, { evm: [rpcSource(anew.url)] });
      expect(verdict.result).toBe('unproven');
      expect(verdict.claims.at(-1)?.code).toBe('other-chain-instance');
    } finally {
      await anew.stop();
    }
  });
});

describe('a node that does not answer', () => {
  const verdictBy = async (url: string): Promise<string> => {
    const verdict = await verifyReceipt({ receipt, payload }, { evm: [rpcSource(url)] });
    expect(verdict.result).toBe('unproven');
    expect(verdict.claims.at(-1)?.code).toBe('source-failed');
    return verdict.claims.at(-1)?.says ?? '';
  };

  const server = async (
    answer: (body: string) => { status?: number; text: string },
  ): Promise<AsyncDisposable & { url: string }> => {
    const http = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => {
        body += String(chunk);
      });
      request.on('end', () => {
        const { status = 200, text } = answer(body);
        response.writeHead(status, { 'content-type': 'application/json' }).end(text);
      });
    });
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    const address = http.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    const dispose = async (): Promise<void> => {
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    };
    return { url: `http://127.0.0.1:${address.port}/v3/SECRET-KEY`, [Symbol.asyncDispose]: dispose };
  };

  test('because nobody listens', async () => {
    const gone = await server(() => ({ text: '' }));
    await gone[Symbol.asyncDispose]();
    const says = await verdictBy(gone.url);
    expect(says).toContain('ECONNREFUSED');
    expect(says).not.toContain('SECRET-KEY');
  });

  test.each([
    ['refuses', { status: 401, text: '{"error":"SECRET-KEY"}' }],
    ['sends no JSON', { text: '<html>' }],
    ['sends another form', { text: '{"jsonrpc":"2.0","id":1,"result":31337}' }],
    ['sends too much', { text: `{"result":"0x${'0'.repeat(9_000_000)}"}` }],
  ])('because it %s', async (_, answer) => {
    await using http = await server(() => answer);
    expect(await verdictBy(http.url)).not.toContain('SECRET-KEY');
  });

  test('unless it only wanted to be asked a little later', async () => {
    let asked = 0;
    await using http = await server(() =>
      ++asked === 1 ? { status: 429, text: 'too many' } : { text: '{"jsonrpc":"2.0","id":1,"result":"0x7a69"}' },
    );
    const source = rpcSource(http.url);
    expect(await source.chainId()).toBe('eip155:31337');
    expect([await source.chainId(), asked]).toEqual(['eip155:31337', 2]);
  });

  /** A node whose chain has a hundred blocks and does not say which of them are final. */
  const untold = (finalized: object) =>
    server((body) => {
      const { id = 0, method = '', params = [] } = JSON.parse(body);
      const block = (number: string) => ({ number, hash: `0x${'11'.repeat(32)}`, timestamp: '0x1', transactions: [] });
      const result = method === 'eth_chainId' ? '0x7a69' : block(params[0] === 'latest' ? '0x64' : params[0]);
      return { text: JSON.stringify({ jsonrpc: '2.0', id, ...(params[0] === 'finalized' ? finalized : { result }) }) };
    });

  test.each([
    ['refuses the tag', { error: { code: -32602, message: 'invalid block tag finalized' } }],
    ['names none', { result: null }],
    ['calls the first block final', { result: { number: '0x0', hash: '0x11', timestamp: '0x1', transactions: [] } }],
  ])('because it %s, unless the user says how many blocks make final', async (_, finalized) => {
    await using http = await untold(finalized);
    const told = await rpcSource(http.url)
      .finalized()
      .catch((error: unknown) => error);
    if (told !== 0) expect(told).toMatchObject({ message: expect.stringContaining('--confirmations') });
    const source = rpcSource(http.url, { confirmations: 12 });
    expect(await source.finalized()).toBe(89);
    expect(source.describe()).toMatch(/ \(final after 12 blocks where it names none\)$/);
    expect(await rpcSource(http.url, { confirmations: 1 }).finalized()).toBe(100);
  });

  test('because it tells its chain and then fails', async () => {
    await using http = await server((body) => {
      const { id = 0, method = '' } = JSON.parse(body);
      return {
        text: JSON.stringify(
          method === 'eth_chainId'
            ? { jsonrpc: '2.0', id, result: '0x7a69' }
            : { jsonrpc: '2.0', id, error: { code: -32000, message: 'pruned history unavailable' } },
        ),
      };
    });
    const says = await verdictBy(http.url);
    expect(says).toContain('pruned history unavailable');
    expect(says).not.toContain('SECRET-KEY');
  });

  test('the URL must be one of a node', () => {
    for (const url of ['', 'ftp://example.org', 'data:application/json,{}', '/etc/passwd']) {
      expect(() => rpcSource(url)).toThrow(expect.objectContaining({ code: 'rpc-url' }));
    }
  });
});
