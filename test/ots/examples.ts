// Files of the real world, some of them years old: what the npm package brings as examples.

import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const folder = join(dirname(createRequire(import.meta.url).resolve('opentimestamps/package.json')), 'examples');

export const exampleNames: readonly string[] = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ots'))
  .sort();

export function examplePath(name: string): string {
  return join(folder, name);
}

export function example(name: string): Uint8Array {
  return new Uint8Array(readFileSync(examplePath(name)));
}
