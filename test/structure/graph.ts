import type { Module } from './modules.ts';

// What they are everywhere but on Node (package.json).
const PORTABLE = new Map([
  ['#ed25519', 'core/ed25519.noble.ts'],
  ['#ml-dsa', 'core/ml-dsa.noble.ts'],
  ['#sha256', 'core/sha256.noble.ts'],
]);

/** Sets of modules that import each other by some way, types included: each sorted, as is their list. */
export function circlesOf(modules: ReadonlyMap<string, Module>): string[][] {
  const circles: string[][] = [];
  const order = new Map<string, number>();
  const open: string[] = [];
  // Tarjan's algorithm for strongly connected components.
  const visit = (path: string): number => {
    const number = order.size;
    order.set(path, number);
    open.push(path);
    let low = number;
    for (const { to, isPackage } of modules.get(path)?.imports ?? []) {
      if (isPackage) continue;
      if (to === path) circles.push([path]);
      else if (!order.has(to)) low = Math.min(low, visit(to));
      else if (open.includes(to)) low = Math.min(low, order.get(to) ?? low);
    }
    if (low === number) {
      const circle = open.splice(open.indexOf(path));
      if (circle.length > 1) circles.push(circle.sort());
    }
    return low;
  };
  for (const path of modules.keys()) if (!order.has(path)) visit(path);
  return circles.sort((a, b) => (a.join(' ') < b.join(' ') ? -1 : 1));
}

/**
 * How each package comes to be loaded when the modules of a folder run, as the chain of imports that leads to it. Modules
 * named `.node.ts` are for Node alone: they count where another one imports them.
 */
export function packagesLoadedBy(modules: ReadonlyMap<string, Module>, folder: string): Map<string, string> {
  const chains = new Map<string, string>();
  for (const path of modules.keys())
    if ((path === folder || path.startsWith(`${folder}/`)) && !path.endsWith('.node.ts')) chains.set(path, path);
  if (chains.size === 0) throw new Error(`src/${folder} holds no module`);
  const packages = new Map<string, string>();
  for (const [path, chain] of chains)
    for (const { to, isPackage, typeOnly } of modules.get(path)?.imports ?? []) {
      if (typeOnly) continue;
      const target = PORTABLE.get(to) ?? to;
      const known = isPackage && target === to ? packages : chains;
      if (!known.has(target)) known.set(target, `${chain} > ${target}`);
    }
  return packages;
}
