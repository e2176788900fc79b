import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** What only commands, verifiers and audits run, and what says why a block has no proof. */
const ELSEWHERE = /^(?:deploy|factory|anchor-events|anchor-contract|.*-audit|verifier|rpc-source)\.ts$/;
const OF_PROOFS = /^(?:block|evidence|evidence-store|list-trie)\.ts$/;
/** Of a node that answers while a block is rebuilt. */
const OF_NODES = ['rpc-failed', 'rpc-refused', 'rpc-throttled'];

const read = (path: string): string => readFileSync(`${ROOT}/${path}`, 'utf8');

/** The codes that these files of src/evm may throw, told with or without a class of their own. */
function codesOf(of: (file: string) => boolean): string[] {
  const files = globSync('src/evm/*.ts', { cwd: ROOT }).filter((file) => of(file.slice('src/evm/'.length)));
  const codes = files.flatMap((file) => {
    const thrown = read(file).matchAll(
      /(?:(?:AntequemError|ForeignNonceError|failureOf)\((?:\w+, )?\s*|super\()'([a-z]+(?:-[a-z]+)+)'|code: '([a-z-]+)' \}, /g,
    );
    return [...thrown].flatMap((match) => match[1] ?? match[2] ?? []);
  });
  return [...new Set(codes)];
}

/** Those in the first cells of a table. */
function listed(page: string): string[] {
  const cells = page.split('\n').flatMap((line) => /^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \|/.exec(line)?.[1] ?? []);
  return cells.flatMap((cell) => cell.split(', ').map((code) => code.slice(1, -1)));
}

test('docs/operations.md lists every code that a target can show, and no other', () => {
  const page = read('docs/operations.md');
  const codes = codesOf((file) => !ELSEWHERE.test(file) && !OF_PROOFS.test(file));
  expect(codes.length).toBeGreaterThan(25);
  expect(codes.filter((code) => !page.includes(`\`${code}\``))).toEqual([]);
  const [, table = ''] = /^## What a target can say\n(.*?)^## /ms.exec(page) ?? [];
  const shown = listed(table);
  expect(shown.length).toBeGreaterThan(20);
  // They come from what compares the database with chains and clocks, and from turns.
  expect(shown.filter((code) => !codes.includes(code)).sort()).toEqual(['database-set-back', 'turn-lost']);
});

test('docs/chains.md lists every code by which a proof can be missing, and no other', () => {
  const codes = [...codesOf((file) => OF_PROOFS.test(file)), ...OF_NODES];
  expect(new Set(listed(read('docs/chains.md')))).toEqual(new Set(codes));
});
