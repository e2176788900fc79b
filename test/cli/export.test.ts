import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseReceipt } from '../../src/core/receipt.ts';
import { type TestService, testService } from '../support/service.ts';
import { run } from './command.ts';

const COUNT = 1_000;
let service: TestService;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'antequem-export-'));
  service = await testService();
  await service.send('PUT', '/v1/logs/demo');
  const lines = Array.from({ length: COUNT }, (_, i) => JSON.stringify({ verb: i % 2 === 0 ? 'get' : 'delete', i }));
  await service.send('POST', '/v1/logs/demo/entries?split=lines', { body: lines.join('\n') });
  await service.closeRound();
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const indices = (text: string): number[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line).index);

it('writes entries with their receipts, a line each', async () => {
  const { code, stdout, stderr } = await run(['export', 'demo', '--from', '990', '--url', service.url]);
  expect([code, stderr]).toEqual([0, '']);
  expect(indices(stdout)).toEqual([990, 991, 992, 993, 994, 995, 996, 997, 998, 999]);
  const [first = ''] = stdout.split('\n');
  const { payload, receipt } = JSON.parse(first);
  expect(payload).toEqual({ text: '{"verb":"get","i":990}' });
  expect(parseReceipt(receipt)).toMatchObject({ entry: { index: 990 }, round: { number: 1 } });
});

it('writes the selected entries to a file, and prints how many', async () => {
  const file = join(folder, 'found.ndjson');
  const args = ['export', 'demo', '--field', '/verb=delete', '--text', '"i":12', '--no-receipts', '-o', file, '--json'];
  const { code, stdout } = await run([...args, '--url', service.url]);
  expect(code).toBe(0);
  const expected = Array.from({ length: COUNT }, (_, i) => i).filter((i) => i % 2 === 1 && `${i}`.startsWith('12'));
  expect(indices(await readFile(file, 'utf8'))).toEqual(expected);
  expect(JSON.parse(stdout)).toMatchObject({ log: 'demo', file, entries: expected.length });
});

it('continues where a connection broke', async () => {
  let connections = 0;
  const { port } = new URL(service.url);
  // The first connections are cut once some of the answer has come through.
  const proxy: Server = createServer((client) => {
    const upstream = connect(Number(port), '127.0.0.1');
    let passed = 0;
    const cut = ++connections <= 2;
    for (const socket of [client, upstream]) socket.on('error', () => {});
    client.pipe(upstream);
    upstream.on('data', (chunk) => {
      client.write(chunk);
      passed += chunk.length;
      if (cut && passed > 300_000) client.destroy();
    });
    upstream.on('close', () => client.destroy());
    client.on('close', () => upstream.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const address = proxy.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  try {
    const { code, stdout, stderr } = await run(['export', 'demo', '--url', `http://127.0.0.1:${address.port}`]);
    expect(code).toBe(0);
    expect(indices(stdout)).toEqual(Array.from({ length: COUNT }, (_, i) => i));
    expect(connections).toBeGreaterThan(2);
    expect(stderr).toContain('trying again');
  } finally {
    proxy.close();
  }
});

it.each<[string, string[], string]>([
  ['a log that is not there', ['nowhere'], 'there is no log nowhere'],
  ['a field that is none', ['demo', '--field', 'verb'], 'field'],
  ['a file that cannot be written', ['demo', '-o', '/nowhere/at/all'], 'cannot write /nowhere/at/all'],
])('tells of %s', async (_, args, message) => {
  const { code, stderr } = await run(['export', ...args, '--url', service.url]);
  expect(code).toBe(1);
  expect(stderr).toContain(message);
});
