// Makes the pages of src/web: each one HTML file with its script, its style and the policy that permits these alone.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { AntequemError } from '../core/errors.ts';

const SOURCES = new URL('../web/', import.meta.url);
const WORKER = 'antequem:hash-worker';
const VERSION = 'antequem:version';

export const PAGE_NAMES = ['service', 'verify'] as const;
export type PageName = (typeof PAGE_NAMES)[number];

interface PageSource {
  readonly title: string;
  readonly description: string;
  /** What it may connect to. */
  readonly connections: string;
  /** In their order, after those that all pages have. */
  readonly styles: readonly string[];
}

const PAGES: Readonly<Record<PageName, PageSource>> = {
  service: {
    title: 'Antequem',
    description: 'Logs, rounds and anchors of this service.',
    connections: "'self'",
    styles: ['service.css', 'timeline.css'],
  },
  verify: {
    title: 'Antequem verifier',
    description: 'Checks a file against its Antequem receipt or .ots file, in this page alone.',
    // Whatever source of trust its user names.
    connections: 'http: https:',
    styles: ['verify.css', 'path.css', 'print.css'],
  },
};

const ICON =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 28 28'%3E%3Cg stroke='%233a7ca5' fill='%233a7ca5'%3E" +
  "%3Ccircle cx='10' cy='14' r='6'/%3E%3Cpath d='M23 3v22' stroke-width='4' stroke-linecap='round'/%3E%3C/g%3E%3C/svg%3E";

/** The page's HTML, for any web host and for disk. Takes a third of a second. */
export async function bundlePage(name: PageName): Promise<string> {
  const { title, description, connections, styles: own } = PAGES[name];
  const [script, ...styles] = await Promise.all([
    bundleScript(`${name}/${name}.tsx`),
    read('parts/tokens.css'),
    read('parts/parts.css'),
    read('parts/controls.css'),
    ...own.map((file) => read(`${name}/${file}`)),
  ]);
  const style = styles.join('\n');
  const policy = [
    "default-src 'none'",
    `script-src ${hashSource(script)}`,
    `style-src ${hashSource(style)}`,
    'worker-src blob:',
    'img-src data:',
    `connect-src ${connections}`,
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
    'trusted-types antequem',
  ].join('; ');
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta http-equiv="Content-Security-Policy" content="${policy}">
    <meta name="referrer" content="no-referrer">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="description" content="${description}">
    <title>${title}</title>
    <link rel="icon" href="${ICON}">
    <style>${style}</style>
  </head>
  <body>
    <div id="page"><noscript>This page is made by the script in it: it needs JavaScript.</noscript></div>
    <script>${script}</script>
  </body>
</html>
`;
}

function read(file: string): Promise<string> {
  return readFile(new URL(file, SOURCES), 'utf8');
}

function hashSource(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

/** A classic script, safe within a script element. */
async function bundleScript(entry: string): Promise<string> {
  const worker = await bundle('parts/hash-worker.ts', {});
  const { version } = z
    .object({ version: z.string() })
    .parse(JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')));
  const code = await bundle(entry, {
    [WORKER]: `export default ${JSON.stringify(worker)};`,
    [VERSION]: `export default ${JSON.stringify(version)};`,
  });
  return code.replaceAll(/<(?=\/script|!--)/gi, '\\x3c');
}

async function bundle(entry: string, modules: Readonly<Record<string, string>>): Promise<string> {
  // A tool of development, which the packed package does without.
  const { rolldown } = await import('rolldown');
  const build = await rolldown({
    input: fileURLToPath(new URL(entry, SOURCES)),
    platform: 'browser',
    tsconfig: false,
    transform: { jsx: { runtime: 'automatic', importSource: 'preact' }, target: 'es2023' },
    plugins: [
      {
        name: 'modules-from-text',
        resolveId: (id) => (Object.hasOwn(modules, id) ? id : null),
        load: (id) => modules[id] ?? null,
      },
    ],
  });
  const { output } = await build.generate({ format: 'iife', minify: true, comments: false });
  await build.close();
  const [chunk, ...others] = output;
  if (others.length > 0) throw new AntequemError('internal', `${entry} makes more than one file`);
  return chunk.code;
}
