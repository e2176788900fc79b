import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatTlogProof, receiptTlogProof } from '../../src/core/tlog-proof.ts';
import { anchorAmong } from '../support/blocks.ts';
import { MemoryLog, MemoryRound } from '../support/receipts.ts';
import { TestWitness } from '../support/witness.ts';
import { run } from './command.ts';

const log = new MemoryLog('payments');
for (let i = 0; i < 8; i++) log.append(`line ${i}`);
const round = new MemoryRound([log]);
const anchor = anchorAmong(round.root);
const receipts = Array.from({ length: 8 }, (_, i) => JSON.stringify(round.receipt(log, i, [anchor])));
const lines = Array.from({ length: 8 }, (_, i) => `line ${i}`);
const trust = ['--key', log.verifierKey, '--block-hash', anchor.block.hash];
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'verify-many-'));
});
afterAll(() => rm(folder, { recursive: true }));

const save = async (name: string, text: string): Promise<string> => {
  await writeFile(join(folder, name), text);
  return name;
};
const verify = (...args: string[]) => run(['verify', ...args], { cwd: folder });

test('a receipt on each line, with its content: receipts that are not proven are reported', async () => {
  const all = await save('all.ndjson', `${receipts.join('\n')}\n\n`);
  const content = await save('app.log', lines.join('\n'));
  expect(await verify('--many', content, all, ...trust)).toEqual({
    code: 0,
    stdout: '',
    stderr: '8 receipts: 8 proven, 0 unproven, 0 refuted\n',
  });
  const wrong = await save('wrong.log', lines.with(4, 'another').join('\n'));
  const found = await verify('--many', wrong, all, ...trust);
  expect([found.code, found.stderr]).toEqual([1, '8 receipts: 7 proven, 0 unproven, 1 refuted\n']);
  expect(found.stdout).toMatch(
    /^5: refuted: The SHA-256 digest of the given content is not the one in the receipt.*\n$/,
  );
});

test('blank lines are skipped however long they are, in the content and among the receipts', async () => {
  const spaced = (each: readonly string[]): string => each.flatMap((line) => [line, ' '.repeat(65), '\t\r']).join('\n');
  const all = await save('spaced.ndjson', spaced(receipts));
  const content = await save('spaced.log', spaced(lines));
  expect((await verify('--many', content, all, ...trust)).stderr).toBe('8 receipts: 8 proven, 0 unproven, 0 refuted\n');
});

test('receipts in UTF-16, with a mark or without, and contents as they are', async () => {
  const content = await save('utf16.log', lines.join('\n'));
  const text = `${receipts.join('\r\n')}\r\n`;
  const little = Buffer.from(text, 'utf16le');
  const forms = [little, Buffer.from(`\uFEFF${text}`, 'utf16le'), Buffer.from(`\uFEFF${text}`, 'utf16le').swap16()];
  for (const bytes of [...forms, Buffer.from(`\uFEFF${text}`)]) {
    await writeFile(join(folder, 'utf16.ndjson'), bytes);
    const { code, stderr } = await verify('--many', content, 'utf16.ndjson', ...trust);
    expect([code, stderr]).toEqual([0, '8 receipts: 8 proven, 0 unproven, 0 refuted\n']);
  }
});

test('without content, without sources, and as JSON', async () => {
  const mixed = await save('mixed.ndjson', `${receipts[0]}\nnot json\n{"format":"antequem-receipt/v1"}`);
  const { code, stdout, stderr } = await verify('--many', mixed, '--json');
  const told = stdout
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  expect(told).toMatchObject([
    { line: 1, verdict: { result: 'unproven' } },
    { line: 2, error: 'not a receipt: the text is not JSON' },
    { line: 3, verdict: { result: 'refuted' } },
  ]);
  expect([code, stderr]).toEqual([1, '3 receipts: 0 proven, 1 unproven, 2 refuted\n']);
  expect((await verify('--many', await save('one.ndjson', receipts[0] ?? ''))).code).toBe(2);
});

test.each([
  [['empty.ndjson'], 'empty.ndjson contains no receipt'],
  [['one.log', 'two.ndjson'], 'two.ndjson and one.log have different numbers of lines: one.log ends first'],
  [['three.log', 'two.ndjson'], 'two.ndjson and three.log have different numbers of lines: two.ndjson ends first'],
  [['nowhere.ndjson'], 'cannot read nowhere.ndjson'],
  [['a', 'b', 'c'], 'with --many give RECEIPTS, or LINES and RECEIPTS'],
])('could not run: %j', async (files, says) => {
  await save('empty.ndjson', '\n \n');
  await save('two.ndjson', receipts.slice(0, 2).join('\n'));
  await save('one.log', 'line 0\n');
  await save('three.log', 'line 0\nline 1\nline 2\n');
  const { code, stderr } = await verify('--many', ...files);
  expect(code).toBe(3);
  expect(stderr).toContain(says);
});

test('a tlog-proof, by the key of the log and by a policy with its witnesses', async () => {
  const proof = await save('p.tlog-proof', formatTlogProof(receiptTlogProof(JSON.parse(receipts[3] ?? ''))));
  const one = await verify('--line', 'line 3', proof, '--key', log.verifierKey);
  expect(one.code).toBe(2);
  expect(one.stdout).toContain('✓ position');
  expect(one.stderr).toBe(
    "this proves an entry's place in the log but not its time: the receipt in JSON proves both\n",
  );
  const { vkey } = new TestWitness('north.example', join(folder, 'state'));
  const policy = await save('policy', `log ${log.verifierKey}\nwitness north ${vkey}\nquorum north\n`);
  const two = await verify('--line', 'line 3', proof, '--policy', policy);
  expect(two.stdout).toContain('of the 1 in the given policy: none; the policy asks for more');
  expect(two.stdout).toContain('✓ checkpoint  The checkpoint was signed with the given key');
  const bad = await verify('--line', 'line 3', proof, '--policy', await save('bad', 'quorum\n'));
  expect([bad.code, bad.stderr]).toEqual([
    3,
    expect.stringContaining('not a policy: line 1: not of the form: quorum <name>'),
  ]);
});
