import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sha256 } from '#sha256';
import { toHex } from '../../src/core/bytes.ts';
import { formatTlogProof, receiptTlogProof } from '../../src/core/tlog-proof.ts';
import { provenReceipt } from '../support/receipts.ts';
import { run } from './command.ts';
import { serveChain } from './node.ts';

const { receipt, payload, log, local, anchor } = provenReceipt();
let folder: string;
let file: string;
let receiptFile: string;
let node: Awaited<ReturnType<typeof serveChain>>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verify-'));
  file = join(folder, 'line');
  receiptFile = join(folder, 'r.json');
  await writeFile(file, payload);
  await writeFile(receiptFile, JSON.stringify(receipt));
  node = await serveChain(local);
});

afterEach(async () => {
  await node.stop();
  await rm(folder, { recursive: true, force: true });
});

const verify = (...args: string[]) => run(['verify', ...args]);

test('proven: exit 0, and the first line says what is proven', async () => {
  const { code, stdout, stderr } = await verify(file, receiptFile, '--key', log.verifierKey, '--rpc', node.url);
  const lines = stdout.split('\n');
  expect(lines[0]).toBe(`proven: existed before ${anchor.block.time} on eip155:31337 block ${anchor.block.number}`);
  expect(lines[1]).toBe('a test chain: anyone can make its blocks, so this proves nothing to others');
  expect(lines.filter((line) => line.startsWith('  ✓')).map((line) => line.trim().split(/\s+/)[1])).toEqual(
    expect.arrayContaining(['content', 'position', 'checkpoint', 'round', 'anchor']),
  );
  expect(stdout).toMatch(/✓ anchor .* \[rpc\]/);
  expect(stdout).toMatch(/✓ checkpoint .* \[key\]/);
  expect(stderr).toBe('');
  expect(code).toBe(0);
});

test('a chain whose node names no final block: unproven, until the user says how many blocks make final', async () => {
  // The anchor's block and one on top.
  const untold = await serveChain(local, { namesFinal: false });
  try {
    const rpc = ['--rpc', untold.url];
    const without = await verify(file, receiptFile, ...rpc);
    expect(without.stdout + without.stderr).toContain('--confirmations');
    expect(without.code).toBe(2);
    const proven = await verify(file, receiptFile, ...rpc, '--confirmations', '2');
    expect(proven.stdout).toContain('(final after 2 blocks where it names none)');
    expect(proven.code).toBe(0);
    expect((await verify(file, receiptFile, ...rpc, '--confirmations', '3')).code).toBe(2);
    expect((await verify(file, receiptFile, ...rpc, '--confirmations', '0')).code).toBe(3);
  } finally {
    await untold.stop();
  }
});

test('the payload as text, as a digest or on standard input gives the same verdict as the file', async () => {
  const rpc = ['--rpc', node.url];
  const text = Buffer.from(payload).toString();
  expect((await verify(receiptFile, '--line', text, ...rpc)).code).toBe(0);
  expect((await verify(receiptFile, '--digest', toHex(sha256(payload)), ...rpc)).code).toBe(0);
  expect((await run(['verify', '-', receiptFile, ...rpc], { input: text })).code).toBe(0);
  expect((await run(['verify', file, '-', ...rpc], { input: JSON.stringify(receipt) })).code).toBe(0);
});

test('one of the two files is enough if the other is beside it', async () => {
  await writeFile(`${file}.receipt.json`, JSON.stringify(receipt));
  for (const named of [file, `${file}.receipt.json`]) {
    const { code, stderr } = await verify(named, '--rpc', node.url);
    expect([code, stderr]).toEqual([0, expect.stringContaining(`verifying ${file} with ${file}.receipt.json\n`)]);
  }
  expect(await verify(receiptFile)).toMatchObject({
    code: 3,
    stderr: `error: there is no ${receiptFile}.receipt.json or ${receiptFile}.ots: give FILE and its RECEIPT or FILE.ots\n`,
  });
});

