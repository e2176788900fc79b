// The packages without dependencies, on the Node.js of the tests; test/scale/runtimes.scale.ts has the others.

import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { rolldown } from 'rolldown';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TestService, testService } from '../support/service.ts';
import { type EmptyProject, emptyProject, PRINTED, program, TYPED } from './clients.ts';
import { sizesOf } from './sizes.ts';

const TSC = resolve(import.meta.dirname, '../../node_modules/.bin/tsc');

let project: EmptyProject;
let service: TestService;

beforeAll(async () => {
  [project, service] = await Promise.all([emptyProject(), testService()]);
}, 120_000);
afterAll(() => Promise.all([project[Symbol.asyncDispose](), service[Symbol.asyncDispose]()]));

test('they bring nothing along, and are small', async () => {
  const tree: unknown = JSON.parse(await project.run('npm', 'ls', '--all', '--json'));
  const packages = [...JSON.stringify(tree).matchAll(/"(antequem-[a-z]+|[@a-z][\w@/-]*)":\{"version"/g)].map(
    ([, name]) => name,
  );
  expect(packages.sort()).toEqual(['antequem-client', 'antequem-verify']);
  for (const { name, tarballBytes, unpackedBytes } of project.packed) {
    const bundle = await rolldown({ input: join(project.folder, `node_modules/${name}/esm/index.js`) });
    const { output } = await bundle.generate({ format: 'esm', minify: true });
    await bundle.close();
    const { first, later } = sizesOf(output);
    console.log(
      `${name}: tarball ${tarballBytes}, unpacked ${unpackedBytes}, minified and compressed ${first} bytes, ${later} more where needed`,
    );
    expect(first).toBeLessThanOrEqual(name === 'antequem-client' ? 10_000 : 70_000);
    expect(first + later).toBeLessThan(90_000);
    const licenses = readFileSync(join(project.folder, `node_modules/${name}/THIRD-PARTY-LICENSES`), 'utf8');
    expect(licenses.includes('@noble/curves')).toBe(name === 'antequem-verify');
  }
});

test.each([
  ['esm', 'program.mjs'],
  ['cjs', 'program.cjs'],
] as const)('they append, fetch and verify as %s', async (format, file) => {
  await project.write(file, program(format, service.url, `package-${format}`));
  expect((await project.run(process.execPath, file)).trim()).toBe(PRINTED);
});

test.each(['nodenext', 'bundler'])('their types hold in a strict project, resolved as %s', async (resolution) => {
  const module = resolution === 'bundler' ? 'preserve' : resolution;
  const flags = ['--module', module, '--moduleResolution', resolution, '--skipLibCheck', 'false', '--types', ''];
  for (const file of ['typed.mts', 'typed.cts']) {
    await project.write(file, TYPED);
    await project.run(TSC, '--noEmit', '--strict', '--target', 'es2022', ...flags, file);
  }
});
