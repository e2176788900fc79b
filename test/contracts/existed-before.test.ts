import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { concat, fromHex, toHex } from '../../src/core/bytes.ts';
import { FormatError } from '../../src/core/errors.ts';
import { packPath, type Step, unpackPath, walkPath } from '../../src/core/path.ts';
import { ANCHOR_ADDRESS, ANCHOR_INTERFACE, encodeAnchor, encodeExistedBefore } from '../../src/evm/anchor-contract.ts';
import { deployAnchor } from '../../src/evm/deploy.ts';
import { type TestChain, testChain } from '../support/chain.ts';
import { formatsVector } from '../support/vectors.ts';

const PATHS = 1_000;
const SEED = randomInt(2 ** 31);
const note = `fast-check seed ${SEED}`;

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
const field = fc.oneof(
  { weight: 6, arbitrary: fc.uint8Array({ maxLength: 48 }) },
  { weight: 2, arbitrary: fc.constant(new Uint8Array(0)) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 250, maxLength: 255, size: 'max' }) },
);
const step: fc.Arbitrary<Step> = fc.record({ prefix: field, suffix: field });
const arbitraryCase = fc.record({
  digest: hash,
  steps: fc.array(step, { maxLength: 24, size: 'max' }),
  // Where to flip a bit, as a part of the whole length.
  bit: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  surplus: fc.integer({ min: 0, max: 255 }),
});
const cases = fc.sample(arbitraryCase, { numRuns: PATHS, seed: SEED }).map((drawn) => ({
  ...drawn,
  packed: packPath(drawn.steps),
  root: walkPath(drawn.digest, drawn.steps),
}));

const answers = z.array(
  z.object({ id: z.number(), result: z.string().optional(), error: z.object({ data: z.string() }).optional() }),
);

type Outcome = { existed: { time: number; blockNumber: number } } | { error: string; argument: string };

let chain: TestChain;
beforeAll(async () => {
  chain = await testChain();
  await deployAnchor({ provider: chain.provider, signer: chain.wallet, dryRun: false });
});
afterAll(() => chain[Symbol.asyncDispose]());

/** Answers of one batch of JSON-RPC calls, in the order asked. */
async function batch(calls: readonly { method: string; params: unknown[] }[]): Promise<z.infer<typeof answers>> {
  const response = await fetch(chain.url, {
    method: 'POST',
    body: JSON.stringify(calls.map((call, id) => ({ jsonrpc: '2.0', id, ...call }))),
  });
  const all = answers.parse(await response.json());
  expect(all).toHaveLength(calls.length);
  return all.toSorted((a, b) => a.id - b.id);
}

/** What `existedBefore` says to each. */
async function ask(questions: readonly { digest: Uint8Array; packed: Uint8Array }[]): Promise<Outcome[]> {
  const all = await batch(
    questions.map(({ digest, packed }) => ({
      method: 'eth_call',
      params: [{ to: ANCHOR_ADDRESS, data: encodeExistedBefore(digest, packed) }, 'latest'],
    })),
  );
  return all.map(({ result, error }): Outcome => {
    if (result !== undefined) {
      const [time, blockNumber] = ANCHOR_INTERFACE.decodeFunctionResult('existedBefore', result);
      return { existed: { time: Number(time), blockNumber: Number(blockNumber) } };
    }
    const parsed = ANCHOR_INTERFACE.parseError(error?.data ?? '0x');
    if (parsed === null) throw new Error(`neither a result nor one of the contract's errors: ${error?.data}`);
    return { error: parsed.name, argument: String(parsed.args[0]) };
  });
}

/** The contract's answer for a root nobody anchored, by our own path code. */
function expectedRefusal(digest: Uint8Array, packed: Uint8Array): Outcome {
  try {
    return { error: 'RootNotAnchored', argument: `0x${toHex(walkPath(digest, unpackPath(packed)))}` };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    // A flipped length can turn a field of zeros into hundreds of empty steps; only the path code counts them.
    if (error.code === 'path-length') return { error: expect.any(String), argument: expect.any(String) };
    if (error.code !== 'path-cut') throw error;
    return { error: 'PathCut', argument: expect.any(String) };
  }
}

function flipped(bytes: Uint8Array, part: number): Uint8Array {
  const out = bytes.slice();
  const bit = Math.floor(part * out.length * 8);
  out[bit >> 3] = (out[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return out;
}

test(`${PATHS} random paths lead where the path code says, before and after the root is anchored`, async () => {
  const before = await ask(cases);
  expect(before, note).toEqual(cases.map(({ digest, packed }) => expectedRefusal(digest, packed)));
  expect(before.filter((outcome) => 'error' in outcome && outcome.error === 'RootNotAnchored')).toHaveLength(PATHS);

  const firstMoments = new Map<string, Outcome>();
  await chain.provider.send('evm_setAutomine', [false]);
  for (let start = 0; start < PATHS; start += 250) {
    const sent = await batch(
      cases.slice(start, start + 250).map(({ root }) => ({
        method: 'eth_sendTransaction',
        params: [{ from: chain.wallet.address, to: ANCHOR_ADDRESS, data: encodeAnchor(root), gas: '0xffff' }],
      })),
    );
    expect(sent.every(({ result }) => result !== undefined)).toBe(true);
    await chain.provider.send('evm_mine', []);
    const block = await chain.provider.getBlock('latest', true);
    expect(block?.length).toBe(250);
    for (const { data } of block?.prefetchedTransactions ?? []) {
      const existed = { time: block?.timestamp ?? 0, blockNumber: block?.number ?? 0 };
      // A root drawn twice keeps its first moment.
      if (!firstMoments.has(data)) firstMoments.set(data, { existed });
    }
  }
  await chain.provider.send('evm_setAutomine', [true]);
  const after = await ask(cases);
  expect(after, note).toEqual(cases.map(({ root }) => firstMoments.get(encodeAnchor(root))));
});

test('one flipped bit, a byte too many or too few reverts, as the path code has it', async () => {
  const whole = cases.filter(({ packed }) => packed.length > 0);
  expect(whole.length).toBeGreaterThan(PATHS / 2);
  const altered = {
    bitOfPath: whole.map(({ digest, packed, bit }) => ({ digest, packed: flipped(packed, bit) })),
    bitOfDigest: cases.map(({ digest, packed, bit }) => ({ digest: flipped(digest, bit), packed })),
    byteTooMany: cases.map(({ digest, packed, surplus }) => ({
      digest,
      packed: concat(packed, new Uint8Array([surplus])),
    })),
    byteTooFew: whole.map(({ digest, packed }) => ({ digest, packed: packed.slice(0, -1) })),
  };
  for (const [change, questions] of Object.entries(altered)) {
    const refusals = questions.map(({ digest, packed }) => expectedRefusal(digest, packed));
    expect(await ask(questions), `${change}, ${note}`).toEqual(refusals);
  }
});

test('the path of the format vector leads to its root', async () => {
  const vectors = JSON.parse(await readFile(join(import.meta.dirname, '../vectors/formats.json'), 'utf8'));
  const { path } = formatsVector.parse(vectors);
  const question = { digest: fromHex(path.digest), packed: fromHex(path.packed) };
  expect(await ask([question])).toEqual([{ error: 'RootNotAnchored', argument: `0x${path.root}` }]);
  const sent = await chain.wallet.sendTransaction({ to: ANCHOR_ADDRESS, data: encodeAnchor(fromHex(path.root)) });
  const block = await (await sent.wait())?.getBlock();
  expect(await ask([question])).toEqual([{ existed: { time: block?.timestamp, blockNumber: block?.number } }]);
});