test('a receipt as shells and editors of Windows write it, and a digest in capitals', async () => {
  const text = JSON.stringify(receipt, null, 2).replaceAll('\n', '\r\n');
  const utf16 = Buffer.from(`\uFEFF${text}`, 'utf16le');
  const forms = [Buffer.from(`\uFEFF${text}`), utf16, utf16.subarray(2), Buffer.from(utf16).swap16()];
  const digest = toHex(sha256(payload)).toUpperCase();
  for (const form of forms) {
    await writeFile(receiptFile, form);
    expect((await verify(receiptFile, '--digest', digest, '--rpc', node.url)).code).toBe(0);
  }
  const proof = join(folder, 'line.tlog-proof');
  await writeFile(proof, formatTlogProof(receiptTlogProof(receipt)).replaceAll('\n', '\r\n'));
  const { code, stdout } = await verify(file, proof, '--key', log.verifierKey);
  expect([code, stdout.match(/✓ (content|position|checkpoint)/g)]).toEqual([
    2,
    ['✓ content', '✓ position', '✓ checkpoint'],
  ]);
});

test('a receipt that can be read in two ways is refused, and not refuted', async () => {
  await writeFile(receiptFile, JSON.stringify(receipt).replace('"index":', '"index":0,"index":'));
  const { code, stdout } = await verify(file, receiptFile, '--rpc', node.url);
  expect([code, stdout]).toEqual([2, expect.stringMatching(/has the member "index" twice/)]);
});

test('unproven: exit 2, and what would prove it', async () => {
  const { code, stdout, stderr } = await verify(file, receiptFile);
  expect(stdout).toMatch(/^unproven: nothing contradicts it/);
  expect(stderr).toContain('--rpc URL');
  expect(code).toBe(2);
});

test('refuted: exit 1, and the reason', async () => {
  const { code, stdout } = await verify(receiptFile, '--line', 'another', '--rpc', node.url);
  expect(stdout).toMatch(/^refuted: .*about something else/);
  expect(stdout).toContain(
    '\nthe marks below concern the receipt itself: the content is still not the one it is about\n',
  );
  expect(code).toBe(1);
});

test('the verdict as one JSON document, with the same code', async () => {
  for (const [args, result, exit] of [
    [['--line', Buffer.from(payload).toString(), '--rpc', node.url], 'proven', 0],
    [['--line', 'another'], 'refuted', 1],
    [['--line', Buffer.from(payload).toString()], 'unproven', 2],
  ] as const) {
    const { code, stdout } = await verify(receiptFile, ...args, '--json');
    expect(JSON.parse(stdout)).toMatchObject({ format: 'antequem-verdict/v1', result });
    expect(code).toBe(exit);
  }
});

test('a command that could not run has its own exit code, 3', async () => {
  await writeFile(join(folder, 'other.json'), '{"format":"something else"}');
  await writeFile(join(folder, 'broken.json'), '{');
  for (const args of [
    [join(folder, 'none'), receiptFile],
    [file, join(folder, 'none')],
    [file, join(folder, 'other.json')],
    [file, join(folder, 'broken.json')],
    [file, receiptFile, '--key', 'no key'],
    [file, receiptFile, '--rpc', 'not a url'],
    [file, receiptFile, '--unknown'],
    [file, receiptFile, '--line', 'both'],
    [file],
    [],
  ]) {
    const { code, stdout, stderr } = await verify(...args);
    expect(stderr, args.join(' ')).toMatch(/^error: [^\n]+\n/);
    expect(stdout).toBe('');
    expect(code, args.join(' ')).toBe(3);
  }
});

test('a node that does not answer proves nothing', async () => {
  const { code, stdout } = await verify(file, receiptFile, '--rpc', 'http://127.0.0.1:1');
  expect(stdout).toMatch(/^unproven/);
  expect(code).toBe(2);
});
