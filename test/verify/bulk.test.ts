// Many receipts, and whatever proves something: the functions for the outside.

import { describe, expect, test } from 'vitest';
import { toHex, utf8 } from '../../src/core/bytes.ts';
import { MerkleTree } from '../../src/core/merkle.ts';
import { verifyInclusion } from '../../src/core/proof.ts';
import { formatTlogProof, receiptTlogProof } from '../../src/core/tlog-proof.ts';
import { TreeMemory } from '../../src/verify/tree-memory.ts';
import { type ReceiptAnswer, type Trust, verify, verifyReceipt, verifyReceipts } from '../../src/verify/verify.ts';
import { example } from '../ots/examples.ts';
import { MemoryChain, MemoryLog, MemoryRound, provenReceipt, seeded } from '../support/receipts.ts';

const { receipt, payload, log, local } = provenReceipt();
const trust = { key: log.verifierKey, evm: [local] };

async function all(inputs: Parameters<typeof verifyReceipts>[0], by: Trust = trust) {
  const answers: ReceiptAnswer[] = [];
  for await (const answer of verifyReceipts(inputs, by)) answers.push(answer);
  return answers;
}

describe('many receipts', () => {
  test('each get the verdict they would get alone, in order, what is none among them', async () => {
    const inputs = [
      { receipt, payload },
      { receipt: { format: 'antequem-receipt/v1' } },
      { receipt: 'no receipt' },
      { receipt, payload: utf8('other') },
      { receipt },
    ];
    const answers = await all(inputs);
    expect(answers.map((answer) => ('verdict' in answer ? answer.verdict.result : answer.error.code))).toEqual([
      'proven',
      'refuted',
      'receipt-invalid',
      'refuted',
      'proven',
    ]);
    for (const [i, answer] of answers.entries()) {
      if ('verdict' in answer)
        expect(answer.verdict).toEqual(await verifyReceipt(inputs[i] ?? { receipt: null }, trust));
    }
  });

  test('may come one by one, and none are no work', async () => {
    async function* later() {
      yield { receipt, payload };
      await Promise.resolve();
      yield { receipt, payload };
    }
    expect(await all(later())).toHaveLength(2);
    expect(await all([])).toEqual([]);
    await expect(all([{ receipt }], { key: 'none' })).rejects.toMatchObject({ code: 'verifier-key' });
  });

  test('ask each source once for what they share', async () => {
    const logs = ['a', 'b'].map((name) => new MemoryLog(name));
    for (const each of logs) for (let i = 0; i < 20; i++) each.append(`${i}`);
    const chain = new MemoryChain();
    chain.mine();
    const round = new MemoryRound(logs, { beacons: [chain.beacon()] });
    const anchor = chain.anchor(round.root);
    chain.mine();
    let questions = 0;
    const counted = new Proxy(chain, {
      get: (target, name) => {
        if (['transaction', 'block', 'finalized', 'chainId'].includes(String(name))) questions++;
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const receipts = logs.flatMap((each) => Array.from({ length: 20 }, (_, i) => round.receipt(each, i, [anchor])));
    const first = (await all([{ receipt: receipts[0] }], { evm: [counted] })).length;
    const once = questions;
    questions = 0;
    const answers = await all(
      receipts.map((each) => ({ receipt: each })),
      { evm: [counted] },
    );
    expect(first).toBe(1);
    // A log is a checkpoint of its own.
    expect(questions).toBe(2 * once - 1);
    expect(answers.every((answer) => 'verdict' in answer && answer.verdict.result === 'proven')).toBe(true);
  });

  test('of three hundred checkpoints, more than are remembered', async () => {
    const large = new MemoryLog('payments');
    for (let i = 0; i < 300; i++) large.append(`${i}`);
    const inputs = Array.from({ length: 300 }, (_, i) => ({ receipt: large.receipt(i, i + 1), payload: utf8(`${i}`) }));
    const answers = await all([...inputs, ...inputs], {});
    expect(answers.every((answer) => 'verdict' in answer && answer.verdict.result === 'unproven')).toBe(true);
  });
});

describe('the memory of a tree', () => {
  const SIZES = [1, 2, 3, 5, 8, 13, 31, 64, 65, 100];
  const leaf = (i: number): Uint8Array => seeded(`leaf ${i}`);
  const treeOf = (size: number): MerkleTree =>
    new MerkleTree(Uint8Array.from(Buffer.concat(Array.from({ length: size }, (_, i) => leaf(i)))));

  test.each(SIZES)(
    'says of every path of a tree of %i, and of every path with one hash changed, what hashing says',
    (size) => {
      const tree = treeOf(size);
      const memory = new TreeMemory(size, tree.root());
      for (let turn = 0; turn < 2; turn++) {
        for (let index = 0; index < size; index++) {
          const path = tree.inclusionPath(index);
          expect(memory.holds(leaf(index), index, path.map(toHex))).toBe(true);
          for (let i = 0; i < path.length; i++) {
            const wrong = path.map((hash, n) => (n === i ? leaf(1_000 + i) : hash));
            expect(verifyInclusion(leaf(index), index, size, wrong, tree.root())).toBe(false);
            expect(memory.holds(leaf(index), index, wrong.map(toHex))).toBe(false);
          }
          expect(memory.holds(leaf(index + 1), index, path.map(toHex))).toBe(false);
          expect(memory.holds(leaf(index), index + 1, path.map(toHex))).toBe(false);
          expect(memory.holds(leaf(index), index, [...path, leaf(0)].map(toHex))).toBe(false);
          if (path.length > 0) expect(memory.holds(leaf(index), index, path.slice(1).map(toHex))).toBe(false);
        }
      }
    },
  );

  test('takes nothing from what does not hold', () => {
    const tree = treeOf(8);
    const memory = new TreeMemory(8, tree.root());
    const wrong = tree.inclusionPath(3).map((hash, i) => (i === 1 ? leaf(99) : hash));
    expect(memory.holds(leaf(3), 3, wrong.map(toHex))).toBe(false);
    expect(memory.holds(leaf(3), 3, tree.inclusionPath(3).map(toHex))).toBe(true);
    expect(memory.holds(leaf(2), 2, tree.inclusionPath(2).map(toHex))).toBe(true);
  });
});

describe('one function for whatever proves something', () => {
  const text = JSON.stringify(receipt);
  test.each<[string, unknown]>([
    ['the JSON of a receipt', receipt],
    ['its text', text],
    ['its bytes', utf8(text)],
  ])('%s', async (_, proof) => {
    expect(await verify({ proof, payload }, trust)).toEqual(await verifyReceipt({ receipt, payload }, trust));
  });

  test('a tlog-proof, as text and as bytes', async () => {
    const proof = formatTlogProof(receiptTlogProof(receipt));
    for (const each of [proof, utf8(proof)]) {
      const { result, claims } = await verify({ proof: each, payload }, trust);
      expect([result, claims[1]?.code]).toEqual(['unproven', 'position-by-key']);
    }
  });

  test('an .ots file', async () => {
    const { claims } = await verify({ proof: example('hello-world.txt.ots'), payload: utf8('Hello World!\n') }, {});
    expect(claims.map(({ code }) => code)).toContain('content-matches');
  });

  test.each([
    null,
    7,
    '',
    '{',
    '[]',
    'text',
    new Uint8Array(0),
    new Uint8Array([0xff, 0xfe]),
    { format: 'other' },
    '['.repeat(50),
  ])('what is none of them is an error: %j', async (proof) => {
    await expect(verify({ proof }, {})).rejects.toMatchObject({
      code: 'proof-unknown',
      message: expect.stringMatching(
        /^neither a receipt, nor an \.ots file, nor a tlog-proof, nor a COSE receipt, nor a token \(/,
      ),
    });
  });
});
