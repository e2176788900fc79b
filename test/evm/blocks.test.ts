// Real blocks, as nodes told them, rebuilt from JSON alone: which chains can be proven, and where not, why.

import { readdirSync, readFileSync } from 'node:fs';
import { brotliDecompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { AntequemError } from '../../src/core/errors.ts';
import { readHeader } from '../../src/core/evm-bytes.ts';
import { indexKey } from '../../src/core/evm-proof.ts';
import { keccak256 } from '../../src/core/keccak.ts';
import { decodeRlpList, encodeRlp } from '../../src/core/rlp.ts';
import { walkTrie } from '../../src/core/trie.ts';
import { type RebuiltBlock, rebuildBlock } from '../../src/evm/block.ts';
import { encodeHeader, unknownMembers } from '../../src/evm/header-json.ts';
import type { RawSource } from '../../src/evm/node.ts';
import { encodeReceipt } from '../../src/evm/receipt-json.ts';
import { encodeTransaction } from '../../src/evm/transaction-json.ts';
import { bytes, hex, outcomeOf, sealBlock, transactionOf } from '../support/blocks.ts';
import { seeded } from '../support/receipts.ts';

const FOLDER = new URL('../vectors/blocks/', import.meta.url);
const read = (file: string): unknown => {
  const content = readFileSync(new URL(file, FOLDER));
  return JSON.parse(String(file.endsWith('.br') ? brotliDecompressSync(content) : content));
};
const object = z.record(z.string(), z.unknown());
const fixtureForm = z.object({
  about: z.string(),
  /** Where the data was found. */
  source: z.string(),
  block: object.and(z.object({ hash: z.string() })),
  receipts: z.array(object).optional(),
});
type Fixture = z.infer<typeof fixtureForm>;

const headers = z.array(fixtureForm).parse(read('headers.json'));
const transactions = z
  .array(z.object({ about: z.string(), source: z.string(), transaction: object.and(z.object({ hash: z.string() })) }))
  .parse(read('transactions.json'));
const fixtures = readdirSync(FOLDER)
  .filter((file) => !['headers.json', 'transactions.json'].includes(file))
  .sort()
  .map((file) => fixtureForm.parse(read(file)));

/** A node that knows JSON alone. */
const jsonNode = ({ block, receipts }: Fixture): RawSource => ({
  name: 'node',
  ask: async (method, [param]) => {
    if (method === 'eth_getBlockByHash') return block;
    if (!/^eth_get.*Receipts?$/.test(method)) throw new AntequemError('rpc-refused', `${method} is not supported`);
    if (receipts === undefined) throw new AntequemError('rpc-failed', 'the receipts are not known');
    if (method === 'eth_getBlockReceipts') return receipts;
    return receipts.find(({ transactionHash }) => transactionHash === param) ?? null;
  },
});

/** Whether each transaction of the block, and its receipt, follows from the block's hash by its proof. */
function provesAll({ header, hashes, transactions: trie, receipts }: RebuiltBlock, hash: string): boolean {
  if (hex(keccak256(header)) !== hash) return false;
  const { transactionsRoot, receiptsRoot } = readHeader(header);
  return hashes.every((each, i) => {
    const transaction = walkTrie(transactionsRoot, indexKey(i), trie.prove(i));
    const receipt = walkTrie(receiptsRoot, indexKey(i), receipts.prove(i));
    return hex(keccak256(transaction)) === each && hex(receipt) === hex(receipts.value(i) ?? new Uint8Array(0));
  });
}

/** What of a block was rebuilt, by the code of what stopped it. */
const PARTS: Readonly<Record<string, readonly string[]>> = {
  'header-opaque': ['no', '', '', 'no'],
  'transactions-opaque': ['yes', 'no', '', 'no'],
  'receipts-opaque': ['yes', 'yes', 'no', 'no'],
  'rpc-failed': ['yes', 'yes', '', ''],
};

async function rowOf(fixture: Fixture): Promise<string> {
  const { hash, number } = fixture.block;
  const name = `${fixture.about}, block ${Number(number)}`;
  const cells = await rebuildBlock(jsonNode(fixture), hash).then(
    (rebuilt) => ['yes', 'yes', 'yes', provesAll(rebuilt, hash) ? 'yes' : 'no', ''],
    (error: unknown) => {
      if (!(error instanceof AntequemError)) throw error;
      const parts = PARTS[error.code];
      if (parts === undefined) throw error;
      const why = error.code === 'rpc-failed' ? 'its receipts were not found' : error.message;
      return [...parts, why.replaceAll(/0x[0-9a-f]{64}/g, '…')];
    },
  );
  return `| ${[name, ...cells].join(' | ')} |`;
}

test('the table of docs/chains.md is what becomes of real blocks', async () => {
  const rows = await Promise.all(fixtures.map(rowOf));
  const page = readFileSync(new URL('../../docs/chains.md', import.meta.url), 'utf8');
  const shown = page.split('\n').filter((line) => / block \d+ \|/.test(line));
  expect(shown.toSorted()).toEqual(rows.toSorted());
});

test.each(headers)('the header of $about hashes to its hash', ({ block }) => {
  const header = encodeHeader(block, bytes(block.hash));
  expect(header === null ? null : hex(keccak256(header))).toBe(block.hash);
  expect(unknownMembers(block)).toEqual([]);
  const { stateRoot, ...rest } = block;
  const other = { ...rest, stateRoot: hex(keccak256(bytes(z.string().parse(stateRoot)))) };
  expect(encodeHeader(other, bytes(block.hash))).toBeNull();
});

test('a node that shows fields of forks that its block is not of', () => {
  const [shanghai] = headers.filter(({ about }) => about.includes('Shanghai'));
  if (shanghai === undefined) throw new Error('no block');
  const { block } = shanghai;
  const zero = `0x${'00'.repeat(32)}`;
  const shown = { ...block, blobGasUsed: '0x0', excessBlobGas: '0x0', parentBeaconBlockRoot: zero, requestsHash: zero };
  expect(hex(keccak256(encodeHeader(shown, bytes(block.hash)) ?? new Uint8Array(0)))).toBe(block.hash);
});

test.each(transactions)('$about: the transaction hashes to its hash', ({ transaction }) => {
  const encoded = encodeTransaction(transaction);
  expect(encoded === null ? null : hex(keccak256(encoded))).toBe(transaction.hash);
});

test('the types of Arbitrum: their fields in the order in which its go-ethereum declares them', () => {
  const word = hex(seeded('word'));
  const [from, to, refund] = ['from', 'to', 'refund'].map((label) => hex(seeded(label).slice(0, 20)));
  const common = { chainId: '0xa4b1', from, to, nonce: '0x3', gas: '0x5208', value: '0x7', input: '0xabcd' };
  const chain = '0xa4b1';
  const call = ['0x5208', to, '0x07', '0xabcd'];
  const fees = { l1BaseFee: '0x4', depositValue: '0x5', retryValue: '0x0', maxSubmissionFee: '0x6' };
  const refunds = { ticketId: word, refundTo: refund, maxRefund: '0x1', submissionFeeRefund: '0x2' };
  const submission = {
    requestId: word,
    ...fees,
    retryTo: null,
    beneficiary: refund,
    refundTo: from,
    retryData: '0x01',
  };
  const cases: [type: string, told: object, fields: (string | undefined)[]][] = [
    ['0x64', { requestId: word }, [chain, word, from, to, '0x07']],
    ['0x65', { maxFeePerGas: '0x9' }, [chain, from, '0x03', '0x09', ...call]],
    ['0x66', { maxFeePerGas: '0x9', requestId: word }, [chain, word, from, '0x09', ...call]],
    ['0x68', { gasPrice: '0x9', ...refunds }, [chain, '0x03', from, '0x09', ...call, word, refund, '0x01', '0x02']],
    [
      '0x69',
      { gasPrice: '0x9', ...submission },
      [chain, word, from, '0x04', '0x05', '0x09', '0x5208', '0x', '0x', refund, '0x06', from, '0x01'],
    ],
    ['0x6a', {}, [chain, '0xabcd']],
  ];
  for (const [type, told, fields] of cases) {
    const encoded = encodeTransaction({ type, ...common, ...told });
    const expected = encodeRlp(fields.map((field) => bytes(field ?? '0x')));
    expect([type, encoded === null ? null : hex(encoded)]).toEqual([type, `${type}${hex(expected).slice(2)}`]);
    // A member that the type needs and the node does not tell: not encoded, and not guessed.
    expect(encodeTransaction({ type, ...common, ...told, chainId: undefined })).toBeNull();
  }
});

/** A block of our own making, as a node of Polygon tells it. */
function polygon(more: (hash: string, number: number) => Record<string, unknown>[], held: readonly Uint8Array[] = []) {
  const root = seeded('root');
  const values = [transactionOf(root, { type: 2 }), ...held];
  const sealed = sealBlock(values, [outcomeOf(root), ...held.map((value) => outcomeOf(root, { type: value[0] ?? 0 }))]);
  const own = values.map((value) => ({ hash: hex(keccak256(value)), type: `0x${(value[0] ?? 0).toString(16)}` }));
  const raw = new Map(values.map((value) => [hex(keccak256(value)), hex(value)]));
  const receipts = values.map((_, i) => hex(sealed.receipts.value(i) ?? new Uint8Array(0)));
  const source = (withRaw: boolean): RawSource => ({
    name: 'polygon',
    ask: async (method, [param]) => {
      if (method === 'eth_getBlockByHash') {
        return { hash: sealed.hash, transactions: [...own, ...more(sealed.hash, sealed.number)] };
      }
      if (method === 'debug_getRawHeader') return hex(sealed.header);
      if (method === 'debug_getRawReceipts') return receipts;
      if (method === 'eth_getTransactionReceipt') return { transactionHash: param, blockHash: sealed.hash };
      const known = raw.get(String(param));
      // The first is an ordinary transaction, which JSON would do for.
      if (known !== undefined && (withRaw || param === own[0]?.hash)) return known;
      throw new AntequemError('rpc-refused', 'no');
    },
  });
  return { sealed, own, source };
}

test('a state sync of Polygon before PIP-74 stands in neither trie', async () => {
  const { sealed, own, source } = polygon((hash, number) => {
    const key = `matic-bor-receipt-${Buffer.from(number.toString(16).padStart(16, '0'), 'hex').toString('latin1')}`;
    const sync = hex(keccak256(new Uint8Array([...Buffer.from(key, 'latin1'), ...bytes(hash)])));
    return [{ hash: sync, type: '0x0', from: `0x${'00'.repeat(20)}` }];
  });
  const rebuilt = await rebuildBlock(source(false), sealed.hash);
  expect(rebuilt.hashes).toEqual(own.map(({ hash }) => hash));
});

test('since PIP-74 it is a transaction, whose content only its bytes tell', async () => {
  const sync = new Uint8Array([0x7f, 0xc0]);
  const { sealed, source } = polygon(() => [], [sync]);
  expect((await rebuildBlock(source(true), sealed.hash)).hashes).toContain(hex(keccak256(sync)));
  await expect(rebuildBlock(source(false), sealed.hash)).rejects.toMatchObject({
    code: 'transactions-opaque',
    message: expect.stringContaining('type that is not known here (0x7f)'),
  });
});

test('receipts with more items than others: deposits of the OP stack since Canyon, and Celo’s', () => {
  const told = { status: '0x1', cumulativeGasUsed: '0x5208', logsBloom: `0x${'00'.repeat(256)}`, logs: [] };
  const more = (type: string, members: object): string[] => {
    const encoded = encodeReceipt({ ...told, type, ...members });
    expect(encoded?.[0]).toBe(Number(type));
    return decodeRlpList(encoded?.subarray(1) ?? new Uint8Array(0))
      .slice(4)
      .map((item) => (item instanceof Uint8Array ? hex(item) : 'a list'));
  };
  expect(more('0x7e', { depositNonce: '0x7', depositReceiptVersion: '0x1' })).toEqual(['0x07', '0x01']);
  expect(more('0x7e', { depositNonce: '0x7' })).toEqual([]);
  expect(more('0x7b', { baseFee: '0x1dcd6500' })).toEqual(['0x1dcd6500']);
  expect(more('0x7b', {})).toEqual([]);
  expect(more('0x2', { baseFee: '0x1', depositReceiptVersion: '0x1' })).toEqual([]);
});

test('receipts without a status: by their root, else by their logs', () => {
  const log = { address: `0x${'11'.repeat(20)}`, topics: [], data: '0x' };
  const told = { type: '0x2', cumulativeGasUsed: '0x5208', logsBloom: `0x${'00'.repeat(256)}`, logs: [log] };
  expect(encodeReceipt(told)).toEqual(encodeReceipt({ ...told, status: '0x1' }));
  expect(encodeReceipt({ ...told, root: `0x${'22'.repeat(32)}` })).not.toEqual(encodeReceipt(told));
  expect(encodeReceipt({ ...told, logs: [] })).toBeNull();
});
