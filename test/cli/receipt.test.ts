import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Interface } from 'ethers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { type CoseReceipt, encodeCoseReceipt } from '../../src/core/cose-receipt.ts';
import { unpackPath, walkPath } from '../../src/core/path.ts';
import { formatTlogProof, receiptTlogProof } from '../../src/core/tlog-proof.ts';
import { MemoryLog, MemoryRound, provenReceipt, seeded } from '../support/receipts.ts';
import { run } from './command.ts';
import { TestService } from './service.ts';

const { receipt, log, anchor, round } = provenReceipt();
const index = receipt.entry.index;
let service: TestService;
let folder: string;

beforeEach(async () => {
  service = new TestService();
  await service.start();
  service.logs.set('payments', []);
  folder = await mkdtemp(join(tmpdir(), 'receipt-'));
});

afterEach(async () => {
  await service.stop();
  await rm(folder, { recursive: true, force: true });
});

const at = (...args: string[]) => run([...args, '--url', service.url], { cwd: folder });
const saved = async (file: string): Promise<unknown> => JSON.parse(await readFile(join(folder, file), 'utf8'));
const save = (file: string, json: unknown): Promise<void> => writeFile(join(folder, file), JSON.stringify(json));

test("receipt prints the service's current receipt, or writes it to a file", async () => {
  service.receipt = () => receipt;
  const printed = await at('receipt', 'payments', String(index));
  expect(JSON.parse(printed.stdout)).toEqual(receipt);
  expect(printed.stderr).toContain('anchored and final');
  const written = await at('receipt', 'payments', String(index), '-o', 'r.json');
  expect(written).toMatchObject({ code: 0, stdout: '' });
  expect(await saved('r.json')).toEqual(receipt);
  expect(await readdir(folder)).toEqual(['r.json']);
});

test('receipt --tlog-proof prints the proof for stock tools, or writes it to a file', async () => {
  const proof = formatTlogProof(receiptTlogProof(receipt));
  service.tlogProof = () => proof;
  const printed = await at('receipt', 'payments', String(index), '--tlog-proof');
  expect(printed).toMatchObject({ code: 0, stdout: proof });
  expect(printed.stderr).toBe(`entry ${index} of payments in its tree of 13, which 0 witnesses have signed\n`);
  const written = await at('receipt', 'payments', String(index), '--tlog-proof', '-o', 'p.tlog-proof', '--json');
  expect(JSON.parse(written.stdout)).toEqual({
    log: 'payments',
    index,
    file: 'p.tlog-proof',
    treeSize: 13,
    witnesses: 0,
  });
  expect(await readFile(join(folder, 'p.tlog-proof'), 'utf8')).toBe(proof);
  expect(service.requests[0]?.url).toBe(`/v1/logs/payments/entries/${index}/receipt.tlog-proof`);
});

test('receipt --tlog-proof never waits, and rejects an answer that is not a proof', async () => {
  const waited = await at('receipt', 'payments', '0', '--tlog-proof', '--wait', '5');
  expect([waited.code, waited.stderr]).toEqual([1, 'error: a tlog-proof does not take --wait or --until\n']);
  service.tlogProof = () => 'c2sp.org/tlog-proof@v1\n';
  const broken = await at('receipt', 'payments', '0', '--tlog-proof', '-o', 'p.tlog-proof');
  expect([broken.code, broken.stderr]).toEqual([1, 'error: not a tlog-proof: no blank line before the checkpoint\n']);
  expect(await readdir(folder)).toEqual([]);
});

