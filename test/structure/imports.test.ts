import { describe, expect, it } from 'vitest';
import { circlesOf, packagesLoadedBy } from './graph.ts';
import { LAYERS, PORTABLE } from './layers.ts';
import { readModules } from './modules.ts';

/** What breaks a rule today. The list may only get shorter: an exception that is no longer needed fails, too. */
const KNOWN: Readonly<Record<'layers' | 'circles' | 'packages', readonly string[]>> = {
  layers: [],
  circles: [],
  packages: [],
};

const modules = readModules();

/** The folder of the table that a module belongs to: the longest that matches. */
function folderOf(path: string): string {
  const folder = Object.keys(LAYERS)
    .filter((name) => path === name || path.startsWith(`${name}/`))
    .sort((a, b) => b.length - a.length)[0];
  if (folder === undefined) throw new Error(`src/${path} is in no folder of test/structure/layers.ts: add it there`);
  return folder;
}

describe('imports of src', () => {
  it('lead from a folder only to those that the table names for it', () => {
    const found = new Set<string>();
    for (const { path, imports } of modules.values())
      for (const { to, isPackage } of imports) {
        if (isPackage || !/\.tsx?$/.test(to)) continue;
        expect(modules.has(to), `src/${path} imports ${to}`).toBe(true);
        const [above, below] = [folderOf(path), folderOf(to)];
        if (above !== below && !LAYERS[above]?.includes(below)) found.add(`${above} -> ${below}`);
      }
    expect([...found].sort()).toEqual([...KNOWN.layers].sort());
  });

  it('point downwards: the table names for a folder only what stands above it in the table', () => {
    const below: string[] = [];
    for (const [folder, allowed] of Object.entries(LAYERS)) {
      for (const each of allowed) expect(below, `${folder} -> ${each}`).toContain(each);
      below.push(folder);
    }
  });

  it('form no circle', () => {
    expect(circlesOf(modules).map((circle) => circle.join(' '))).toEqual([...KNOWN.circles].sort());
  });

  it('bring only portable packages into what runs without a service', () => {
    const found: string[] = [];
    for (const [folder, allowed] of Object.entries(PORTABLE))
      for (const [name, chain] of packagesLoadedBy(modules, folder))
        if (!allowed.includes(name) && !KNOWN.packages.includes(`${folder} -> ${name}`)) found.push(chain);
    expect(found).toEqual([]);
  });

  it.each(KNOWN.packages)('still bring %s', (exception) => {
    const [folder = '', name = ''] = exception.split(' -> ');
    expect(packagesLoadedBy(modules, folder).has(name), `${exception} is gone: take it from the list`).toBe(true);
  });
});
