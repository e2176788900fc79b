// Files of the real world, some of them years old: the examples of OpenTimestamps' client in JavaScript.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = join(import.meta.dirname, 'examples');

export const exampleNames: readonly string[] = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ots'))
  .sort();

export function examplePath(name: string): string {
  return join(folder, name);
}

export function example(name: string): Uint8Array {
  return new Uint8Array(readFileSync(examplePath(name)));
}
