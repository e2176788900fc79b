import { readFile } from 'node:fs/promises';

/** Code and status of each problem that docs/problems.md lists. */
export async function documentedProblems(): Promise<Map<string, number>> {
  const text = await readFile(new URL('../../docs/problems.md', import.meta.url), 'utf8');
  return new Map(
    [...text.matchAll(/^\| `([a-z0-9-]+)` \| (\d{3}) \|/gm)].map(([, code = '', status]) => [code, Number(status)]),
  );
}
