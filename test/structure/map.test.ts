import { existsSync, globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { LAYERS } from './layers.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string): string => readFileSync(`${ROOT}/${file}`, 'utf8');

it.each(['src/README.md', 'docs/contributing.md'])('%s names only files that exist', (page) => {
  const named = [...read(page).matchAll(/`([\w./-]+(?:\/|\.(?:ts|tsx|md|yml|sql|json)))`/g)].map(
    ([, path = '']) => path,
  );
  const paths = named.filter((path) => !/NNNN|^\/|^\.\w+$/.test(path));
  expect(paths.length).toBeGreaterThan(20);
  expect(paths.filter((path) => !existsSync(`${ROOT}/src/${path}`) && !existsSync(`${ROOT}/${path}`))).toEqual([]);
});

it('the map has every folder and file of src', () => {
  const table = new Set(
    [...read('src/README.md').matchAll(/^\| (`.*?) \|/gm)].flatMap(([, cell = '']) => cell.match(/[\w.]+/g) ?? []),
  );
  const there = globSync('*', { cwd: `${ROOT}/src` }).filter((name) => name !== 'README.md');
  expect(there.filter((name) => !table.has(name))).toEqual([]);
  expect([...table].filter((name) => !there.includes(name))).toEqual([]);
  expect(there.filter((name) => !Object.keys(LAYERS).some((folder) => folder.split('/')[0] === name))).toEqual([]);
});
