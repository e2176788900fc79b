// The service as the package has it. Node takes some 20 MB in each thread to strip types, which a checkout has and the package has not.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** The URL of what `startChild` starts, for a checkout in which `npm run build` was run. */
export function builtService(checkout: string): string {
  const folder = join(checkout, 'node_modules/.cache/antequem-bench');
  const built = pathToFileURL(join(checkout, 'dist')).href;
  mkdirSync(folder, { recursive: true });
  for (const name of ['service-process', 'usage']) {
    const source = stripTypeScriptTypes(readFileSync(join(checkout, 'bench', `${name}.ts`), 'utf8'));
    const script = source.replaceAll("'../src/", `'${built}/`).replaceAll(".ts';", ".js';");
    writeFileSync(join(folder, `${name}.mjs`), script.replaceAll("'./usage.js'", "'./usage.mjs'"));
  }
  return pathToFileURL(join(folder, 'service-process.mjs')).href;
}
