import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { fromHex } from '../../src/core/bytes.ts';
import { ANCHOR_ADDRESS, encodeAnchor, encodeAnnounce, encodeExistedBefore } from '../../src/evm/anchor-contract.ts';
import { deployAnchor, MEASURED_GAS } from '../../src/evm/deploy.ts';
import { testChain } from '../support/chain.ts';
import { formatsVector } from '../support/vectors.ts';

const read = async (path: string) => JSON.parse(await readFile(join(import.meta.dirname, path), 'utf8'));

// No zero byte: the dearest calldata.
const ROOT = new Uint8Array(32).fill(0xff);

test('gas of whole transactions under Osaka rules is that of the snapshot, and within bounds', async () => {
  await using chain = await testChain();
  const { wallet, provider } = chain;
  const deployed = await deployAnchor({ provider, signer: wallet, dryRun: false });
  const gas = async (data: string): Promise<number> => {
    const receipt = await (await wallet.sendTransaction({ to: ANCHOR_ADDRESS, data })).wait();
    return Number(receipt?.gasUsed);
  };
  const { path } = formatsVector.parse(await read('../vectors/formats.json'));
  await gas(encodeAnchor(fromHex(path.root)));
  const measured = {
    deployment: Number(deployed.deployment.gas),
    announce: await gas(encodeAnnounce(ROOT)),
    anchor: await gas(encodeAnchor(ROOT)),
    anchorAgain: await gas(encodeAnchor(ROOT)),
    existedBeforeOfNineSteps: await gas(encodeExistedBefore(fromHex(path.digest), fromHex(path.packed))),
  };
  expect(measured).toEqual(z.record(z.string(), z.number()).parse(await read('gas-snapshot.json')));
  expect(measured.announce).toBeLessThanOrEqual(23_350);
  expect(measured.anchor).toBeLessThanOrEqual(45_900);
  const { deployment, anchor, announce } = measured;
  expect({ deployment, anchor, announce }).toEqual({
    deployment: Number(MEASURED_GAS.deployment),
    anchor: Number(MEASURED_GAS.anchor),
    announce: Number(MEASURED_GAS.announce),
  });
});
