// Emits dist/: JavaScript and declarations of what the package ships, and its pages. A checkout needs none of it.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { bundlePage, PAGE_NAMES } from '../src/pages/bundle.ts';

const project = resolve(import.meta.dirname, '..');
const dist = resolve(project, 'dist');

rmSync(dist, { recursive: true, force: true });
execFileSync(resolve(project, 'node_modules/.bin/tsc'), ['-p', resolve(import.meta.dirname, 'tsconfig.build.json')], {
  stdio: 'inherit',
});
cpSync(resolve(project, 'src/store/migrations'), resolve(dist, 'store/migrations'), { recursive: true });

mkdirSync(resolve(dist, 'web'));
for (const name of PAGE_NAMES) writeFileSync(resolve(dist, `web/${name}.html`), await bundlePage(name));

// The nearest package.json is the one whose `imports` hold: below dist/ they name what was emitted.
const { imports } = z
  .object({ imports: z.record(z.string(), z.record(z.string(), z.string())) })
  .parse(JSON.parse(readFileSync(resolve(project, 'package.json'), 'utf8')));
const emitted = JSON.stringify({ type: 'module', imports }, null, 2)
  .replaceAll('./src/', './')
  .replaceAll('.ts"', '.js"');
mkdirSync(dist, { recursive: true });
writeFileSync(resolve(dist, 'package.json'), `${emitted}\n`);