test('receipt --format cose writes the receipt of the entry that was asked for, and of no other', async () => {
  const made = (changed: Partial<CoseReceipt> = {}): Uint8Array =>
    encodeCoseReceipt({
      keyId: seeded('key'),
      issuer: 'log.example.org',
      log: receipt.entry.log,
      proof: { kind: 'inclusion', treeSize: 13, index, path: receipt.inclusion.path.map(fromHex) },
      signature: new Uint8Array(64),
      entry: null,
      ...changed,
    });
  const ask = (...args: string[]) => at('receipt', 'payments', String(index), ...args);
  service.cose = () => made();
  const written = await ask('-o', 'r.cose', '--json');
  expect(JSON.parse(written.stdout)).toEqual({ log: 'payments', index, file: 'r.cose', treeSize: 13 });
  expect(new Uint8Array(await readFile(join(folder, 'r.cose')))).toEqual(made());
  expect((await ask('--format', 'cose', '-o', 'r.cose', '--without-entry')).code).toBe(0);
  const urls = service.requests.map(({ url }) => url.slice(url.indexOf('receipt')));
  expect(urls).toEqual(['receipt.cose?entry=true', 'receipt.cose?entry=false']);

  service.cose = () => made({ log: 'log.example.org/logs/other' });
  expect((await ask('-o', 'other.cose')).stderr).toContain('do not trust it');
  service.cose = () => seeded('noise');
  expect((await ask('-o', 'other.cose')).stderr).toContain('not a COSE receipt');
  expect((await ask('--format', 'cose', '--ots')).stderr).toContain('give one format, not cose and ots');
  expect((await ask('--format', 'cose', '--wait', '5', '-o', 'other.cose')).stderr).toContain('does not take --wait');
  expect(await readdir(folder)).toEqual(['r.cose']);
});

test('receipt waits for the requested stage, over several requests', async () => {
  let asked = 0;
  service.receipt = () => (asked++ < 2 ? log.receipt(index) : receipt);
  const { code, stdout } = await at('receipt', 'payments', String(index), '--until', 'finalized', '--wait', '30');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual(receipt);
  expect(asked).toBe(3);
  expect(service.requests[0]?.url).toMatch(/\/receipt\?wait=30&until=finalized$/);
});

test('a stage not reached in time: exit 2, with the current receipt', async () => {
  service.receipt = () => ({ ...log.receipt(index), expectedBy: '2026-07-01T00:00:05.000Z' });
  const { code, stdout, stderr } = await at('receipt', 'payments', String(index), '--until', 'round', '--wait', '1');
  expect(code).toBe(2);
  expect(JSON.parse(stdout)).toMatchObject({ entry: receipt.entry });
  expect(stderr).toContain('its round has not closed yet; expected by 2026-07-01T00:00:05.000Z');
});

test('receipt --until stored: by the path in the receipt, else by what the service says of the round itself', async () => {
  const wait = ['receipt', 'payments', String(index), '--until', 'stored', '--wait'];
  service.receipt = () => receipt;
  expect((await at(...wait, '0')).code).toBe(2);
  let asked = 0;
  service.stored = () => (asked++ < 1 ? null : { round: receipt.round.number });
  const own = await at(...wait, '30', '-o', 'r.json', '--json');
  expect(JSON.parse(own.stdout)).toMatchObject({ until: 'stored', reached: true });
  expect(service.requests.map(({ url }) => url)).toContain(
    `/v1/logs/payments/entries/${index}/receipt?wait=30&until=stored`,
  );
  service.stored = () => null;
  service.receipt = () => ({
    ...receipt,
    storedPath: { chain: 'eip155:1', round: receipt.round.number + 1, path: '0x0000' },
  });
  expect((await at(...wait, '30')).code).toBe(0);
});

test('an answer that is not a receipt is refused', async () => {
  service.receipt = () => ({ ...receipt, entry: { ...receipt.entry, index: -1 } });
  const { code, stdout, stderr } = await at('receipt', 'payments', '5');
  expect(code).toBe(1);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^error: not a receipt .*entry\.index/);
});

test('path: the packed path leads from the digest to the root, and the calldata is what the contract takes', async () => {
  await save('r.json', receipt);
  const { code, stdout } = await run(['path', join(folder, 'r.json'), '--json']);
  expect(code).toBe(0);
  const answer = JSON.parse(stdout);
  const path = answer.path.slice(2);
  expect(answer.digest).toBe(receipt.entry.digest);
  expect(toHex(walkPath(fromHex(answer.digest), unpackPath(fromHex(path))))).toBe(receipt.round.root);
  expect(answer.root).toBe(receipt.round.root);
  const contract = new Interface(['function existedBefore(bytes32 digest, bytes path) view returns (uint64, uint64)']);
  expect(answer.calldata).toBe(contract.encodeFunctionData('existedBefore', [`0x${answer.digest}`, answer.path]));

  await save('pending.json', log.receipt(index));
  const pending = await run(['path', join(folder, 'pending.json')]);
  expect(pending.code).toBe(1);
  expect(pending.stderr).toContain('has not closed yet');
});

