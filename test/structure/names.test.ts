import { expect, it } from 'vitest';
import { readModules } from './modules.ts';

/** One thing in two files: the function for Node and the one for everywhere else. */
const PAIRS = ['sha256', 'sha256Into', 'verifyEd25519', 'verifyMlDsa44'];

/** Names that stand for two things today. The list may only get shorter: a name that is no longer needed here fails, too. */
const KNOWN: readonly string[] = [];

it('gives each exported name to one thing alone', () => {
  const files = new Map<string, string[]>();
  for (const { path, exports } of readModules().values())
    for (const name of exports) files.set(name, [...(files.get(name) ?? []), path]);
  const shared = [...files].filter(([name, paths]) => paths.length > 1 && !PAIRS.includes(name));
  const found = shared.filter(([name]) => !KNOWN.includes(name)).map(([name, paths]) => `${name}: ${paths.join(' ')}`);
  expect(found).toEqual([]);
  const names = shared.map(([name]) => name);
  expect(KNOWN.filter((name) => !names.includes(name))).toEqual([]);
});
