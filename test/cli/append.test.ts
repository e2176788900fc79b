import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { run, start } from './command.ts';
import { type Fault, TestService } from './service.ts';

let service: TestService;
let folder: string;

beforeEach(async () => {
  service = new TestService();
  await service.start();
  folder = await mkdtemp(join(tmpdir(), 'append-'));
});

afterEach(async () => {
  await service.stop();
  await rm(folder, { recursive: true, force: true });
});

async function fileOf(content: string | Buffer): Promise<string> {
  const file = join(folder, 'app.log');
  await writeFile(file, content);
  return file;
}

const append = (...args: string[]) => run(['append', 'demo', ...args, '--url', service.url], { cwd: folder });

test('each line of a file is an entry, byte for byte, in order; the log is created', async () => {
  const lines = Array.from({ length: 1234 }, (_, i) => `line ${i} \xff\x00\t`);
  const file = await fileOf(Buffer.from(`${lines.join('\n')}\n\n\ncarriage\r\nlast`, 'latin1'));
  const { code, stdout, stderr } = await append(file, '--batch', '100');
  expect(stderr).toContain('created the log demo');
  expect(stdout).toBe('appended 1,236 entries to demo: first index 0, last index 1235\n');
  expect(stderr).toContain('next: antequem receipt demo 0');
  expect(code).toBe(0);
  expect(service.logs.get('demo')).toEqual([...lines, 'carriage\r', 'last']);
});

test('a log is created even if its first batch has the maximum size', async () => {
  const lines = Array.from({ length: 9000 }, (_, i) => `${i} ${'x'.repeat(900)}`);
  const { code } = await append(await fileOf(lines.join('\n')), '--batch', '10000', '--batch-bytes', String(8 << 20));
  expect(code).toBe(0);
  expect(service.logs.get('demo')).toEqual(lines);
});

test('standard input, and one JSON document', async () => {
  const { code, stdout } = await run(['append', 'demo', '--json', '--url', service.url], { input: 'a\nb\n\nc' });
  expect(JSON.parse(stdout)).toEqual({ log: 'demo', first: 0, last: 2, count: 3, digestOnly: 0, bytes: 6 });
  expect(code).toBe(0);
  expect(service.logs.get('demo')).toEqual(['a', 'b', 'c']);
});

test('an empty input is not an error', async () => {
  const { code, stdout } = await append(await fileOf('\n\n\r\n'));
  expect(stdout).toContain('no entries');
  expect(code).toBe(0);
  expect(service.requests).toEqual([]);
});

test('no line is lost or stored twice, however a request fails', async () => {
  const faults: Fault[] = ['refuse', null, 'store-refuse', null, 'cut', 'store-cut', null, 'store-cut', null];
  let next = 0;
  service.fault = () => faults[next++ % faults.length] ?? null;
  const lines = Array.from({ length: 35 }, (_, i) => `line ${i}`);
  const { code, stderr } = await append(await fileOf(lines.join('\n')), '--batch', '10');
  expect(code).toBe(0);
  expect(stderr).toMatch(/trying again in \d+ second/);
  expect(service.logs.get('demo')).toEqual(lines);
});

test('an unreachable service: one line says so, and how much was appended before', async () => {
  let sent = 0;
  service.fault = () => (sent++ < 2 ? null : 'refuse');
  const { code, stderr } = await append(await fileOf('a\nb\nc\nd\n'), '--batch', '1', '--retry', '1');
  expect(code).toBe(1);
  expect(stderr).toContain('appended 2 entries of demo before this, the last at index 1');
  expect(stderr.trimEnd().split('\n').at(-1)).toBe('error: too much to do (overloaded)');
});

test('a line larger than an entry is logged as a digest, in its place', async () => {
  const long = 'x'.repeat((1 << 20) + 1);
  const file = await fileOf(`a\nb\n${long}\nc\n`);
  const { code, stdout, stderr } = await append(file, '--json');
  expect(code, stderr).toBe(0);
  expect(service.logs.get('demo')).toEqual(['a', 'b', createHash('sha256').update(long).digest('hex'), 'c']);
  expect(JSON.parse(stdout)).toMatchObject({ count: 4, digestOnly: 1 });
  expect(stderr).toContain(
    'line 3, at byte 4, has 1048577 bytes; a line of more than 1048576 is logged only as a digest',
  );
});

