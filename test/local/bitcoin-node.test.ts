import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { nodeSource, openSource } from '../../src/bitcoin/header-sources.ts';
import { parseHeader, REGTEST } from '../../src/core/bitcoin-header.ts';
import { toHex } from '../../src/core/bytes.ts';
import { testBitcoin } from '../support/bitcoin.ts';

const data = new Uint8Array(32).fill(0xab);

it('tells its headers to whoever has the password, by the JSON-RPC of Bitcoin Core', async () => {
  await using node = await testBitcoin();
  const source = await openSource(node.rpcUrl);
  expect(source.chain).toBe(REGTEST);
  expect(await source.height()).toBe(node.height);
  expect((await source.header(node.height))?.header).toEqual(await node.header(node.height));
  expect(await source.header(node.height + 1)).toBeNull();
  const stranger = nodeSource(node.rpcUrl.replace(/:\w+@/, ':guess@'), REGTEST);
  await expect(stranger.height()).rejects.toMatchObject({ code: 'bitcoin-login' });
});

it('mines what was submitted, in blocks of the present', async () => {
  await using node = await testBitcoin();
  const before = node.height;
  expect(parseHeader(await node.header(before)).time).toBeLessThanOrEqual(Date.now());
  const transaction = await node.inscribe(data);
  expect(toHex(transaction)).toContain(toHex(data));
  expect(await node.find(transaction)).toBeNull();
  expect(await node.submit(transaction)).toBe(true);
  expect(await node.find(transaction)).toBeNull();
  await node.mine(2);
  expect(node.height).toBe(before + 2);
  expect(await node.find(transaction)).toMatchObject({ height: before + 1, index: 1 });
  expect(node.waiting).toBe(0);
});

it('spends what is left of the transaction before, mined or not', async () => {
  await using node = await testBitcoin();
  for (let i = 0; i < 3; i++) {
    expect(await node.submit(await node.inscribe(data))).toBe(true);
    expect(await node.submit(await node.inscribe(data))).toBe(true);
    await node.mine();
  }
  expect(node.waiting).toBe(0);
});

it('has its blocks and its coins again when it is opened once more', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'antequem-bitcoin-'));
  let transaction: Uint8Array;
  let height: number;
  let header: Uint8Array;
  {
    await using node = await testBitcoin({ dataDir });
    transaction = await node.inscribe(data);
    await node.submit(transaction);
    await node.mine(3);
    height = node.height;
    header = await node.header(height);
  }
  await using node = await testBitcoin({ dataDir });
  expect(node.height).toBe(height);
  expect(await node.header(height)).toEqual(header);
  expect(await node.find(transaction)).toMatchObject({ height: height - 2 });
  expect(await node.submit(await node.inscribe(data))).toBe(true);
  rmSync(dataDir, { recursive: true });
});

it('reorganises: what stood in the blocks replaced is mined again', async () => {
  await using node = await testBitcoin();
  const transaction = await node.inscribe(data);
  await node.submit(transaction);
  await node.mine(2);
  const place = await node.find(transaction);
  const height = place?.height ?? 0;
  const replaced = await node.header(height);
  await node.reorganize(2);
  expect(await node.header(height)).not.toEqual(replaced);
  expect(await node.find(transaction)).toBeNull();
  await node.mine();
  expect(await node.find(transaction)).toMatchObject({ height: height + 3 });
});

it('forgets blocks with what was in them, when told to', async () => {
  await using node = await testBitcoin();
  const transaction = await node.inscribe(data);
  await node.submit(transaction);
  await node.mine(2);
  const { height } = node;
  await node.invalidate(2);
  expect(node.height).toBe(height - 2);
  expect(await node.find(transaction)).toBeNull();
  await node.mine();
  expect(await node.find(transaction)).toBeNull();
  expect(await node.submit(transaction)).toBe(true);
  await node.mine();
  expect(await node.find(transaction)).toMatchObject({ height });
});
