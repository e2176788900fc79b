import { globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseSync, Visitor } from 'rolldown/utils';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));

export interface Import {
  /** A path below src, or the name of a package as it is written. */
  readonly to: string;
  readonly isPackage: boolean;
  /** Whether it is gone once the types are stripped. */
  readonly typeOnly: boolean;
}

export interface Module {
  /** Its path below src. */
  readonly path: string;
  readonly imports: readonly Import[];
  /** The names it declares and exports; what it passes on from another module is not among them. */
  readonly exports: readonly string[];
}

/** Each module of src by its path: static, dynamic and type imports, and re-exports. */
export function readModules(): Map<string, Module> {
  const paths = globSync('**/*.{ts,tsx}', { cwd: SRC }).filter((path) => !path.endsWith('.d.ts'));
  return new Map(paths.sort().map((path) => [path, readModule(path)]));
}

function readModule(path: string): Module {
  const { module, program, errors } = parseSync(path, readFileSync(join(SRC, path), 'utf8'));
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`);
  const imports: Import[] = [];
  const add = (to: string, typeOnly: boolean): void => {
    const isPackage = !to.startsWith('.');
    imports.push({ to: isPackage ? to : relative(SRC, join(SRC, dirname(path), to)), isPackage, typeOnly });
  };
  const declared: string[] = [];
  new Visitor({
    // `import { type A }` keeps its module at run time: only `import type` goes as a whole.
    ImportDeclaration: (node) => add(node.source.value, node.importKind === 'type'),
    ExportAllDeclaration: (node) => add(node.source.value, node.exportKind === 'type'),
    ExportNamedDeclaration: (node) => {
      if (node.source !== null) add(node.source.value, node.exportKind === 'type');
    },
    ImportExpression: (node) => {
      if (node.source.type === 'Literal') add(String(node.source.value), false);
    },
    TSImportType: (node) => add(node.source.value, true),
  }).visit(program);
  for (const { entries } of module.staticExports)
    for (const { moduleRequest, exportName } of entries)
      if (moduleRequest === null && exportName.name !== null) declared.push(exportName.name);
  return { path, imports, exports: [...new Set(declared)] };
}
