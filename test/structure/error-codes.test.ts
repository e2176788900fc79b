import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { PROBLEM_STATUS } from '../../src/core/problem-codes.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TABLES = ['src/core/problem-codes.ts', 'src/core/error-codes.ts'];

const read = (file: string): string => readFileSync(`${ROOT}/${file}`, 'utf8');

it('lists no code that no error has', () => {
  const files = globSync('{src,scripts}/**/*.{ts,tsx}', { cwd: ROOT }).filter((file) => !TABLES.includes(file));
  const written = new Set(files.flatMap((file) => read(file).match(/'[a-z][a-z0-9-]*'/g) ?? []));
  const others = read('src/core/error-codes.ts').match(/(?<=^ {2}\| )'[a-z0-9-]+'/gm) ?? [];
  expect(others.length).toBeGreaterThan(100);
  const listed = [...Object.keys(PROBLEM_STATUS).map((code) => `'${code}'`), ...others];
  expect(listed.filter((code) => !written.has(code))).toEqual([]);
  expect(listed.filter((code, i) => listed.indexOf(code) !== i)).toEqual([]);
});