test('stamp sends only digests and writes a receipt beside each file, once', async () => {
  const stamps = new MemoryLog('stamps');
  const files = ['a.bin', 'b.bin'];
  for (const file of files) {
    await writeFile(join(folder, file), `content of ${file}`);
    stamps.append(`content of ${file}`);
  }
  service.receipt = (_, i) => new MemoryRound([stamps]).receipt(stamps, i, [anchor]);
  const { code, stdout } = await at('stamp', ...files);
  expect(code).toBe(0);
  expect(stdout).toContain('a.bin.receipt.json: entry 0 of stamps is in round 1, anchored and final');
  const digests = files.map((file) => createHash('sha256').update(`content of ${file}`).digest('hex'));
  expect(service.logs.get('stamps')).toEqual(digests);
  for (const [i, file] of files.entries()) {
    expect(await saved(`${file}.receipt.json`)).toMatchObject({ entry: { index: i, digest: digests[i] } });
  }

  const again = await at('stamp', 'a.bin');
  expect(again.code).toBe(1);
  expect(again.stderr).toMatch(/^error: a\.bin\.receipt\.json already exists;.*--force/);
  expect(service.logs.get('stamps')).toHaveLength(2);
  stamps.append('content of a.bin');
  const forced = await at('stamp', 'a.bin', '--force', '--json');
  expect(JSON.parse(forced.stdout)).toEqual({
    log: 'stamps',
    stamps: [{ file: 'a.bin', digest: digests[0], index: 2, receipt: 'a.bin.receipt.json', finalized: true }],
  });
});

test('stamp rejects a receipt with another digest', async () => {
  await writeFile(join(folder, 'a.bin'), 'a');
  service.receipt = () => receipt;
  const { code, stderr } = await at('stamp', 'a.bin');
  expect(code).toBe(1);
  expect(stderr).toContain('has another digest than a.bin');
  expect(await readdir(folder)).toEqual(['a.bin']);
});

test('upgrade: a receipt gains its round and anchors if a consistency proof connects it to the old one', async () => {
  await save('r.json', log.receipt(index, 8));
  service.receipt = () => receipt;
  service.consistency = (from, to) => ({ path: log.tree.consistencyPath(from, to).map(toHex) });
  const { code, stdout } = await at('upgrade', 'r.json');
  expect(stdout).toContain('r.json: upgraded, entry 5 of payments is in round 7, anchored and final');
  expect(code).toBe(0);
  expect(await saved('r.json')).toEqual(receipt);
  expect((await at('upgrade', 'r.json')).stdout).toContain('nothing new');
});

test('upgrade: where an anchor is in another block now, the receipt of before is kept', async () => {
  const elsewhere = {
    ...anchor,
    block: { ...anchor.block, number: anchor.block.number + 9, hash: `0x${'5c'.repeat(32)}` },
  };
  const { proof: _, ...moved } = elsewhere;
  await save('r.json', receipt);
  service.receipt = () => round.receipt(log, index, [moved]);
  service.consistency = () => ({ path: [] });
  const { code, stderr } = await at('upgrade', 'r.json');
  expect(code).toBe(0);
  expect(stderr).toContain(
    `the anchor in block ${anchor.block.number} of ${anchor.chain} is in another block now: the receipt of before is kept as r.json.bak`,
  );
  expect(await saved('r.json.bak')).toEqual(receipt);
  expect(JSON.stringify(await saved('r.json'))).toContain(elsewhere.block.hash);
});

test('upgrade: without such a proof both receipts are kept, and the contradiction is reported', async () => {
  const old = log.receipt(index, 8);
  await save('r.json', old);
  service.receipt = () => receipt;
  service.consistency = () => ({ path: [] });
  const { code, stderr } = await at('upgrade', 'r.json');
  expect(code).toBe(1);
  expect(stderr).toMatch(/^error: .*showed trees of 8 and 13 entries/);
  expect(await saved('r.json')).toEqual(old);
  expect(await saved('r.json.conflict.json')).toEqual(round.receipt(log, index, [anchor]));
});
