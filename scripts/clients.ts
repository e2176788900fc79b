// Packs antequem-client and antequem-verify: the same sources as in the package antequem, each bundled into a package of its
// own without dependencies, for ES modules and for CommonJS. The tarballs go into the folder named, by default clients/packed.

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { rolldown } from 'rolldown';
import { z } from 'zod';

const PROJECT = resolve(import.meta.dirname, '..');

interface Library {
  readonly name: string;
  /** Below src, without its extension. */
  readonly entry: string;
  readonly description: string;
}

const LIBRARIES: readonly Library[] = [
  {
    name: 'antequem-client',
    entry: 'client/client',
    description: 'Client of Antequem, a proof-of-time service for log entries: append, get receipts. No dependencies.',
  },
  {
    name: 'antequem-verify',
    entry: 'verifier',
    description: 'Verifier of Antequem receipts, OpenTimestamps files and tlog-proofs. No service, no dependencies.',
  },
];

/** A package as packed. */
export interface PackedLibrary {
  readonly name: string;
  /** Path of the tarball. */
  readonly tarball: string;
  readonly tarballBytes: number;
  readonly unpackedBytes: number;
}

const manifest = z.object({ version: z.string(), license: z.string() });
const packAnswer = z.tuple([z.object({ filename: z.string(), size: z.number(), unpackedSize: z.number() })]);

/** Builds both packages and writes their tarballs to the folder. */
export async function packClients(folder: string): Promise<PackedLibrary[]> {
  const scratch = mkdtempSync(join(tmpdir(), 'antequem-clients-'));
  try {
    const types = join(scratch, 'types');
    const tsc = join(PROJECT, 'node_modules/.bin/tsc');
    const project = join(import.meta.dirname, 'tsconfig.clients.json');
    execFileSync(tsc, ['-p', project, '--outDir', types], { stdio: 'inherit' });
    mkdirSync(folder, { recursive: true });
    return await Promise.all(
      LIBRARIES.map(async (library) => {
        const made = join(scratch, library.name);
        await build(library, types, made);
        const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', resolve(folder)];
        const [{ filename, size, unpackedSize }] = packAnswer.parse(
          JSON.parse(execFileSync('npm', args, { cwd: made, encoding: 'utf8' })),
        );
        return {
          name: library.name,
          tarball: join(resolve(folder), filename),
          tarballBytes: size,
          unpackedBytes: unpackedSize,
        };
      }),
    );
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function build(library: Library, types: string, made: string): Promise<void> {
  const bundle = await rolldown({
    input: join(PROJECT, `src/${library.entry}.ts`),
    cwd: PROJECT,
    // Takes what runs everywhere: no module of Node.
    platform: 'browser',
    tsconfig: false,
    transform: { target: 'es2022' },
  });
  const sources = new Set<string>();
  for (const [kind, format] of [
    ['module', 'esm'],
    ['commonjs', 'cjs'],
  ] as const) {
    // What few receipts need is in files of its own, loaded when one needs it.
    const names = { entryFileNames: 'index.js', chunkFileNames: '[name].js' };
    const { output } = await bundle.generate({ format, comments: { jsdoc: false }, ...names });
    const files = new Set(output.map(({ fileName }) => fileName));
    for (const chunk of output) {
      if (chunk.type === 'asset') throw new Error(`${library.name} has an asset: ${chunk.fileName}`);
      const foreign = [...chunk.imports, ...chunk.dynamicImports].find((name) => !files.has(name));
      if (foreign !== undefined) throw new Error(`${library.name} imports ${foreign}`);
      for (const file of Object.keys(chunk.modules)) sources.add(file);
      write(join(made, format, chunk.fileName), chunk.code);
    }
    write(join(made, format, 'package.json'), `${JSON.stringify({ type: kind })}\n`);
    copyDeclarations(types, library.entry, join(made, format));
  }
  await bundle.close();
  write(join(made, 'THIRD-PARTY-LICENSES'), thirdPartyLicenses(sources));
  write(join(made, 'package.json'), `${JSON.stringify(packageJson(library), null, 2)}\n`);
  cpSync(join(PROJECT, 'LICENSE'), join(made, 'LICENSE'));
  cpSync(join(PROJECT, `clients/javascript/${library.name}/README.md`), join(made, 'README.md'));
}

function packageJson({ name, entry, description }: Library): object {
  const { version, license } = manifest.parse(JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')));
  const files = (format: string): { types: string; default: string } => ({
    types: `./${format}/types/${entry}.d.ts`,
    default: `./${format}/index.js`,
  });
  return {
    name,
    version,
    description,
    license,
    engines: { node: '>=20' },
    sideEffects: false,
    // `main` and `types` are for tools that do not read `exports`.
    main: files('cjs').default,
    types: files('cjs').types,
    exports: { '.': { import: files('esm'), require: files('cjs') }, './package.json': './package.json' },
    files: ['esm', 'cjs', 'THIRD-PARTY-LICENSES'],
  };
}

/** Copies the entry's declarations and all that they import, with the extensions that every TypeScript resolves. */
function copyDeclarations(from: string, entry: string, to: string): void {
  const copied = new Set<string>();
  const copy = (path: string): void => {
    if (copied.has(path)) return;
    copied.add(path);
    const text = readFileSync(join(from, path), 'utf8');
    const rewritten = text.replaceAll(/(from |import\()'([^']+)'/g, (_, before: string, specifier: string) => {
      const module = /^(\.\.?\/.+)\.ts$/.exec(specifier)?.[1];
      if (module === undefined) throw new Error(`the declarations in ${path} need ${specifier}`);
      copy(`${join(dirname(path), module)}.d.ts`);
      return `${before}'${module}.js'`;
    });
    write(join(to, 'types', path), withLibraries(rewritten));
  };
  copy(`${entry}.d.ts`);
}

/** Names what a project may not have among its own `lib`. */
function withLibraries(declarations: string): string {
  return declarations.includes('AsyncDisposable')
    ? `/// <reference lib="esnext.disposable" />\n${declarations}`
    : declarations;
}

/** The licenses of the packages that were bundled. */
function thirdPartyLicenses(sources: ReadonlySet<string>): string {
  const folders = new Set<string>();
  for (const file of sources) {
    const folder = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0];
    if (folder !== undefined) folders.add(folder);
  }
  const notices = [...folders].sort().map((folder) => {
    const bundled = z
      .object({ name: z.string(), version: z.string(), license: z.string() })
      .parse(JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')));
    const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
    if (file === undefined) throw new Error(`${bundled.name} has no license file`);
    const text = readFileSync(join(folder, file), 'utf8').trim();
    return `${bundled.name} ${bundled.version} (${bundled.license}), bundled into this package:\n\n${text}\n`;
  });
  return notices.length === 0 ? 'Nothing of others is in this package.\n' : notices.join(`\n${'-'.repeat(80)}\n\n`);
}

function write(file: string, text: string): void {
  if (!existsSync(dirname(file))) mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

if (import.meta.main) {
  for (const packed of await packClients(process.argv[2] ?? join(PROJECT, 'clients/packed'))) {
    console.log(`${packed.tarball}: ${packed.tarballBytes} bytes, ${packed.unpackedBytes} unpacked`);
  }
}