test('failures end in one line that says what to do', async () => {
  const lines = (stderr: string): string[] => stderr.trimEnd().split('\n');
  const missing = await append(join(folder, 'none.log'));
  expect(missing.code).toBe(1);
  expect(missing.stderr).toMatch(/^error: cannot read .*none\.log: ENOENT[^\n]*\n$/);

  const unreachable = await run(['append', 'demo', '--retry', '0', '--url', 'http://127.0.0.1:1'], { input: 'a' });
  expect(unreachable.code).toBe(1);
  expect(lines(unreachable.stderr)).toHaveLength(1);
  expect(unreachable.stderr).toContain('is the service running? see --url');

  service.apiKey = 'secret';
  const refused = await append(await fileOf('a\n'));
  expect(refused.code).toBe(1);
  expect(refused.stderr).toBe('error: an API key is required (key-required); see --api-key-file\n');

  const bad = await run(['append', 'Demo!', '--url', service.url], { input: 'a' });
  expect(bad.code).toBe(1);
  expect(bad.stderr).toContain('not a log name');
});

test('the API key comes from a file or the environment', async () => {
  service.apiKey = 'secret';
  const keyFile = join(folder, 'key');
  await writeFile(keyFile, 'secret\n');
  expect((await append(await fileOf('a\n'), '--api-key-file', keyFile)).code).toBe(0);
  const env = { ANTEQUEM_URL: service.url, ANTEQUEM_API_KEY: 'secret' };
  expect((await run(['append', 'demo'], { input: 'b', env })).code).toBe(0);
  expect(service.logs.get('demo')).toEqual(['a', 'b']);
});

test('the service is found by the endpoints file of local mode, from a folder below', async () => {
  await mkdir(join(folder, '.antequem'));
  await mkdir(join(folder, 'deep', 'down'), { recursive: true });
  await writeFile(join(folder, '.antequem', 'endpoints.json'), JSON.stringify({ url: service.url }));
  const { code } = await run(['append', 'demo'], { input: 'a', cwd: join(folder, 'deep', 'down') });
  expect(code).toBe(0);
  const env = { DATA_DIR: join(folder, '.antequem') };
  expect((await run(['append', 'demo'], { input: 'b', env })).code).toBe(0);
  expect(service.logs.get('demo')).toEqual(['a', 'b']);
});

test('a reader that closes the pipe is not an error', async () => {
  const child = start(['append', 'demo', '--url', service.url]);
  child.stdout?.destroy();
  let stderr = '';
  child.stderr?.on('data', (text) => {
    stderr += text;
  });
  child.stdin?.end('a\n');
  const code = await new Promise((resolve) => child.on('close', resolve));
  expect(code).toBe(0);
  expect(stderr).not.toContain('EPIPE');
  expect(service.logs.get('demo')).toEqual(['a']);
});

test.skipIf(process.platform !== 'linux')('a large file takes no more memory than a small one', async () => {
  service.counting = { lines: 0, bytes: 0 };
  const block = Buffer.from(`${'x'.repeat(127)}\n`.repeat(8192));
  const file = join(folder, 'large.log');
  const handle = await open(file, 'w');
  for (let i = 0; i < 300; i++) await handle.write(block);
  await handle.close();
  const child = start(['append', 'demo', file, '--batch', '10000', '--url', service.url]);
  child.stdin?.end();
  let peak = 0;
  const watch = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      peak = Math.max(peak, Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024);
    } catch {
      // It has ended.
    }
  }, 20);
  child.stdout?.resume();
  child.stderr?.resume();
  const code = await new Promise((resolve) => child.on('close', resolve));
  clearInterval(watch);
  expect(code).toBe(0);
  expect(service.counting).toEqual({ lines: 300 * 8192, bytes: 300 * block.length });
  expect(peak).toBeGreaterThan(30);
  expect(peak).toBeLessThan(220);
});
